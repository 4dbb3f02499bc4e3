"""`balance-service keys`: the keys that access tokens are signed with."""

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from balance_service.commands.desk import Yes
from balance_service.commands.output import (
    Format,
    Output,
    Row,
    confirm,
    examples,
    show_list,
    show_one,
)
from balance_service.commands.settings import open_database

if TYPE_CHECKING:
    from balance_service.operations.signing_keys import ListedKey

app = typer.Typer(no_args_is_help=True, help="Keys that access tokens are signed with.")

# As long as whoever keeps the key set may take to read it again.
PUBLISHED_SECONDS = 600

COLUMNS = ("key", "create_time", "state", "until")
# An id as the examples have it.
_ID = "0f3a5c3e7c1a47a0b1c2d3e4f5a6b7c8"

KeyId = Annotated[str, typer.Argument(help="The key's id, as in `list`.", show_default=False)]


@app.command("list", epilog=examples("balance-service keys list"))
def list_(output: Output = Format.TABLE) -> None:
    """Show the keys in use, the newest first, and what each is good for."""
    show_list(map(_row, _list()), COLUMNS, output)


@app.command(epilog=examples(f"balance-service keys show {_ID}"))
def show(key_id: KeyId, output: Output = Format.TABLE) -> None:
    """Show a key in use, and what it is good for."""
    for key in _list():
        if key.key_id == key_id:
            show_one(_row(key), output)
            return
    raise ValueError(f"there is no key {key_id} in use")


@app.command(
    epilog=examples("balance-service keys rotate", "balance-service keys rotate --after 0")
)
def rotate(
    after: Annotated[
        int,
        typer.Option(min=0, max=7 * 86_400, help="Seconds for which it is published before."),
    ] = PUBLISHED_SECONDS,
) -> None:
    """Make a new key, which is published now and signs later; tokens of older ones stay good."""
    from balance_service.operations import signing_keys

    with open_database(secret=True) as settings:
        key_id = asyncio.run(signing_keys.rotate(settings, timedelta(seconds=after)))
    typer.echo(f"{key_id} is published, and signs in {after} seconds.")


@app.command(epilog=examples(f"balance-service keys retire {_ID}"))
def retire(key_id: KeyId) -> None:
    """Have a key sign no more; the tokens that it signed stay good until they expire."""
    from balance_service.operations import signing_keys

    with open_database(secret=True) as settings:
        asyncio.run(signing_keys.retire(settings, key_id))
    typer.echo(f"{key_id} signs no more.")


@app.command(epilog=examples(f"balance-service keys revoke {_ID} --yes"))
def revoke(key_id: KeyId, *, yes: Yes = False) -> None:
    """Take a key out of use at once: every token that it signed is refused within seconds."""
    from balance_service.operations import signing_keys

    confirm(f"Refuse every token that {key_id} signed?", yes=yes)
    with open_database(secret=True) as settings:
        signing_id = asyncio.run(signing_keys.revoke(settings, key_id))
    typer.echo(f"{key_id} is out of use; {signing_id} signs.")


def _list() -> "list[ListedKey]":
    from balance_service.operations import signing_keys

    with open_database(secret=True) as settings:
        return asyncio.run(signing_keys.list_keys(settings))


def _row(key: "ListedKey") -> Row:
    """A key; one that is sealed with another secret is unreadable, and not used."""
    until = key.life.until if key.life else None
    return {
        "key": key.key_id,
        "create_time": _time(key.created_at),
        "state": str(key.life.state) if key.life else "unreadable",
        "until": _time(until) if until else "",
    }


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
