"""What is read on a Citus cluster, of a ledger with a little of everything."""

from datetime import timedelta
from uuid import UUID

import pytest

from balance_service.database.pool import Pool, transaction
from balance_service.domain import errors, ids
from balance_service.domain.commands import Settle
from balance_service.domain.events import EventType
from balance_service.domain.money import Money
from balance_service.domain.movements import Kind
from balance_service.domain.paging import Filter, Order, Position
from balance_service.reading import trial_balance
from balance_service.reading.past import SKEW_MAX, settled_everywhere
from balance_service.repositories import (
    accounts,
    checkpoints,
    entries,
    holds,
    leaves,
    outbox,
    quotes,
    reports,
    totals,
)
from tests.events import assert_as_journal, beginning, number_all, read_on
from tests.integration.small_ledger import by, history, made, opened

# Accounts, of which some lie on each worker.
MANY = 8


async def test_ledger_is_read_as_it_was_written(cluster_pool: Pool) -> None:
    await history(cluster_pool)
    await number_all(cluster_pool)
    told, _ = await read_on(cluster_pool, await beginning(cluster_pool))
    await assert_as_journal(cluster_pool, told)
    async with transaction(cluster_pool) as conn:
        assert await totals.roll_up(conn)
        assert await quotes.clear_expired(conn, timedelta(days=-1), 9)
    async with cluster_pool.connection() as conn:
        rows = await conn.execute("SELECT account_id, sequence FROM accounts WHERE sequence > 0")
        ends: dict[UUID, int] = dict(await rows.fetchall())
        for order in Order:
            page = await entries.page(conn, order, Position(ends), Filter(), 1000)
            assert len(page) == sum(ends.values())
        assert await holds.page(conn, list(ends), None, None, 9)
        assert (await accounts.find_unlocked(conn, list(ends)))[1] == ends.keys()
        posted = await totals.at(conn, None)
        newest = (await checkpoints.head(conn)).newest_event
        covered = await checkpoints.told_by_events(conn, 0, newest)
        assert await leaves.of_movements(conn, covered, b"salt")
    currencies = {total.currency for total in posted}
    for currency in currencies:
        mine = [total for total in posted if total.currency == currency]
        assert sum(total.credit_minor for total in mine) == sum(t.debit_minor for t in mine)


async def test_what_happens_to_an_account_is_told_in_the_coordinators_order(
    cluster_pool: Pool,
) -> None:
    """Whatever servers the accounts lie on: their logs, transactions and clocks are others."""
    for _ in range(MANY):
        async with transaction(cluster_pool) as conn:
            before, after = ids.new_id(), ids.new_id()
            await outbox.record(conn, EventType.USER_CREATED, before)
            account, _ = await accounts.open_account(conn, before, "RUB")
            await outbox.record(conn, EventType.USER_DISABLED, after)
            rows = await conn.execute(
                "SELECT subject_id, transaction_id = pg_current_xact_id() FROM outbox"
                " WHERE subject_id = ANY(%s) ORDER BY place",
                ([before, account, after],),
            )
            told = [(each, True) for each in (before, account, after)]
            assert await rows.fetchall() == told


async def test_past_of_all_accounts_waits_until_what_is_committed_has_its_number(
    cluster_pool: Pool,
) -> None:
    """A part that a lost server has prepared is hidden, and no lock tells of it."""
    (account,) = await opened(cluster_pool, "RUB")
    await made(cluster_pool, Settle(by(), Kind.DEPOSIT, account, Money(1, "RUB")))
    async with cluster_pool.connection() as conn:
        moment = await reports.clock(conn)
    patience = 2 * SKEW_MAX.total_seconds()
    for settle in (settled_everywhere, trial_balance.settle):
        with pytest.raises(errors.DeadlinePassed):
            await settle(cluster_pool, moment, patience)
    await number_all(cluster_pool)
    for settle in (settled_everywhere, trial_balance.settle):
        assert await settle(cluster_pool, moment, None) > moment
