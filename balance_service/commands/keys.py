"""`balance-service keys`: the keys that access tokens are signed with."""

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from balance_service.commands.settings import open_database

if TYPE_CHECKING:
    from balance_service.auth.key_states import Life

app = typer.Typer(no_args_is_help=True, help="Keys that access tokens are signed with.")

# As long as whoever keeps the key set may take to read it again.
PUBLISHED_SECONDS = 600

KeyId = Annotated[str, typer.Argument(help="The key's id, as in `list`.", show_default=False)]


@app.command("list")
def list_() -> None:
    """Show the keys in use, the newest first, and what each is good for."""
    from balance_service.operations import signing_keys

    with open_database(secret=True) as settings:
        listed = asyncio.run(signing_keys.list_keys(settings))
    for key in listed:
        typer.echo(f"{key.key_id}  made {_time(key.created_at)}  {_describe(key.life)}")


@app.command()
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


@app.command()
def retire(key_id: KeyId) -> None:
    """Have a key sign no more; the tokens that it signed stay good until they expire."""
    from balance_service.operations import signing_keys

    with open_database(secret=True) as settings:
        asyncio.run(signing_keys.retire(settings, key_id))
    typer.echo(f"{key_id} signs no more.")


@app.command()
def revoke(key_id: KeyId) -> None:
    """Take a key out of use at once: every token that it signed is refused within seconds."""
    from balance_service.operations import signing_keys

    with open_database(secret=True) as settings:
        signing_id = asyncio.run(signing_keys.revoke(settings, key_id))
    typer.echo(f"{key_id} is out of use; {signing_id} signs.")


def _describe(life: "Life | None") -> str:
    if life is None:
        return "unreadable, sealed with another secret"
    return f"{life.state} until {_time(life.until)}" if life.until else life.state


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
