"""Exchange rates as their sources published them, and whose turn it is to ask a source."""

from datetime import datetime, timedelta
from decimal import Decimal

from psycopg import AsyncConnection

from balance_service.domain.pricing import Quotation, RateSheet
from balance_service.repositories import queries

_SQL = queries.load(__file__)
# No sheet is kept that comes into force more than a week ahead.
COMING_MAX = 10


async def put(conn: AsyncConnection, sheet: RateSheet, fetched_at: datetime) -> None:
    """Stores a source's sheet, in place of one of the same time."""
    codes = sorted(sheet.quotations)
    await conn.execute(
        _SQL["put_sheet"],
        {
            "source": sheet.source,
            "as_of": sheet.as_of,
            "base": sheet.base,
            "currencies": codes,
            "units": [sheet.quotations[code].units for code in codes],
            "worth": [sheet.quotations[code].value for code in codes],
            "fetched_at": fetched_at,
        },
    )


async def get(
    conn: AsyncConnection, source: str, moment: datetime, *, expires: bool, limit: int = COMING_MAX
) -> list[RateSheet]:
    """A source's sheets by time: the one in force at a moment, if there is one, and later ones."""
    values = {"source": source, "moment": moment, "limit": limit}
    rows = await (await conn.execute(_SQL["sheets"], values)).fetchall()
    return [
        RateSheet(source, base, as_of, _quotations(codes, units, worth), expires)
        for base, as_of, codes, units, worth in rows
    ]


async def claim_fetch(
    conn: AsyncConnection, source: str, now: datetime, *, retry: timedelta, refresh: timedelta
) -> bool:
    """Whether a source is due to be asked, and this caller is the one to do it.

    Args:
        conn: A connection.
        source: The source's name.
        now: The present.
        retry: After how long it is somebody's turn again, should this caller not come back.
        refresh: The longest wait that `set_fetch_due` is given.
    """
    values = {"source": source, "now": now, "due_at": now + retry, "latest": now + refresh}
    return await (await conn.execute(_SQL["claim_fetch"], values)).fetchone() is not None


async def set_fetch_due(conn: AsyncConnection, source: str, due_at: datetime) -> None:
    """Sets when a source is to be asked again."""
    await conn.execute(_SQL["set_fetch_due"], {"source": source, "due_at": due_at})


def _quotations(
    codes: list[str], units: list[Decimal], worth: list[Decimal]
) -> dict[str, Quotation]:
    return {code: Quotation(*figures) for code, *figures in zip(codes, units, worth, strict=True)}
