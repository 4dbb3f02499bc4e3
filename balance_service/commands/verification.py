"""`balance-service verify`: the ledger, recomputed from its entries."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from balance_service.commands import progress
from balance_service.commands.output import Format, Output, Row, show_one
from balance_service.commands.settings import open_database

if TYPE_CHECKING:
    from balance_service.repositories.verification import Report

FAULTY = 1


def verify(
    *,
    json: Annotated[bool, typer.Option("--json", help="The same as --output json.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Recompute every balance from its entries; status 1 if anything is wrong.

    It looks at one snapshot, beside the traffic, and holds nobody up.
    """
    from balance_service.operations import administration

    with progress.shown("Verifying") as report_progress, open_database() as settings:
        report = asyncio.run(administration.verify(settings, report_progress))
    if json or output is Format.JSON:
        show_one(_row(report), Format.JSON)
    else:
        _print(report)
    raise typer.Exit(0 if report.clean else FAULTY)


def _row(report: "Report") -> Row:
    from balance_service.repositories.verification import CHECKS

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
        for check, meaning in CHECKS.items()
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
    from rich.table import Table

    from balance_service.repositories.verification import CHECKS

    out = Console(highlight=False, soft_wrap=True)
    out.print(", ".join(f"{count} {name}" for name, count in report.totals.items()))
    for check, meaning in CHECKS.items():
        faults = report.faults[check]
        out.print(f"{'[red]FAULT[/red]' if faults else '[green]ok[/green]   '}  {meaning}")
        for fault in faults:
            out.print(f"         {fault.subject}: {fault.stored}, should be {fault.computed}")
    table = Table("currency", "users", "system", "sum")
    for balance in _balances(report):
        table.add_row(*balance.values())
    out.print(table)
    out.print("The ledger is clean." if report.clean else "The ledger is NOT clean.")
