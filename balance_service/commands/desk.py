"""What commands at the operator's desk have in common: how they get there, and their options."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from balance_service.commands.settings import open_database

if TYPE_CHECKING:
    from balance_service.operations.desk import Desk

Done = TypeVar("Done")

LIMIT_MAX = 100_000
DURATION_MAX = timedelta(days=366)

Account = Annotated[
    str,
    typer.Argument(help="Its id, or its number of ten digits.", show_default=False),
]
User = Annotated[
    str, typer.Argument(help="Their id, e-mail address or username.", show_default=False)
]
Reason = Annotated[
    str, typer.Option(help="Why, in your words; kept in the audit log.", show_default=False)
]
Limit = Annotated[int, typer.Option(min=1, max=LIMIT_MAX, help="How many to show at most.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")]
RequestId = Annotated[
    str,
    typer.Option(help="Makes a repeat safe: with the same id it is done once.", show_default=False),
]


def at_desk(work: "Callable[[Desk], Awaitable[Done]]", *, secret: bool = False) -> Done:
    """Works at an operator's desk on the database that settings name.

    Args:
        work: What is done there.
        secret: Whether that needs the service's own secret.
    """
    from balance_service.operations import desk

    async def open_and_work() -> Done:
        async with desk.opened(settings) as opened:
            if secret:
                await opened.keys.load()
            return await work(opened)

    with open_database(secret=secret) as settings:
        return asyncio.run(open_and_work())


def parse_moment(text: str) -> datetime:
    """Reads a moment: RFC 3339, perhaps without seconds, and always with its time zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise typer.BadParameter(f"{text!r} is no moment such as 2026-11-27T14:05Z")
    return moment


Since = Annotated[
    datetime | None,
    typer.Option(
        parser=parse_moment,
        metavar="MOMENT",
        help="From this moment on, such as 2026-11-27T14:05Z.",
        show_default=False,
    ),
]
Until = Annotated[
    datetime | None,
    typer.Option(
        parser=parse_moment, metavar="MOMENT", help="Before this moment.", show_default=False
    ),
]


def parse_duration(text: str) -> timedelta:
    """Reads a duration: a whole number of minutes, hours, days or weeks."""
    found = re.fullmatch(r"([1-9][0-9]{0,3})([mhdw])", text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is no duration such as 30m, 12h, 1d or 2w")
    unit = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}[found[2]]
    life = timedelta(**{unit: int(found[1])})
    if life > DURATION_MAX:
        raise typer.BadParameter(f"{text!r} is longer than a year")
    return life


Duration = Annotated[
    timedelta | None,
    typer.Option(
        "--for",
        parser=parse_duration,
        metavar="DURATION",
        help="For so long, such as 30m, 12h, 1d or 2w; then they go back.",
        show_default=False,
    ),
]
