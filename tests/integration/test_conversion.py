"""The journal's tables become partitioned: beside commits, and from whatever state."""

import asyncio
import secrets
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import LiteralString
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import errors as pg

from balance_service.database import conversion, migrate, partitions
from balance_service.database.pool import Pool
from balance_service.domain import ids, periods
from balance_service.domain.paging import Part
from balance_service.domain.periods import Period
from balance_service.domain.state import Done, How
from balance_service.repositories import entries
from tests import postgres
from tests.commits import commit
from tests.integration.small_ledger import history
from tests.integration.test_commit_path import (
    Verified,
    balance,
    done,
    open_accounts,
    transfer,
)
from tests.partitions import BEGINS_WHOLE, ask, convert, dated, make, places, post

pytestmark = BEGINS_WHOLE
MIGRATIONS = sorted((Path(__file__).parent.parent.parent / "migrations").glob("*.sql"))


async def test_conversion_beside_commits_fails_none_and_loses_nothing(
    pool: Pool, database_url: str, verified: Verified, monkeypatch: pytest.MonkeyPatch
) -> None:
    await history(pool)
    accounts = await open_accounts(pool, 6)
    await post(pool, accounts[0], *[ids.new_id() for _ in range(50)])
    told: list[str] = []

    def listen(url: str) -> psycopg.Connection:
        conn = connect(url, autocommit=True, options="-c client_min_messages=debug1")
        conn.add_notice_handler(lambda notice: told.append(notice.message_primary or ""))
        return conn

    connect = psycopg.connect
    monkeypatch.setattr(psycopg, "connect", lambda url, **_: listen(url))
    ended = asyncio.Event()
    counts = [0] * len(accounts)

    async def work(number: int) -> None:
        while not ended.is_set():
            await post(pool, accounts[number], ids.new_id(), uuid4())
            answers = await commit(pool, transfer(accounts[number], accounts[number - 1], 1))
            assert done(answers[0][0]).how is How.POSTED
            async with pool.connection() as conn:
                await entries.parts(conn, [Part(accounts[number], 1, 2)])
            counts[number] += 1

    workers = [asyncio.create_task(work(number)) for number in range(len(accounts))]
    prepared = await convert(database_url)
    before = list(counts)
    while not all(now > then for now, then in zip(counts, before, strict=True)):
        await asyncio.sleep(0.01)
        assert not any(worker.done() for worker in workers)
    ended.set()
    await asyncio.gather(*workers)

    assert [name for name in prepared.made if name.startswith("movements")] == [
        f"movements_{year}_01" for year in (datetime.now(UTC).year + 1, datetime.now(UTC).year + 2)
    ]
    for table in partitions.KEYS:
        proven = f'partition constraint for table "{table}_before" is implied by existing'
        assert any(message.startswith(proven) for message in told), sorted(set(told))
    assert sum([await balance(pool, account) for account in accounts]) == 50 + 2 * sum(counts)
    assert await verified()
    assert set((await places(database_url)).values()) == {"movements_before"}
    left = await ask(
        database_url, "SELECT conname FROM pg_constraint WHERE conname ~ 'first_period'"
    )
    assert left == []


async def test_ids_of_any_time_are_met_again_on_both_sides_of_the_conversion(
    pool: Pool, database_url: str, verified: Verified
) -> None:
    """Some come just before the tables change places, when no constraint may refuse them."""
    (account,) = await open_accounts(pool, 1)
    first = periods.start_after(datetime.now(UTC) + conversion.MARGIN, Period.YEAR)
    moments = [
        datetime(2020, 1, 1, tzinfo=UTC),
        first - timedelta(milliseconds=1),
        first,
        first.replace(year=first.year + 1),
        partitions.END - timedelta(milliseconds=1),
        partitions.END,
        datetime(9999, 1, 1, tzinfo=UTC),
    ]
    sent = [(dated(moment), moment) for moment in moments for _ in range(3)]
    undated = [uuid4(), ids.text_id("order 1"), UUID(int=0)]
    loop = asyncio.get_running_loop()
    seen: list[Done] = await post(pool, account, *undated, *[each for each, _ in sent[::3]])

    def report(step: str) -> None:
        if step == "movements: making it partitioned":
            arrives = post(pool, account, *[each for each, _ in sent[1::3]])
            seen.extend(asyncio.run_coroutine_threadsafe(arrives, loop).result(60))

    await convert(database_url, report=report)
    seen += await post(pool, account, *[each for each, _ in sent[2::3]])
    assert {outcome.how for outcome in seen} == {How.POSTED}
    again = await post(
        pool, account, *[o.movement.request_id for o in seen if o.movement.request_id]
    )
    assert [(o.how, o.movement) for o in again] == [(How.REPLAYED, o.movement) for o in seen]

    def expected(moment: datetime) -> str:
        if not first <= moment < partitions.END:
            return "movements_before"
        return (
            partitions.name_of("movements", moment)
            if moment.year <= first.year + 1
            else "movements_rest"
        )

    found = await places(database_url)
    for request_id, moment in sent:
        movement_id = ids.derived_id("service:test", request_id)
        assert found[movement_id] == expected(moment), moment
    for request_id in undated:
        assert found[ids.derived_id("service:test", request_id)] == "movements_before"
    assert await balance(pool, account) == len(sent) + len(undated)
    await verified()


