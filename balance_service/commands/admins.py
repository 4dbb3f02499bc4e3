"""`balance-service admin`: who manages users, accounts and the catalogue."""

import asyncio
from typing import Annotated

import typer

from balance_service.commands.desk import LIMIT_MAX, User, Yes, at_desk
from balance_service.commands.output import (
    Format,
    Output,
    confirm,
    examples,
    row,
    rows,
    show_list,
    show_one,
)
from balance_service.commands.settings import open_database

app = typer.Typer(no_args_is_help=True, help="Admins.")

COLUMNS = ("id", "email", "username", "second_factor", "disable_time")

Email = Annotated[str, typer.Argument(help="Their e-mail address.", show_default=False)]


@app.command(epilog=examples("balance-service admin create root@example.com"))
def create(email: Email) -> None:
    """Make the user of an address an admin, creating them if need be."""
    from balance_service.operations import administration

    with open_database() as settings:
        address = asyncio.run(administration.create_admin(settings, email))
    typer.echo(f"{address} is an admin. They sign in with a code sent to that address.")


@app.command("list", epilog=examples("balance-service admin list"))
def list_(output: Output = Format.TABLE) -> None:
    """Show the admins, and whether they sign in with a second factor."""
    from balance_service.operations import users

    found = at_desk(lambda desk: users.list_all(desk, "admin", LIMIT_MAX))
    show_list(rows(found), COLUMNS, output)


@app.command(epilog=examples("balance-service admin revoke root@example.com"))
def revoke(user: User, *, yes: Yes = False, output: Output = Format.TABLE) -> None:
    """Make an admin a plain user; their sign-ins end."""
    from balance_service.operations import users

    confirm(f"Make {user} a plain user?", yes=yes)
    show_one(row(at_desk(lambda desk: users.revoke_admin(desk, user))), output)
