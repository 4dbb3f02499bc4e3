"""`balance-service journal`: what was posted, for accounting programs."""

import asyncio
import enum
import sys
from datetime import UTC, date, datetime, time
from typing import Annotated

import typer

from balance_service.commands.desk import parse_moment
from balance_service.commands.output import examples
from balance_service.commands.settings import open_database

app = typer.Typer(no_args_is_help=True, help="Journals for accounting programs.")


class Format(enum.StrEnum):
    """What a journal is written for."""

    HLEDGER = "hledger"
    BEANCOUNT = "beancount"
    CSV = "csv"


class By(enum.StrEnum):
    """What one of its transactions stands for."""

    MOVEMENT = "movement"
    DAY = "day"


def _parse_start(text: str) -> datetime:
    """Reads a day, which begins at midnight of UTC, or a moment."""
    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC)
    except ValueError:
        return parse_moment(text).astimezone(UTC)


@app.command(
    epilog=examples(
        "balance-service journal export --from 2026-10-01 --to 2026-11-01 > october.journal",
        "balance-service journal export --from 2026-01-01 --to 2026-11-01 --by day --format csv",
    )
)
def export(
    start: Annotated[
        datetime,
        typer.Option(
            "--from",
            parser=_parse_start,
            metavar="DAY",
            help="From this day of UTC on, or from a moment such as 2026-11-27T14:05Z.",
            show_default=False,
        ),
    ],
    end: Annotated[
        datetime,
        typer.Option(
            "--to",
            parser=_parse_start,
            metavar="DAY",
            help="Before this day, or before a moment; not in the future.",
            show_default=False,
        ),
    ],
    form: Annotated[Format, typer.Option("--format", help="For which program.")] = Format.HLEDGER,
    by: Annotated[By, typer.Option(help="What a transaction stands for.")] = By.MOVEMENT,
) -> None:
    """Print what was posted in a period, after the balances of its start.

    Movements from before the oldest event that is kept are read from the whole journal, in one
    snapshot, which takes as long as `balance-service verify` does.
    """
    from balance_service.domain.journals.forms import Detail, Form, Period
    from balance_service.operations import journals

    if sys.stdout is None:
        raise ValueError("standard output is closed: nobody could read the journal")
    period, told = Period(start, end), (Form[form.name], Detail[by.name])
    with open_database() as settings:
        asyncio.run(journals.export(settings, period, *told, sys.stdout.write))


@app.command(epilog=examples("balance-service journal build-totals"))
def build_totals() -> None:
    """Add up what was posted before an upgrade to a version with trial balances and sales; once.

    It reads the whole journal beside the traffic, in one statement: some minutes for a hundred
    million entries.
    """
    from balance_service.operations import journals

    with open_database() as settings:
        built = asyncio.run(journals.build_totals(settings))
    typer.echo("The totals are built." if built else "The totals were built before.")
