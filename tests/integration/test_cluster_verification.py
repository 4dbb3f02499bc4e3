"""`verify` on a Citus cluster: it finds what it finds on one server, and nothing beside traffic.

Each edit is made on one server and copied to the cluster, so that both look at the same rows.
"""

import asyncio
import contextlib
import itertools
import secrets
from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from balance_service.config import Settings
from balance_service.database import pool as pools
from balance_service.database.pool import Connection, Pool
from balance_service.domain import errors
from balance_service.domain.journals.forms import Period
from balance_service.repositories import (
    accounts,
    checkpoints,
    cluster_checks,
    cluster_view,
    journal_export,
    totals,
    verification,
)
from tests import cluster, postgres
from tests.checkpoints import cover_all
from tests.integration.small_ledger import history
from tests.integration.test_commit_path import open_accounts
from tests.integration.test_verification import OTHER_CURRENCY, OTHERS, columns, rows
from tests.ledger_edits import EDITS

# Those of them that one server shows, by the statements for a cluster, in `make test`.
SOME = ("entries_are_of_movements", "hold_follows_from_movements", "sales_are_of_movements")

# A cluster has no archives: what tells of one is too much, and no other check asks what it says.
OF_ARCHIVES = ("archive_is_of_movements", "brought_forward_is_of_movements")
# What else a cluster finds in what is less than a minute old: an account is opened, for totals,
# once an event says so.
OF_THE_NEW = {"event_is_numbered": {"totals_are_of_entries"}}


class Ledgers(NamedTuple):
    """The URLs of a ledger on a cluster and of one on one server that has the same rows."""

    cluster: str
    plain: str


@pytest.fixture(scope="module")
def ledgers(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledgers]:
    if not cluster.url():
        pytest.skip("TEST_CLUSTER_URL names no Citus cluster")
    name = f"test_{secrets.token_hex(8)}"
    with cluster.database(name) as url, postgres.database(server_url, name) as plain:
        folder = tmp_path_factory.mktemp("keys")
        service = postgres.of_service(url)
        settings = Settings(
            database_url=SecretStr(service),
            secret=SecretStr("only-for-tests-and-long-enough-0123456789"),
            data_dir=str(folder),
        )
        asyncio.run(_fill_by(service, settings))
        cluster.copy(url, plain)
        yield Ledgers(url, plain)


async def _fill_by(url: str, settings: Settings) -> None:
    async with pools.create(url, 4) as pool:
        await fill(pool, settings)


