"""Makes back-ups, and servers of them that are held to their own entries."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from pydantic import SecretStr

from balance_service.config import Settings
from balance_service.database import backups, cluster, migrate, restoring
from balance_service.database.backups import Backup, BackupFailed
from balance_service.database.pool import transaction
from balance_service.operations import administration
from balance_service.operations.acts import connect
from balance_service.repositories import audit_seals
from balance_service.repositories.verification import Report


class Restored(NamedTuple):
    """A server that was made, and what `verify` says of it."""

    backup: Backup
    report: Report


class Asked(NamedTuple):
    """What is to be restored.

    Args:
        folder: The folder of back-ups.
        moment: As of when; None for all that the archive has.
        target: The new data directory.
        restore_command: Fetches a file of the log; empty for from the folder of back-ups.
        programs: The folder of Postgres's programs; empty to look for it.
        user: Whom Postgres runs as where this is root; empty to choose one.
    """

    folder: Path
    moment: datetime | None
    target: Path
    restore_command: str = ""
    programs: str = ""
    user: str = ""


def create(settings: Settings, folder: Path, programs: str, *, show_progress: bool) -> Backup:
    """Makes a base back-up of the database's server; as of `backups.create`.

    Raises:
        BackupFailed: Also of a cluster, of which one server is not the ledger.
    """
    with migrate.connected(settings.migration_url) as conn:
        if cluster.distributed(conn):
            raise BackupFailed(
                "the ledger is distributed over a cluster: back up each of its servers, as"
                " docs/operating/cluster.md says"
            )
    url = settings.backup_database_url.get_secret_value() or settings.migration_url
    return backups.create(url, folder, programs, show_progress=show_progress)


def restore(
    settings: Settings, asked: Asked, report_progress: Callable[[int, int], None]
) -> Restored:
    """Makes a server of a back-up, as it was at a moment, and recomputes its ledger.

    Args:
        settings: Name the database and the role that it is looked at by; not where it is.
        asked: What is to be restored.
        report_progress: Is told how many files are copied, of how many.

    Raises:
        BackupFailed: It cannot be made; the target may have a part of it.
        OSError: Something cannot be read or written.
    """
    # Before anything is read: a back-up is large.
    restoring.check_target(asked.target)
    backup = backups.choose(asked.folder, asked.moment)
    programs = backups.find_programs(backup.postgres, asked.programs)
    base = backups.base_folder(asked.folder) / backup.name
    backups.verify_files(programs, base)
    wal = backups.wal_folder(asked.folder)
    user = restoring.choose_user(asked.user, wal)
    fetch = asked.restore_command or restoring.restore_command(wal)
    plan = restoring.Plan(base, fetch, asked.moment, asked.target, programs, user)
    restoring.copy(plan, report_progress)
    with restoring.recovered(plan) as socket_folder:
        url = backups.on_socket(settings.database_url.get_secret_value(), socket_folder)
        there = settings.model_copy(update={"database_url": SecretStr(url)})
        return Restored(backup, asyncio.run(_verify(there)))


async def _verify(settings: Settings) -> Report:
    """Seals what was not sealed yet at that moment, as a worker would have; then recomputes."""
    async with connect(settings) as connections:
        sealing = True
        while sealing:
            async with transaction(connections) as conn:
                sealing = await audit_seals.seal(conn) is not None
    return await administration.verify(settings)