async def test_too_many_ids_from_the_future_refuse_the_conversion(
    pool: Pool, database_url: str, verified: Verified, monkeypatch: pytest.MonkeyPatch
) -> None:
    (account,) = await open_accounts(pool, 1)
    await post(pool, account, *[dated(datetime(2081, 5, 1, tzinfo=UTC)) for _ in range(4)])
    monkeypatch.setattr(partitions, "MOVED_MAX", 3)
    with pytest.raises(conversion.ConversionRefused, match="clocks of callers"):
        await convert(database_url)
    assert set((await places(database_url)).values()) == {"movements"}
    await post(pool, account, dated(datetime(2081, 5, 1, tzinfo=UTC)))
    monkeypatch.setattr(partitions, "MOVED_MAX", 5)
    await convert(database_url)
    await verified()


async def test_conversion_that_was_given_up_goes_on_with_the_same_first_period(
    pool: Pool, database_url: str, verified: Verified, monkeypatch: pytest.MonkeyPatch
) -> None:
    (account,) = await open_accounts(pool, 1)
    await post(pool, account, ids.new_id())

    def give_up_at(end: str) -> Callable[[str], None]:
        def report(step: str) -> None:
            if step == end:
                raise KeyboardInterrupt

        return report

    # As of a process that is killed: it takes nothing back.
    real = conversion._drop_constraint
    monkeypatch.setattr(conversion, "_drop_constraint", lambda *_: None)
    for step in ("movements: making it partitioned", "entries: making it partitioned"):
        with pytest.raises(KeyboardInterrupt):
            conversion.convert(database_url, report=give_up_at(step))
        await post(pool, account, dated(datetime(2090, 1, 1, tzinfo=UTC)))
        monkeypatch.setattr(conversion, "_drop_constraint", real)
    later = datetime(2090, 1, 1, tzinfo=UTC)
    await convert(database_url, cutover=later)
    await convert(database_url)
    with psycopg.connect(database_url, autocommit=True) as conn:
        found = [p for p in partitions.read(conn) if p.start is None and p.end]
    assert {p.table for p in found} == set(partitions.KEYS)
    assert len({p.end for p in found}) == 1
    assert found[0].end != later
    await verified()


@pytest.mark.parametrize(
    ("obstacle", "named"),
    [
        ("CREATE VIEW sums AS SELECT sum(amount_minor) FROM entries", "view sums"),
        ("CREATE PUBLICATION copies FOR TABLE entries", "publication copies"),
        (
            (
                "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql"
                " AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER told AFTER INSERT ON entries"
                " FOR EACH ROW EXECUTE FUNCTION tell()"
            ),
            "trigger told",
        ),
        (
            (
                "CREATE TABLE notes (account_id uuid, sequence bigint,"
                " FOREIGN KEY (account_id, sequence) REFERENCES entries)"
            ),
            "constraint notes_account_id_sequence_fkey",
        ),
        ("CREATE POLICY hidden ON entries USING (true)", "policy hidden"),
    ],
)
async def test_what_would_go_on_with_a_part_alone_refuses_the_conversion(
    database_url: str, obstacle: LiteralString, named: str
) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute(obstacle)
        with pytest.raises(conversion.ConversionRefused, match=named):
            conversion.convert(database_url)
        assert partitions.read(conn) == []


async def test_first_period_that_began_meanwhile_refuses_the_conversion(
    pool: Pool, database_url: str, verified: Verified
) -> None:
    (account,) = await open_accounts(pool, 1)
    await post(pool, account, ids.new_id())
    with pytest.raises(conversion.ConversionRefused, match="came before this was done"):
        conversion.convert(database_url, cutover=datetime.now(UTC))
    with psycopg.connect(database_url, autocommit=True) as conn:
        assert partitions.read(conn) == []
        conn.execute("ALTER TABLE entries DISABLE TRIGGER USER")
        conn.execute("UPDATE entries SET created_at = '2045-01-01Z'")
        with pytest.raises(conversion.ConversionRefused, match="entries has rows that are dated"):
            conversion.convert(database_url)
        conn.execute(
            "UPDATE entries SET created_at = m.created_at FROM movements AS m"
            " WHERE m.movement_id = entries.movement_id"
        )
    await convert(database_url)
    await verified()


