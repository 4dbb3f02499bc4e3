"""`balance-service audit`: who did what."""

import asyncio
import sys
from typing import Annotated

import typer

from balance_service.commands.desk import Limit, Since, Until, at_desk
from balance_service.commands.output import Format, Output, examples, rows, show_list
from balance_service.commands.settings import open_database

app = typer.Typer(no_args_is_help=True, help="The audit log: who did what.")

COLUMNS = ("date", "action", "actor", "target", "reason", "refusal")


@app.command(
    "list",
    epilog=examples(
        "balance-service audit list --actor operator:root",
        "balance-service audit list --action account.frozen --since 2026-11-27T00:00Z",
    ),
)
def list_(
    actor: Annotated[
        str, typer.Option(help="By whom, such as operator:root.", show_default=False)
    ] = "",
    target: Annotated[str, typer.Option(help="To what, such as user:ID.", show_default=False)] = "",
    action: Annotated[
        str, typer.Option(help="What, such as account.frozen.", show_default=False)
    ] = "",
    since: Since = None,
    until: Until = None,
    limit: Limit = 20,
    output: Output = Format.TABLE,
) -> None:
    """Show events of the audit log, the newest first."""
    from balance_service.operations import audit_export

    wanted = audit_export.Wanted(actor, target, action, since, until)
    found = at_desk(lambda desk: audit_export.list_events(desk, wanted, limit))
    show_list(rows(found), COLUMNS, output)


@app.command(epilog=examples("balance-service audit export --after 123456 >> audit.jsonl"))
def export(
    after: Annotated[int, typer.Option(min=0, help="Begin after the event of this number.")] = 0,
) -> None:
    """Print the sealed events of the audit log in their order: JSON, an object a line."""
    from balance_service.operations import audit_export

    if sys.stdout is None:
        raise ValueError("standard output is closed: nobody could read the log")
    with open_database() as settings:
        asyncio.run(audit_export.export(settings, after, sys.stdout.write))
