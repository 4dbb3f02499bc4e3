"""Exchange rates as their sources last published them."""

from datetime import datetime

from psycopg import AsyncConnection

from balance_service.domain.pricing import Quotation, RateSheet
from balance_service.repositories import queries

_SQL = queries.load(__file__)


async def put(conn: AsyncConnection, sheet: RateSheet, fetched_at: datetime) -> None:
    """Stores a source's sheet in place of its last one, within a transaction."""
    await conn.execute(_SQL["delete_sheet"], {"source": sheet.source})
    quotations = sheet.quotations
    await conn.execute(
        _SQL["insert_sheet"],
        {
            "source": sheet.source,
            "base": sheet.base,
            "as_of": sheet.as_of,
            "fetched_at": fetched_at,
            "currencies": list(quotations),
            "units": [quotation.units for quotation in quotations.values()],
            "values": [quotation.value for quotation in quotations.values()],
        },
    )


async def get(
    conn: AsyncConnection, source: str, *, expires: bool
) -> tuple[RateSheet, datetime] | None:
    """A source's last sheet and when it was fetched, if one ever was."""
    rows = await (await conn.execute(_SQL["sheet"], {"source": source})).fetchall()
    if not rows:
        return None
    _, base, _, _, as_of, fetched_at = rows[0]
    quotations = {row[0]: Quotation(row[2], row[3]) for row in rows}
    return RateSheet(source, base, as_of, quotations, expires), fetched_at
