"""Whatever somebody changes who may change everything is found, once a checkpoint covers it."""

from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
import pytest_asyncio
from psycopg import sql

from balance_service.config import Settings
from balance_service.database.pool import Connection, Pool
from balance_service.ledger import checkpoints as making
from balance_service.operations import administration
from balance_service.operations import checkpoints as operations
from balance_service.repositories import incremental_checks, proof_checks, verification
from tests.checkpoints import cover_all
from tests.integration import test_verification as values
from tests.integration.small_ledger import history
from tests.integration.test_checkpoints import deposits
from tests.integration.test_verification import MONEY_TABLES, OTHERS, columns, rows

PROOF_TABLES = ("checkpoints", "covered_movements")
# Of the rows that nobody signed: where the chain begins, and which events are done with.
NOT_SIGNED: dict[str, LiteralString] = {"checkpoints": "number > 0"}
# What is not proved, by column, and why; docs/concepts/proof.md says so, too.
NOT_PROVED = {
    "accounts.limit_minor": "an operator's decision, which the audit log has",
    "accounts.status": "an operator's decision, which the audit log has",
    "accounts.debit_limit_minor": "an operator's decision, which the audit log has",
    "accounts.daily_limit_minor": "an operator's decision, which the audit log has",
    "accounts.created_at": "no money: not after the first entry",
    "quotes.created_at": "no money: an hour or less before the end",
    "quotes.expires_at": "no money: an hour or less after the start",
    "quotes.kept": "no money: whether it was looked at for deletion",
    "system_deltas.delta_id": "no money: a random id",
    "checkpoints.last_event": "no money: of the newest checkpoint, where the next one begins",
}
MORE_OTHERS: dict[str, list[LiteralString]] = {
    "bytea": ["set_byte({0}, 0, 255 - get_byte({0}, 0))"],
    "ARRAY": ["{0}[2:]", "{0} || {0}[1]"],
}


@pytest_asyncio.fixture
async def conn(
    pool: Pool, database_url: str, service_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Connection]:
    """An owner's connection to a ledger that checkpoints cover; `verify` sees what it changes."""
    await history(pool)
    await cover_all(pool, service_settings)
    monkeypatch.setitem(verification._SQL, "snapshot", "SELECT 1")
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as conn:
        await conn.execute("SET TimeZone TO UTC")
        assert (await verification.verify(conn)).clean
        yield conn


def change(table: str, column: str, other: LiteralString, place: str) -> sql.Composed:
    """Another value in one row."""
    return sql.SQL("UPDATE {} SET {} = {} WHERE ctid = {}::tid").format(
        sql.Identifier(table),
        sql.Identifier(column),
        sql.SQL(other).format(sql.Identifier(column)),
        sql.Literal(place),
    )


async def is_proved(conn: Connection, edit: sql.Composed) -> bool:
    """Whether the checkpoints alone show an edit; it is undone."""
    try:
        async with conn.transaction(force_rollback=True):
            await conn.execute(edit)
            return any((await proof_checks.find_faults(conn, 1)).values())
    except psycopg.errors.IntegrityError:
        return True


async def test_every_column_of_the_journal_is_in_a_leaf(conn: Connection) -> None:
    """A column that is new is in none, and fails here until a version of the leaves has it."""
    tried = 0
    for table, column, kind in await columns(conn):
        if table not in {"movements", "entries"}:
            continue
        condition = sql.SQL("SELECT ctid::text FROM {} ORDER BY {} IS NULL LIMIT 1").format(
            sql.Identifier(table), sql.Identifier(column)
        )
        (place,) = (await (await conn.execute(condition)).fetchall())[0]
        for other in OTHERS[kind]:
            assert await is_proved(conn, change(table, column, other, place)), (table, column)
            tried += 1
    assert tried >= 36


@pytest.mark.long
async def test_any_other_value_is_found(conn: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "MONEY_TABLES", (*MONEY_TABLES, *PROOF_TABLES))
    missed: dict[str, set[str]] = defaultdict(set)
    for table, column, kind in await columns(conn):
        others = (OTHERS | MORE_OTHERS)[kind]
        if column.endswith("currency"):
            others = [*others, values.OTHER_CURRENCY]
        for place in await rows(conn, table, NOT_SIGNED.get(table, "true")):
            for other in others:
                if not await values.is_found(conn, change(table, column, other, place)):
                    missed[f"{table}.{column}"].add(place)
    assert set(missed) == set(NOT_PROVED)


async def found_by(conn: Connection, edits: LiteralString) -> set[str]:
    """The checks that find edits, which are undone."""
    async with conn.transaction(force_rollback=True):
        await conn.execute(edits)
        report = await verification.verify(conn)
    return {check for check, faults in report.faults.items() if faults}


