"""`balance-service approval`: changes that wait for another admin."""

import enum
from typing import Annotated

import typer

from balance_service.commands.desk import Limit, at_desk
from balance_service.commands.output import Format, Output, examples, rows, show_list

app = typer.Typer(no_args_is_help=True, help="Changes that wait for another admin.")

COLUMNS = ("id", "status", "requester", "target", "before", "after", "reason", "expire_time")


class Status(enum.StrEnum):
    """What became of them."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"


@app.callback()
def options() -> None:
    """Keeps `list` a command, though there is one alone."""


@app.command("list", epilog=examples("balance-service approval list"))
def list_(
    status: Annotated[Status, typer.Option(help="What became of them.")] = Status.PENDING,
    limit: Limit = 20,
    output: Output = Format.TABLE,
) -> None:
    """Show changes above a ceiling: an admin who is signed in approves them, nobody here."""
    from balance_service.operations import accounts

    found = at_desk(lambda desk: accounts.approvals(desk, status.name, limit))
    show_list(rows(found), COLUMNS, output)
