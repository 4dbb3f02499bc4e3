"""Puts old entries into files, and back, and verifies those files."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from balance_service.config import Settings
from balance_service.database import (
    archive_files,
    archive_loading,
    archive_rows,
    archiving,
    migrate,
    partitions,
)
from balance_service.database.archive_files import ORDERS, ArchiveBroken, Manifest
from balance_service.database.archive_rows import Span
from balance_service.database.archiving import ArchivingRefused
from balance_service.database.pool import Connection
from balance_service.domain.audit import Action
from balance_service.operations.acts import connect, event
from balance_service.repositories import archive_checks, archives, audit, audit_seals, verification
from balance_service.repositories.archives import Archive, Window
from balance_service.repositories.verification import FAULTS_SHOWN_MAX
from balance_service.repositories.verification_steps import Fault

# Entries stay in the database for so long at least.
AGE_DAYS = 365

_WRITTEN = "archive_is_as_written"
_FORWARD = "files_lead_to_brought_forward"


def list_all(settings: Settings) -> list[Archive]:
    """The periods that are in files, the oldest first."""

    async def ask() -> list[Archive]:
        async with await archiving.connect(settings.migration_url) as conn:
            return await archives.every(conn)

    return asyncio.run(ask())


def write(
    settings: Settings,
    folder: Path,
    before: datetime,
    age: timedelta = timedelta(days=AGE_DAYS),
    *,
    keep: bool = False,
    report: Callable[[str], None] = lambda _step: None,
) -> list[Manifest]:
    """Writes entries to files, verifies these, and takes the partitions out of the database.

    Args:
        settings: Name the database, by its owner.
        folder: The folder of archives.
        before: Periods that end then or earlier are written, the oldest first.
        age: How long ago a period must have ended.
        keep: Whether detached partitions stay, as tables of their own.
        report: Is told what is done now.

    Raises:
        ArchivingRefused: A period is too recent, or something still needs its entries.
        ArchiveBroken: The files differ from the partitions, or verification found a fault in them.
        psycopg.Error, OSError: A step failed. What was finished stays; the command goes on there.
    """
    if before > datetime.now(UTC) - age:
        raise ArchivingRefused(f"{before:%Y-%m-%d} is less than {age.days} days ago")
    with migrate.connected(settings.migration_url) as conn, migrate.locked(conn):
        found = partitions.read(conn)

        async def run() -> list[Manifest]:
            async with await archiving.connect(settings.migration_url) as own:
                if not keep:
                    await _drop_left_behind(own)
                horizon = await archives.horizon(own)
                spans = archiving.spans(found, horizon.ends_at if horizon else None)
                chosen = [span for span in spans if span.ends_at <= before]
                return [
                    await _write(settings, own, span, folder, keep=keep, report=report)
                    for span in chosen
                ]

        return asyncio.run(run())


def restore(settings: Settings, folder: Path, report: Callable[[str], None]) -> Archive:
    """Puts the entries that were written last back into the database.

    Args:
        settings: Name the database, by its owner.
        folder: The folder of archives.
        report: Is told what is done now.

    Raises:
        ArchivingRefused: No entries are in files, or a table is in the way.
        ArchiveBroken: The files are not as they were written.
    """
    with migrate.connected(settings.migration_url) as conn, migrate.locked(conn):

        async def run() -> Archive:
            async with await archiving.connect(settings.migration_url) as own:
                return await _restore(own, folder, report)

        return asyncio.run(run())


async def find_faults(settings: Settings, folder: Path) -> dict[str, list[Fault]]:
    """What is wrong with the files of all periods, by check, at most FAULTS_SHOWN_MAX each.

    Args:
        settings: Name the database.
        folder: The folder of archives.
    """
    faults: dict[str, list[Fault]] = {check: [] for check in archive_checks.CHECKS}
    async with (
        connect(settings) as connections,
        connections.connection() as conn,
        conn.transaction(),
    ):
        await archive_loading.begin(conn, from_stored=False)
        periods = await archives.every(conn)
        whole = True
        for period in periods:
            place = archive_files.place_of(folder, period.ends_at)
            broken = _find_changes(place, period)
            faults[_WRITTEN] += broken
            # Entries follow from those before: after a file that cannot be read, none are told.
            unreadable = str(archive_files.manifest_of(place))
            whole = whole and all(fault.subject != unreadable for fault in broken)
            if whole:
                found, whole = await _find_in_period(conn, place)
                for check, more in found.items():
                    faults[check] = [*faults.get(check, ()), *more][:FAULTS_SHOWN_MAX]
        if whole:
            differences = await archive_loading.find_differences(conn, FAULTS_SHOWN_MAX)
            faults[_FORWARD] = [Fault(*each) for each in differences]
    return faults


async def _write(
    settings: Settings,
    conn: Connection,
    span: Span,
    folder: Path,
    *,
    keep: bool,
    report: Callable[[str], None],
) -> Manifest:
    await archiving.refuse_obstacles(conn, span.ends_at)
    await archiving.seal(conn, span)
    try:
        place = archive_files.place_of(folder, span.ends_at)
        if not place.exists():
            report(f"{place}: writing it")
            await archive_rows.write(conn, span, place)
        report(f"{place}: verifying it")
        manifest = archive_files.read_manifest(place)
        await _insist(settings, place, manifest)
        for table, name in span.tables.items():
            path, columns = archive_files.path_of(place, table), manifest.files[table].columns
            if not await archive_files.equals(path, archive_rows.rows(conn, table, name, columns)):
                raise ArchiveBroken(f"{path} has other rows than {name}")
        report(f"{place}: taking its entries out of the database")
        async with conn.transaction():
            await archiving.take_out(conn, span, manifest)
            told = event(Action.ENTRIES_ARCHIVED, "ledger", after=_told(manifest))
            await audit.record(conn, told)
    except BaseException:
        await archiving.unseal(conn, span)
        raise
    await _seal_audit(conn)
    if not keep:
        await archiving.drop(conn, span.tables.values())
    return manifest


async def _restore(conn: Connection, folder: Path, report: Callable[[str], None]) -> Archive:
    periods = await archives.every(conn)
    if not periods:
        raise ArchivingRefused("no entries are in files")
    period = periods[-1]
    place = archive_files.place_of(folder, period.ends_at)
    manifest = archive_files.read_manifest(place)
    if changes := _find_changes(place, period):
        raise ArchiveBroken(_tell(changes))
    span = Span(period.starts_at, period.ends_at, _names(period.starts_at))
    if there := await archiving.tables(conn, span.tables.values()):
        raise ArchivingRefused(f"{', '.join(there)}: drop or rename it first")
    for table, file in manifest.files.items():
        path = archive_files.path_of(place, table)
        report(f"{path}: reading it")
        with archive_files.opened(path) as blocks:
            name = await archiving.fill(conn, span, table, file, blocks)
        stored = archive_rows.rows(conn, table, name, file.columns)
        if not await archive_files.equals(path, stored):
            raise ArchiveBroken(f"{path} has other rows than were read from it")
    async with conn.transaction():
        await archiving.put_back(conn, span)
        told = event(Action.ENTRIES_RESTORED, "ledger", before=_told(manifest))
        await audit.record(conn, told)
    await _seal_audit(conn)
    return period


async def _insist(settings: Settings, place: Path, manifest: Manifest) -> None:
    """Insists that the files of the next period are right, by all that can be checked."""
    faults = {_WRITTEN: [Fault(*each) for each in archive_files.find_faults(place, manifest)]}
    async with await archiving.connect(settings.migration_url) as conn, conn.transaction():
        await archive_loading.begin(conn, from_stored=True)
        found, _ = await _find_in_period(conn, place)
    for each in (faults, found):
        for check, faults_ in each.items():
            if faults_:
                raise ArchiveBroken(f"{place}: {check}: {_tell(faults_)}")


async def _find_in_period(conn: Connection, place: Path) -> tuple[dict[str, list[Fault]], bool]:
    """What is wrong with a period's entries, and whether those after it can be looked at."""
    manifest = archive_files.read_manifest(place)
    since = manifest.starts_at.isoformat() if manifest.starts_at else "-infinity"
    window = Window(since, manifest.ends_at.isoformat())
    await archive_loading.empty(conn)
    try:
        async with conn.transaction():
            sums = await archive_loading.load(conn, place, manifest.files)
            found: dict[str, list[Fault]] = defaultdict(list)
            found |= await verification.verify_period(conn, window)
            if sums != (expected := archive_loading.expected(manifest)):
                found[_WRITTEN] = [Fault(str(place), sums, expected)]
            await archive_loading.carry_forward(conn)
    except ArchiveBroken as error:
        return {_WRITTEN: [Fault(str(place), error, "can be read")]}, False
    return found, True


