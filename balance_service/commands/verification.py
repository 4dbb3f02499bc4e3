"""`balance-service verify`: the ledger, recomputed from its entries."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from balance_service.commands import progress
from balance_service.commands.output import Format, Output, Row, show_one
from balance_service.commands.settings import open_database

if TYPE_CHECKING:
    from rich.table import Table

    from balance_service.repositories.verification import Report

FAULTY = 1


def verify(
    *,
    incremental: Annotated[
        bool,
        typer.Option(
            help="Look only at what is new since the last run that found nothing, and at a "
            "thirtieth of what is old."
        ),
    ] = False,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(help="A file of `checkpoint export`, kept elsewhere; may be given again."),
    ] = None,
    archives: Annotated[
        Path | None,
        typer.Option(
            metavar="DIRECTORY", help="The folder of archives: look at its files as well."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The same as --output json.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Recompute every balance from its entries, and every hash; status 1 if anything is wrong.

    It looks at one snapshot, beside the traffic, and holds nobody up.
    """
    from balance_service.operations import administration, checkpoints

    kept = dict(map(checkpoints.read_kept, checkpoint or ()))
    with progress.shown("Verifying") as report_progress, open_database() as settings:
        report = asyncio.run(
            administration.verify(
                settings, report_progress, kept, incremental=incremental, archives=archives
            )
        )
    if json or output is Format.JSON:
        show_one(_row(report), Format.JSON)
    else:
        _print(report)
    raise typer.Exit(0 if report.clean else FAULTY)


def _row(report: "Report") -> Row:
    checks = [
        {
            "check": check,
            "meaning": meaning,
            "faults": [
                {
                    "subject": fault.subject,
                    "stored": str(fault.stored),
                    "computed": str(fault.computed),
                }
                for fault in report.faults[check]
            ],
        }
        for check, meaning in _meanings(report).items()
    ]
    balances = _balances(report)
    return {"clean": report.clean, "rows": report.totals, "checks": checks, "balances": balances}


def _balances(report: "Report") -> list[dict[str, str]]:
    from balance_service.domain.money import format_minor

    shown = []
    for currency, users, system in report.balances:
        minors = {"users": int(users), "system": int(system), "sum": int(users + system)}
        amounts = {side: format_minor(minor, currency) for side, minor in minors.items()}
        shown.append({"currency": currency, **amounts})
    return shown


def _print(report: "Report") -> None:
    from rich.console import Console

    out = Console(highlight=False, soft_wrap=True)
    out.print(", ".join(f"{count} {name}" for name, count in report.totals.items()))
    for check, meaning in _meanings(report).items():
        faults = report.faults[check]
        out.print(f"{'[red]FAULT[/red]' if faults else '[green]ok[/green]   '}  {meaning}")
        for fault in faults:
            out.print(f"         {fault.subject}: {fault.stored}, should be {fault.computed}")
    if report.balances:
        out.print(_table(report))
    out.print("The ledger is clean." if report.clean else "The ledger is NOT clean.")


def _meanings(report: "Report") -> dict[str, str]:
    """What the checks that were made mean, in their order."""
    from balance_service.repositories import archive_checks, incremental_checks
    from balance_service.repositories.verification import CHECKS

    known = {**CHECKS, **incremental_checks.SET_CHECKS, **archive_checks.CHECKS}
    return {check: meaning for check, meaning in known.items() if check in report.faults}


def _table(report: "Report") -> "Table":
    from rich.table import Table

    table = Table("currency", "users", "system", "sum")
    for balance in _balances(report):
        table.add_row(*balance.values())
    return table
