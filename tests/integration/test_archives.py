"""Old entries in files: out of the database and back, and what is changed in either is found."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
import pytest_asyncio
from pydantic import SecretStr

from balance_service.config import Settings
from balance_service.database import archive_files, archive_rows, archiving
from balance_service.database import pool as pools
from balance_service.database.archive_files import ArchiveBroken
from balance_service.database.archive_rows import Span
from balance_service.database.archiving import ArchivingRefused
from balance_service.database.pool import Pool
from balance_service.domain import ids
from balance_service.domain.commands import Transfer
from balance_service.domain.money import Money
from balance_service.operations import administration, archives
from balance_service.repositories import archives as stored
from balance_service.repositories import totals, verification
from balance_service.repositories.verification import Report
from tests.archived import date_back, expire_events, run
from tests.checkpoints import cover_all
from tests.events import number_all
from tests.integration.small_ledger import by, carry_out, history, opened
from tests.integration.test_commit_path import transfer
from tests.integration.test_sub_accounts import number, shop
from tests.partitions import BEGINS_WHOLE, ask, convert, post

pytestmark = BEGINS_WHOLE

THIS_YEAR = datetime(datetime.now(UTC).year, 1, 1, tzinfo=UTC)
LAST_YEAR = THIS_YEAR.replace(year=THIS_YEAR.year - 1)


@pytest_asyncio.fixture
async def ledger(
    pool: Pool, database_url: str, service_settings: Settings, tmp_path: Path
) -> AsyncIterator[Settings]:
    """Settings of the owner's for a ledger of three years; an account of each was opened before."""
    await convert(database_url, cutover=LAST_YEAR)
    await history(pool)
    first, second = await opened(pool, "RUB", "RUB")
    await post(pool, first, *[ids.new_id() for _ in range(3)])
    await date_back(database_url, LAST_YEAR - timedelta(days=100))
    await post(pool, first, *[ids.new_id() for _ in range(2)])
    await carry_out(pool, Transfer(by(), first, second, Money(2, "RUB")))
    await date_back(database_url, LAST_YEAR + timedelta(days=100))
    await number_all(pool)
    async with pools.transaction(pool) as conn:
        await totals.roll_up(conn)
    await cover_all(pool, service_settings)
    await expire_events(database_url)
    await post(pool, second, ids.new_id())
    await number_all(pool)
    await expire_events(database_url)
    yield service_settings.model_copy(update={"owner_database_url": SecretStr(database_url)})


async def write(settings: Settings, folder: Path, *, keep: bool = False) -> list[str]:
    made = await asyncio.to_thread(
        archives.write, settings, folder, THIS_YEAR, timedelta(seconds=0), keep=keep
    )
    return [f"{manifest.ends_at:%Y}" for manifest in made]


async def verify(settings: Settings, folder: Path | None = None) -> dict[str, list[str]]:
    """What is found, by check: the subjects."""
    report: Report = await administration.verify(settings, archives=folder)
    return {
        check: [fault.subject for fault in faults]
        for check, faults in report.faults.items()
        if faults
    }


async def dump(url: str) -> list[list[tuple[object, ...]]]:
    return [
        await ask(url, "SELECT * FROM entries ORDER BY account_id, sequence"),
        await ask(url, "SELECT * FROM system_entries ORDER BY movement_id, account_id"),
        await ask(url, "SELECT * FROM brought_forward ORDER BY account_id"),
        await ask(url, "SELECT * FROM system_brought_forward ORDER BY account_id"),
    ]