def _find_changes(place: Path, period: Archive) -> list[Fault]:
    """Where a folder is not what the database says that was written."""
    try:
        manifest = archive_files.read_manifest(place)
    except ArchiveBroken as error:
        return [Fault(str(archive_files.manifest_of(place)), error, "can be read")]
    told = archive_rows.values(manifest)
    stored = {
        name: value.hex() if isinstance(value, bytes) else value
        for name, value in period._asdict().items()
        if name in told
    }
    faults = [
        Fault(f"{place} {name}", told[name], stored[name])
        for name in told
        if told[name] != stored[name]
    ]
    return faults + [Fault(*each) for each in archive_files.find_faults(place, manifest)]


async def _drop_left_behind(conn: Connection) -> None:
    """Drops what was detached and is in files."""
    for period in await archives.every(conn):
        await archiving.drop(conn, _names(period.starts_at).values())


async def _seal_audit(conn: Connection) -> None:
    async with conn.transaction():
        await audit_seals.seal(conn)


def _names(starts_at: datetime | None) -> dict[str, str]:
    """The partitions of a period, by table."""
    return {
        table: partitions.name_of(table, starts_at) if starts_at else f"{table}_before"
        for table in ORDERS
    }


def _told(manifest: Manifest) -> dict[str, str]:
    """What the audit log has of it."""
    return {
        "starts_at": manifest.starts_at.isoformat() if manifest.starts_at else "",
        "ends_at": manifest.ends_at.isoformat(),
        **{f"{table}_sha256": file.sha256 for table, file in manifest.files.items()},
    }


def _tell(faults: list[Fault]) -> str:
    subject, stored, computed = faults[0]
    return f"{subject}: {stored}, should be {computed}"
