"""Journals for accounting programs at the command line, and the totals that they begin with."""

import asyncio
from collections.abc import Callable

from balance_service.config import Settings
from balance_service.database.pool import transaction
from balance_service.domain.journals.forms import Detail, Form, Period
from balance_service.operations.acts import connect
from balance_service.reading import journal_export, trial_balance
from balance_service.repositories import totals
from balance_service.servicers.ledger import check_period


async def export(
    settings: Settings, period: Period, form: Form, detail: Detail, write: Callable[[str], object]
) -> None:
    """Writes a journal, also of movements that the log of events does not have any more.

    Args:
        settings: Name the database.
        period: From when, and before when.
        form: How it is written.
        detail: What its transactions stand for.
        write: Takes a part of whole lines.

    Raises:
        InvalidFields: There is no such period.
        LedgerTotalsMissing: What was posted before an upgrade was never added up.
        DatabaseUnavailable: Postgres is away.
    """
    check_period(period, detail)
    async with connect(settings) as connections:
        parts = journal_export.export(connections, period, form, detail, from_journal=True)
        async for text in parts:
            write(text)


# A moment that is nearer than this is waited for.
WAITED_SECONDS = 60


class TotalsNotDue(ValueError):  # noqa: N818 - it is what it says
    """Workers of a version without events may still write what totals would lack."""


async def build_totals(settings: Settings) -> bool:
    """Adds up what was posted before the totals began; it reads the whole journal.

    Returns:
        Whether that was to be done.

    Raises:
        TotalsNotDue: It is too early; the message says when it is not.
        DatabaseUnavailable: Postgres is away.
    """
    async with connect(settings) as connections:
        async with connections.connection() as conn:
            begins_at = await totals.begins_at(conn)
        if begins_at is None:
            return False
        now = await trial_balance.settle(connections, begins_at, None)
        if now < begins_at:
            left = (begins_at - now).total_seconds()
            if left > WAITED_SECONDS:
                raise TotalsNotDue(
                    "workers of the version before the upgrade may run until"
                    f" {begins_at:%Y-%m-%d %H:%M} UTC: build the totals after that"
                )
            await asyncio.sleep(left)
            await trial_balance.settle(connections, begins_at, None)
        async with transaction(connections) as conn:
            await totals.build(conn)
    return True