async def test_entries_go_to_files_and_come_back(
    ledger: Settings, pool: Pool, database_url: str, tmp_path: Path
) -> None:
    assert await verify(ledger) == {}
    whole = await dump(database_url)
    assert await write(ledger, tmp_path) == [f"{LAST_YEAR:%Y}", f"{THIS_YEAR:%Y}"]
    ((left,),) = await ask(database_url, "SELECT count(*) FROM entries")
    assert left == 1
    assert await ask(database_url, "SELECT to_regclass('entries_before')") == [(None,)]
    assert await verify(ledger, tmp_path) == {}
    async with pool.connection() as conn:
        report = await verification.verify_new(conn)
        horizon = await stored.horizon(conn)
    assert report.clean
    assert horizon is not None
    assert horizon.ends_at == THIS_YEAR
    # The ledger goes on from what was brought forward.
    accounts = await ask(database_url, "SELECT account_id FROM entries")
    await post(pool, accounts[0][0], ids.new_id())  # type: ignore[arg-type]
    assert await verify(ledger, tmp_path) == {}
    assert await write(ledger, tmp_path) == []
    for _ in range(2):
        await asyncio.to_thread(archives.restore, ledger, tmp_path, lambda _step: None)
        assert await verify(ledger, tmp_path) == {}
    again = await dump(database_url)
    assert again[2:] == [[], []]
    assert len(again[0]) == len(whole[0]) + 1
    assert set(whole[0]) <= set(again[0])
    assert set(whole[1]) <= set(again[1])
    actions = await ask(
        database_url, "SELECT action FROM audit_events WHERE action LIKE 'entries.%' ORDER BY 1"
    )
    assert [a for (a,) in actions] == ["entries.archived"] * 2 + ["entries.restored"] * 2
    assert await write(ledger, tmp_path) == [f"{LAST_YEAR:%Y}", f"{THIS_YEAR:%Y}"]


# What somebody changes who may change everything; `verify` of the database alone finds each.
CHANGES: tuple[LiteralString, ...] = (
    "UPDATE brought_forward SET balance_minor = balance_minor + 1",
    "UPDATE brought_forward SET sequence = sequence + 1",
    "UPDATE brought_forward SET created_at = created_at - interval '1 day'",
    "DELETE FROM brought_forward",
    "UPDATE system_brought_forward SET amount_minor = amount_minor + 1",
    "UPDATE system_brought_forward SET entries = entries + 1",
    "DELETE FROM system_brought_forward",
    "UPDATE archives SET starts_at = ends_at - interval '1 day'",
    "UPDATE archives SET entries = entries + 1",
    "UPDATE archives SET entries_minor = entries_minor + 1",
    "UPDATE archives SET system_entries = system_entries + 1",
    "UPDATE archives SET system_entries_minor = system_entries_minor + 1",
    "UPDATE archives SET values_end_at = values_end_at + interval '1 day'",
    "UPDATE movements SET amount_minor = amount_minor + 1 WHERE kind = 4",
    "UPDATE entries SET created_at = created_at - interval '2 years'",
    "DELETE FROM archives",
)