UNCHANGED, COVERED = "covered_movement_is_unchanged", "movement_is_covered"
# Everything that belongs to a deposit, once more.
FORGED: LiteralString = """
CREATE TEMP TABLE forged ON COMMIT DROP AS
SELECT * FROM movements WHERE kind = 1 AND request_id IS NULL AND reference IS NULL LIMIT 1;
UPDATE forged SET
    movement_id = gen_random_uuid(),
    balance_after_minor = amount_minor
    + (SELECT balance_minor FROM accounts WHERE account_id = to_account_id);
INSERT INTO movements SELECT * FROM forged;
INSERT INTO entries
SELECT
    to_account_id, movement_id, from_account_id,
    (SELECT sequence + 1 FROM accounts WHERE account_id = to_account_id),
    amount_minor, balance_after_minor, created_at, kind, effective_at
FROM forged;
INSERT INTO system_entries
SELECT movement_id, from_account_id, -amount_minor, created_at FROM forged;
UPDATE accounts AS a SET balance_minor = f.balance_after_minor, sequence = sequence + 1
FROM forged AS f WHERE f.to_account_id = a.account_id;
UPDATE system_accounts AS s SET
    balance_minor = balance_minor - f.amount_minor, entries = entries + 1
FROM forged AS f WHERE f.from_account_id = s.account_id
"""
# Two entries of an account in each other's place.
SWAPPED: LiteralString = """
CREATE TEMP TABLE place ON COMMIT DROP AS
SELECT account_id FROM entries WHERE sequence = 3 LIMIT 1;
UPDATE entries SET sequence = 99
WHERE sequence = 2 AND account_id = (SELECT account_id FROM place);
UPDATE entries SET sequence = 2
WHERE sequence = 3 AND account_id = (SELECT account_id FROM place);
UPDATE entries SET sequence = 3
WHERE sequence = 99 AND account_id = (SELECT account_id FROM place)
"""


@pytest.mark.parametrize(
    ("edits", "check"),
    [
        ("DELETE FROM movements WHERE kind = 4", UNCHANGED),
        ("DELETE FROM entries WHERE sequence = 2", UNCHANGED),
        ("DELETE FROM covered_movements", COVERED),
        ("DELETE FROM checkpoints WHERE number > 0", COVERED),
        ("UPDATE checkpoints SET number = 2 WHERE number = 1", "checkpoints_follow_each_other"),
        (FORGED, COVERED),
        (SWAPPED, UNCHANGED),
    ],
    ids=["movement gone", "entry gone", "uncovered", "chain gone", "number", "forged", "swapped"],
)
async def test_rows_that_come_go_or_move_are_found(
    conn: Connection, edits: LiteralString, check: str
) -> None:
    assert check in await found_by(conn, edits)


async def test_chain_that_was_made_anew_is_not_the_one_that_was_kept(
    pool: Pool, conn: Connection, service_settings: Settings, tmp_path: Path
) -> None:
    """By somebody who administers the database and has the service's secret."""
    kept = tmp_path / "checkpoint.json"
    await operations.export(service_settings, kept, None)
    number, kept_hash = operations.read_kept(kept)
    assert (await verification.verify(conn, kept={number: kept_hash})).clean
    await conn.execute("UPDATE movements SET description = 'Other words' WHERE kind = 4")
    await conn.execute("DELETE FROM covered_movements")
    await conn.execute("DELETE FROM checkpoints WHERE number > 0")
    await cover_all(pool, service_settings)
    assert (await verification.verify(conn)).clean
    report = await verification.verify(conn, kept={number: kept_hash})
    ((subject, _, expected),) = report.faults["checkpoint_is_as_published"]
    assert (subject, expected) == (f"checkpoint {number}", kept_hash)
    missing = await verification.verify(conn, kept={7: kept_hash})
    assert missing.faults["checkpoint_is_as_published"][0].stored == "not there"


@pytest.mark.parametrize(
    "content", ["", "{}", "[1]", '{"text": "number 1"}', '{"text": 1}', "\x00"]
)
def test_file_without_a_checkpoint_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "kept").write_text(content)
    with pytest.raises(ValueError, match="holds no checkpoint"):
        operations.read_kept(tmp_path / "kept")


async def test_runs_over_what_is_new_come_round(
    pool: Pool, conn: Connection, service_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each goes on where the last one was, and an old row is looked at again in its turn."""
    monkeypatch.setattr(making, "COVERED_AT_ONCE_MAX", 1)
    monkeypatch.setattr(incremental_checks, "RUNS_FOR_ALL", 2)
    await deposits(pool, 4)
    await cover_all(pool, service_settings)
    newest = (await administration.verify(service_settings)).run.checkpoint
    assert newest >= 5
    edit = "UPDATE movements SET description = 'x' WHERE movement_id = (SELECT movement_id FROM"
    async with conn.transaction():
        await conn.execute(edit + " covered_movements WHERE number = 1 LIMIT 1)")
    first = await administration.verify(service_settings, incremental=True)
    assert first.totals == {"new_checkpoints": 0, "old_checkpoints": -(-newest // 2)}
    assert [fault.subject.split()[-1] for fault in first.faults[UNCHANGED]] == ["1"]
    # A run that found something is none to go on from.
    again = await administration.verify(service_settings, incremental=True)
    assert not again.clean


def test_shares_of_what_is_old_leave_nothing_out() -> None:
    for newest in (1, 2, 29, 30, 31, 100):
        seen, since = set(), incremental_checks.Run(newest)
        for _ in range(incremental_checks.RUNS_FOR_ALL):
            again, new = incremental_checks.plan(since, newest)
            assert not new
            seen |= set(again)
            since = since._replace(rechecked=again[-1])
        assert seen == set(range(1, newest + 1))
    again, new = incremental_checks.plan(incremental_checks.Run(3), 5)
    assert (list(again), list(new)) == ([1], [4, 5])
    assert incremental_checks.plan(incremental_checks.Run(), 2)[1] == range(1, 3)