async def test_service_may_do_with_the_new_tables_what_it_could_with_the_old(
    pool: Pool, database_url: str
) -> None:
    rights: LiteralString = (
        "SELECT c.relname, a.privilege_type, a.grantee::regrole::text FROM pg_class AS c,"
        " aclexplode(c.relacl) AS a WHERE c.relname IN ('movements', 'entries', 'system_entries')"
    )
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("CREATE ROLE reporter NOLOGIN" if not _has(conn) else "SELECT 1")
        conn.execute("GRANT SELECT ON movements TO reporter")
        conn.execute("GRANT SELECT (amount_minor) ON entries TO reporter")
    before = sorted(await ask(database_url, rights), key=str)
    await convert(database_url)
    assert sorted(await ask(database_url, rights), key=str) == before
    async with pool.connection() as conn:
        for table in partitions.KEYS:
            for statement in ("UPDATE {} SET created_at = now()", "DELETE FROM {}"):
                with pytest.raises(pg.InsufficientPrivilege):
                    await conn.execute(statement.format(table).encode())
    with psycopg.connect(database_url) as conn:
        conn.execute("SET ROLE reporter")
        conn.execute("SELECT amount_minor FROM entries")
        with pytest.raises(pg.InsufficientPrivilege):
            conn.execute("SELECT created_at FROM entries")


async def test_reports_go_on_with_all_partitions(pool: Pool, database_url: str) -> None:
    views: LiteralString = (
        "SELECT viewname, definition FROM pg_views WHERE schemaname = 'reports' ORDER BY viewname"
    )
    before = await ask(database_url, views)
    await convert(database_url)
    assert await ask(database_url, views) == before
    (account,) = await open_accounts(pool, 1)
    await post(pool, account, ids.new_id())
    with psycopg.connect(database_url) as conn:
        tables = conn.execute(
            "SELECT DISTINCT refobjid::regclass::text FROM pg_depend AS d"
            " JOIN pg_rewrite AS r ON r.oid = d.objid"
            " WHERE r.ev_class = 'reports.movements'::regclass AND refobjid <> r.ev_class"
        ).fetchall()
        assert ("movements",) in tables
        conn.execute("SET ROLE balance_reports")
        assert conn.execute("SELECT count(*) FROM reports.movements").fetchone() == (1,)


def test_migrations_run_on_a_journal_in_partitions(
    server_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those after 0008, which change the constraints of the journal among other things."""
    with postgres.database(server_url, f"partitioned_{secrets.token_hex(8)}") as url:
        folder = tmp_path / "migrations"
        folder.mkdir()
        monkeypatch.setattr(migrate, "_REPOSITORY", folder)
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute("DROP SCHEMA reports, public CASCADE; CREATE SCHEMA public")
        for path in MIGRATIONS[:8]:
            shutil.copy(path, folder)
        migrate.up(url)
        conversion.convert(url)
        for path in MIGRATIONS[8:]:
            shutil.copy(path, folder)
        assert [migration.name for migration in migrate.up(url)] == [m.name for m in MIGRATIONS[8:]]
        with psycopg.connect(url) as conn:
            checks = conn.execute(
                "SELECT r.relname, array_agg(c.conname ORDER BY c.conname) FROM pg_constraint AS c"
                " JOIN pg_class AS r ON r.oid = c.conrelid"
                " WHERE r.relname ~ '^movements' AND c.contype = 'c' AND r.relname !~ 'labels'"
                " GROUP BY r.relname"
            ).fetchall()
    assert len(checks) == 5
    assert len({tuple(names) for _, names in checks}) == 1


async def test_later_migrations_change_all_partitions(pool: Pool, database_url: str) -> None:
    await convert(database_url)
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute(
            "ALTER TABLE movements ADD COLUMN note text, DROP CONSTRAINT kind_known,"
            " ADD CONSTRAINT kind_known CHECK (kind BETWEEN 1 AND 4) NOT VALID"
        )
        conn.execute("CREATE INDEX ON entries (movement_id)")
        made = partitions.prepare(conn, Period.YEAR).made
        assert made == []
        assert make(database_url, "movements", *_year(2079))
        assert make(database_url, "entries", *_year(2079))
    (account,) = await open_accounts(pool, 1)
    await post(pool, account, ids.new_id(), dated(datetime(2079, 2, 1, tzinfo=UTC)))


def _has(conn: psycopg.Connection) -> bool:
    return conn.execute("SELECT FROM pg_roles WHERE rolname = 'reporter'").fetchone() is not None


def _year(year: int) -> tuple[datetime, datetime]:
    return datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