@pytest.mark.long
async def test_change_of_what_was_brought_forward_is_found(
    ledger: Settings, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(ledger, tmp_path)
    monkeypatch.setitem(verification._SQL, "snapshot", "SELECT 1")
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as conn:
        await conn.execute("SET TimeZone TO UTC")
        assert (await verification.verify(conn)).clean
        for change in CHANGES:
            async with conn.transaction(force_rollback=True):
                assert (await conn.execute(change)).rowcount, change
                assert not (await verification.verify(conn)).clean, change


def edit(path: Path) -> str:
    """Changes an amount in a file that is whole otherwise; which entry that is."""
    header, *rows = gzip.decompress(path.read_bytes()).decode().splitlines(keepends=True)
    columns, values = header.strip().split(","), rows[-1].strip().split(",")
    place = columns.index("amount_minor")
    values[place] = str(int(values[place]) + 1)
    path.write_bytes(gzip.compress("".join([header, *rows[:-1], ",".join(values)]).encode()))
    row = dict(zip(columns, values, strict=True))
    return f"{row['account_id']} #{row.get('sequence')}"


async def test_change_of_a_file_is_found(ledger: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "archives"
    await write(ledger, folder)
    place = archive_files.place_of(folder, LAST_YEAR)
    entries = archive_files.path_of(place, "entries")
    system, manifest = archive_files.path_of(place, "system_entries"), place / "manifest.json"
    for path in (entries, system, manifest):
        held = path.read_bytes()
        path.unlink()
        assert str(path) in str(await verify(ledger, folder)), path
        for at in (len(held) // 2, len(held) - 3):
            path.write_bytes(held[:at] + bytes([held[at] ^ 1]) + held[at + 1 :])
            assert "archive_is_as_written" in await verify(ledger, folder), (path, at)
        path.write_bytes(held)
    assert await verify(ledger, folder) == {}
    held = entries.read_bytes()
    subject = edit(entries)
    found = await verify(ledger, folder)
    assert found["archive_is_as_written"][0] == str(entries)
    assert found["balance_after_follows"] == [subject]
    assert "covered_movement_is_unchanged" in found
    # The newest comes back first.
    await asyncio.to_thread(archives.restore, ledger, folder, lambda _step: None)
    with pytest.raises(ArchiveBroken, match="should be"):
        await asyncio.to_thread(archives.restore, ledger, folder, lambda _step: None)
    entries.write_bytes(held)
    edit(system)
    assert "system_entries_are_of_movements" in await verify(ledger, folder)


async def test_what_must_stay_is_not_written(
    ledger: Settings, pool: Pool, database_url: str, tmp_path: Path
) -> None:
    with pytest.raises(ArchivingRefused, match="less than 365 days ago"):
        archives.write(ledger, tmp_path, datetime.now(UTC) - timedelta(days=364))
    for change, undo, told in (
        (
            "UPDATE events SET created_at = created_at - interval '5 years'",
            "UPDATE events SET created_at = created_at + interval '5 years'",
            "events of that time",
        ),
        (
            "UPDATE totals_progress SET built = FALSE",
            "UPDATE totals_progress SET built = TRUE",
            "totals of that time",
        ),
        (
            "UPDATE uncovered_history SET done = FALSE",
            "UPDATE uncovered_history SET done = TRUE",
            "covered by checkpoints",
        ),
    ):
        await run(database_url, change)
        with pytest.raises(ArchivingRefused, match=told):
            await write(ledger, tmp_path)
        await run(database_url, undo)
    # A fault that is in the database is not put into files, and nothing is changed.
    before = await dump(database_url)
    fault: LiteralString = (
        "UPDATE entries SET amount_minor = amount_minor {} 1 WHERE created_at ="
        " (SELECT min(created_at) FROM entries)"
    )
    await run(database_url, fault.replace("{}", "+"))
    with pytest.raises(ArchiveBroken, match="balance_after_follows"):
        await write(ledger, tmp_path / "faulty")
    await run(database_url, fault.replace("{}", "-"))
    assert await dump(database_url) == before
    assert await verify(ledger) == {}
    # Files of an interrupted run that are of other rows are not taken for these.
    path = archive_files.path_of(archive_files.place_of(tmp_path / "faulty", LAST_YEAR), "entries")
    async with await archiving.connect(database_url) as conn:
        columns = gzip.decompress(path.read_bytes()).decode().splitlines()[0].split(",")
        for name in ("entries_before", "entries_rest"):
            rows = archive_rows.rows(conn, "entries", name, columns)
            assert not await archive_files.equals(path, rows)
    with pytest.raises(ArchiveBroken):
        await write(ledger, tmp_path / "faulty")
    assert await write(ledger, tmp_path / "right")


async def test_receipts_get_their_numbers_before_they_are_written(
    ledger: Settings, pool: Pool, database_url: str, tmp_path: Path
) -> None:
    worker, account, (payer, *_) = await shop(pool)
    await worker.commit(transfer(payer, account, 10), transfer(payer, account, 20))
    await date_back(database_url, THIS_YEAR - timedelta(seconds=1))
    # They are of the second period, and not in the way of the first.
    with pytest.raises(ArchivingRefused, match="receipts of that time wait for their numbers"):
        await write(ledger, tmp_path)
    assert await verify(ledger, tmp_path) == {}
    await number(pool, account)
    await post(pool, payer, ids.new_id())
    await number_all(pool)
    async with pools.transaction(pool) as conn:
        await totals.roll_up(conn)
    await cover_all(pool, ledger)
    await expire_events(database_url)
    assert await write(ledger, tmp_path) == [f"{THIS_YEAR:%Y}"]
    forward = await ask(
        database_url,
        "SELECT b.account_id, b.sequence, b.balance_minor FROM brought_forward AS b"
        " JOIN accounts AS a ON a.account_id = b.account_id WHERE a.sub_account_count > 0",
    )
    assert forward == [(account, 3, 31)]
    assert await verify(ledger, tmp_path) == {}


async def test_session_is_left_as_it_was(
    ledger: Settings, pool: Pool, database_url: str, tmp_path: Path
) -> None:
    """What reads files leaves nothing in a session that a pooler gives to others next."""
    await write(ledger, tmp_path)
    settings: LiteralString = "SELECT name, setting FROM pg_settings ORDER BY name"
    async with pools.opened(pools.create(ledger.database_url.get_secret_value(), 1)) as one:

        @asynccontextmanager
        async def pooled(_settings: Settings) -> AsyncIterator[Pool]:
            yield one

        async with one.connection() as conn:
            before = await (await conn.execute(settings)).fetchall()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(archives, "connect", pooled)
            assert not any((await archives.find_faults(ledger, tmp_path)).values())
        async with one.connection() as conn:
            assert await (await conn.execute(settings)).fetchall() == before
            found = await conn.execute("SELECT relname FROM pg_class WHERE relpersistence = 't'")
            assert await found.fetchall() == []


async def test_run_goes_on_from_what_another_left(
    ledger: Settings, database_url: str, tmp_path: Path
) -> None:
    # As a run that was killed leaves it.
    await run(
        database_url,
        "ALTER TABLE entries_before ADD CONSTRAINT is_archived CHECK (FALSE) NOT VALID",
    )
    assert len(await write(ledger, tmp_path, keep=True)) == 2
    # What was kept, and was attached again by hand, is not taken for what is left over.
    attach: LiteralString = "ALTER TABLE entries ATTACH PARTITION entries_before DEFAULT"
    await run(database_url, "ALTER TABLE entries DETACH PARTITION entries_rest", attach)
    with pytest.raises(ArchivingRefused, match="entries_before is attached"):
        await write(ledger, tmp_path)
    await run(database_url, "ALTER TABLE entries DETACH PARTITION entries_before")
    assert await write(ledger, tmp_path) == []
    assert await ask(database_url, "SELECT to_regclass('entries_before')") == [(None,)]


async def test_sealed_partition_takes_no_rows(database_url: str) -> None:
    await convert(database_url, cutover=LAST_YEAR)
    span = Span(None, LAST_YEAR, {table: f"{table}_before" for table in archive_files.ORDERS})
    late: LiteralString = (
        "INSERT INTO system_entries VALUES (gen_random_uuid(), gen_random_uuid(), 1, '2000-01-01')"
    )
    async with await archiving.connect(database_url) as conn:
        for _ in range(2):
            await archiving.seal(conn, span)
            with pytest.raises(psycopg.errors.CheckViolation):
                await run(database_url, late)
        await archiving.unseal(conn, span)
    await run(database_url, late)


@pytest.mark.long
async def test_callers_see_nothing_of_it(
    ledger: Settings, pool: Pool, database_url: str, tmp_path: Path
) -> None:
    """While entries go to files and come back, every commit is made and nothing is lost."""
    accounts = await ask(database_url, "SELECT account_id FROM accounts WHERE currency = 'RUB'")
    account = accounts[-1][0]
    going, made = True, 0

    async def traffic() -> None:
        nonlocal made
        while going:
            made += len(await post(pool, account, ids.new_id()))  # type: ignore[arg-type]

    callers = [asyncio.create_task(traffic()) for _ in range(3)]
    for _ in range(2):
        assert len(await write(ledger, tmp_path)) == 2
        for _ in range(2):
            await asyncio.to_thread(archives.restore, ledger, tmp_path, lambda _step: None)
    going = False
    await asyncio.gather(*callers)
    assert made > 0
    assert await verify(ledger) == {}
