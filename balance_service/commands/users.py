"""`balance-service user`: the people who own accounts."""

import enum
from typing import TYPE_CHECKING, Annotated

import typer

from balance_service.commands.desk import Limit, Reason, User, Yes, at_desk
from balance_service.commands.output import (
    Format,
    Output,
    Row,
    confirm,
    examples,
    row,
    rows,
    show_list,
    show_one,
)

if TYPE_CHECKING:
    from balance_service.operations.desk import Desk

app = typer.Typer(no_args_is_help=True, help="The people who own accounts.")

COLUMNS = ("id", "email", "username", "first_name", "last_name", "role", "disable_time")
ACCOUNT_COLUMNS = ("number", "currency", "balance", "available", "status", "id")


class Role(enum.StrEnum):
    """What users may be."""

    USER = "user"
    MODERATOR = "moderator"
    ADMIN = "admin"


@app.command("list", epilog=examples("balance-service user list --role admin --limit 100"))
def list_(
    *,
    role: Annotated[
        Role | None, typer.Option(help="Only those who are this.", show_default=False)
    ] = None,
    disabled: Annotated[
        bool | None,
        typer.Option(help="Only those who may not sign in, or may.", show_default=False),
    ] = None,
    limit: Limit = 20,
    output: Output = Format.TABLE,
) -> None:
    """Show users, by username."""
    from balance_service.operations import users

    found = at_desk(lambda desk: users.list_all(desk, role or "", limit, disabled=disabled))
    show_list(rows(found), COLUMNS, output)


@app.command(
    epilog=examples("balance-service user find boris", "balance-service user find @example.com")
)
def find(
    text: Annotated[
        str,
        typer.Argument(
            help="A part of their address if it has an @, else of name or username.",
            show_default=False,
        ),
    ],
    limit: Limit = 20,
    output: Output = Format.TABLE,
) -> None:
    """Find users by a part of their address, name or username."""
    from balance_service.operations import users

    found = at_desk(lambda desk: users.find(desk, text, limit))
    show_list(rows(found), COLUMNS, output)


@app.command(epilog=examples("balance-service user show boris@example.com"))
def show(user: User, output: Output = Format.TABLE) -> None:
    """Show a user and their accounts."""
    from balance_service.operations import users

    found, owned = at_desk(lambda desk: users.show(desk, user))
    _show_with_accounts(row(found), rows(owned), output)


@app.command(
    epilog=examples(
        "balance-service user disable boris@example.com",
        'balance-service user disable boris@example.com --freeze-reason "Phone stolen, ticket 812"',
    )
)
def disable(
    user: User,
    freeze_reason: Annotated[
        str,
        typer.Option(
            help="Freeze their accounts, too, for this reason; kept in the audit log.",
            show_default=False,
        ),
    ] = "",
    output: Output = Format.TABLE,
) -> None:
    """Keep a user from signing in, and end their sign-ins; freeze their accounts if told so."""
    from balance_service.operations import users

    found, owned = at_desk(lambda desk: users.disable(desk, user, freeze_reason))
    _show_with_accounts(row(found), rows(owned), output)


@app.command(epilog=examples("balance-service user enable boris@example.com"))
def enable(user: User, output: Output = Format.TABLE) -> None:
    """Let a disabled user sign in again. Frozen accounts stay frozen."""
    from balance_service.operations import users

    show_one(row(at_desk(lambda desk: users.enable(desk, user))), output)


@app.command(epilog=examples("balance-service user end-sessions boris@example.com"))
def end_sessions(user: User, output: Output = Format.TABLE) -> None:
    """End a user's sign-ins, whose tokens are refused within seconds; they may sign in anew."""
    from balance_service.operations import users

    show_one(row(at_desk(lambda desk: users.end_sessions(desk, user))), output)


@app.command(epilog=examples('balance-service user erase boris@example.com --reason "Ticket 814"'))
def erase(user: User, reason: Reason, *, yes: Yes = False, output: Output = Format.TABLE) -> None:
    """Erase what is personal of a user, for good; their accounts, empty by then, are closed."""
    from balance_service.operations import users

    confirm(f"Erase {user} for good?", yes=yes)
    show_one(row(at_desk(lambda desk: users.erase(desk, user, reason), secret=True)), output)


@app.command(epilog=examples("balance-service user export boris@example.com > boris.jsonl"))
def export(user: User) -> None:
    """Print all that is kept on a user: JSON, an object a line, named by what it is."""
    from balance_service.commands.output import print_json
    from balance_service.operations import users

    async def write(desk: "Desk") -> None:
        async for name, message in users.export(desk, user):
            print_json({name: row(message)})

    at_desk(write)


def _show_with_accounts(found: Row, owned: list[Row], output: Format) -> None:
    if output is Format.JSON:
        show_one({**found, "accounts": owned}, output)
        return
    show_one(found, output, leave_out=("etag",))
    if owned:
        typer.echo()
        show_list(owned, ACCOUNT_COLUMNS, output)