async def fill(pool: Pool, settings: Settings) -> None:
    """A ledger in which most checks have something to look at."""
    await history(pool)
    await cover_all(pool, settings)
    async with pools.transaction(pool) as conn:
        await totals.roll_up(conn)


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is under way: what was found is looked at again at once."""
    monkeypatch.setattr(cluster_checks, "PAUSES_SECONDS", (0.0,))
    monkeypatch.setattr(cluster_checks, "_PATIENCE_SECONDS", 0)


@contextlib.asynccontextmanager
async def as_of_cluster(pool: Pool) -> AsyncGenerator[Connection, None]:
    """A connection to one server that takes the statements for a cluster."""
    async with pool.connection() as conn:
        conn.of_cluster = True
        try:
            yield conn
        finally:
            conn.of_cluster = False


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncGenerator[Connection, None]:
    async with pools.create(url, 1) as pool, pool.connection() as conn:
        yield conn


async def verified(conn: Connection) -> set[str]:
    """The checks that found something; and "balances" if they are not zero together."""
    report = await verification.verify(conn)
    faults = {check for check, faults in report.faults.items() if faults}
    return faults | ({"balances"} if report.clean != (not faults) else set())


def contents(conn: psycopg.Connection, tables: str) -> list[bytes]:
    """All rows of some tables."""
    kept = []
    for table in tables.split():
        with conn.cursor().copy(sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(table))) as copy:
            kept.append(b"".join(map(bytes, copy)))
    return kept


def replace(conn: psycopg.Connection, tables: str, kept: list[bytes]) -> None:
    """Puts other rows into some tables."""
    with conn.transaction():
        for table in reversed(tables.split()):
            conn.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
        for table, part in zip(tables.split(), kept, strict=True):
            into = sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(table))
            with conn.cursor().copy(into) as copy:
                copy.write(part)


@contextlib.contextmanager
def edited(url: str, tables: str, statement: sql.Composed) -> Iterator[list[bytes]]:
    """A database with some tables changed; what they have. They are put back afterwards."""
    with psycopg.connect(url, autocommit=True) as owner:
        kept = contents(owner, tables)
        owner.execute(statement)
        try:
            yield contents(owner, tables)
        finally:
            replace(owner, tables, kept)


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("check", EDITS)
async def test_fault_is_found_on_a_cluster_as_on_one_server(ledgers: Ledgers, check: str) -> None:
    edit = EDITS[check]
    with edited(ledgers.plain, edit.tables, sql.Composed([sql.SQL(edit.statement)])) as rows_now:
        async with connected(postgres.of_service(ledgers.plain)) as conn:
            expected = await verified(conn)
    assert check in expected
    with psycopg.connect(ledgers.cluster, autocommit=True) as owner:
        kept = contents(owner, edit.tables)
        replace(owner, edit.tables, rows_now)
        try:
            async with connected(postgres.of_service(ledgers.cluster)) as conn:
                found = await verified(conn)
        finally:
            replace(owner, edit.tables, kept)
    if check in OF_ARCHIVES:
        assert check in found
    else:
        assert found - OF_THE_NEW.get(check, set()) == expected


async def test_ledger_on_a_cluster_is_clean(ledgers: Ledgers) -> None:
    async with connected(postgres.of_service(ledgers.cluster)) as conn:
        report = await verification.verify(conn, alone=True)
        new = await verification.verify_new(conn, alone=True)
    async with connected(postgres.of_service(ledgers.plain)) as conn:
        plain = await verification.verify(conn)
    assert report.clean
    assert new.clean
    assert (report.totals, report.balances, report.run) == (
        plain.totals,
        plain.balances,
        plain.run,
    )
    assert report.faults.keys() == plain.faults.keys()


async def test_history_without_events_is_told_by_the_journal(ledgers: Ledgers) -> None:
    told = []
    for url in ledgers:
        async with connected(url) as conn, conn.transaction(force_rollback=True):
            await conn.execute("DELETE FROM covered_movements")
            left = checkpoints.History(datetime.now(UTC), UUID(int=0))
            told.append(await checkpoints.told_by_journal(conn, left))
    assert told[0] == told[1]
    assert told[0]


async def test_journal_is_exported_from_the_log(ledgers: Ledgers) -> None:
    period = Period(datetime(2000, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC))
    sides = []
    for url in ledgers:
        async with connected(url) as conn:
            newest = (await checkpoints.head(conn)).newest_event
            sides.append(await journal_export.of_log(conn, 0, newest, period))
    assert sides[0] == sides[1]
    assert sides[0]


@pytest.mark.usefixtures("no_pauses")
async def test_statements_for_a_cluster_find_the_same(
    pool: Pool, database_url: str, service_settings: Settings
) -> None:
    """Checked on one server."""
    await fill(pool, service_settings)
    async with as_of_cluster(pool) as conn:
        assert not await verified(conn)
    for check in SOME:
        edit = EDITS[check]
        with edited(database_url, edit.tables, sql.Composed([sql.SQL(edit.statement)])):
            async with pool.connection() as conn:
                expected = await verified(conn)
            async with as_of_cluster(pool) as conn:
                assert await verified(conn) == expected
            assert check in expected


@pytest.mark.long
@pytest.mark.usefixtures("no_pauses")
async def test_statements_for_a_cluster_find_every_other_value(
    pool: Pool, database_url: str, service_settings: Settings
) -> None:
    await fill(pool, service_settings)
    tried = 0
    async with connected(database_url) as owner:
        for table, column, kind in await columns(owner):
            others = [*OTHERS[kind], *([OTHER_CURRENCY] if column.endswith("currency") else [])]
            places = range(0, len(await rows(owner, table)), 5)
            for at, other in itertools.product(places, others):
                change = sql.SQL("UPDATE {} SET {} = {} WHERE ctid = {}::tid").format(
                    sql.Identifier(table),
                    sql.Identifier(column),
                    sql.SQL(other).format(sql.Identifier(column)),
                    sql.Literal((await rows(owner, table))[at]),
                )
                with (
                    contextlib.suppress(psycopg.errors.IntegrityError),
                    edited(database_url, table, change),
                ):
                    async with pool.connection() as conn:
                        expected = await verified(conn)
                    async with as_of_cluster(pool) as conn:
                        assert await verified(conn) == expected, (table, column, at, other)
                    tried += 1
    assert tried > 400


async def test_view_waits_for_whoever_commits_and_not_for_ever(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (account_id,) = await open_accounts(pool, 1)
    monkeypatch.setattr(cluster_view, "_PATIENCE_SECONDS", 0)
    async with pools.transaction(pool) as committing, as_of_cluster(pool) as conn:
        await accounts.lock(committing, account_id)
        with pytest.raises(errors.Unavailable):
            await verification.verify(conn)
