"""Back-up and restore to a point in time, rehearsed under load.

Usage: python -m rehearsals.restore [--seed N] [--clients 12]

A Postgres that archives its log, the real program on it, and clients that record what they saw.
`balance-service backup create` copies it while they go on; later a moment is noted, and more
happens after it. Then `balance-service restore` makes another server, as of that moment. What had
been acknowledged before it must be there, and nothing that was asked for after it; the ledger must
verify, and the service must serve from it.
"""

import argparse
import asyncio
import dataclasses
import functools
import secrets
import subprocess
import sys
import time
from pathlib import Path

from pydantic import SecretStr

from balance_service.config import Settings
from balance_service.database import backups, migrate
from rehearsals import checker, history, stage
from rehearsals.operation import Operation
from rehearsals.servers import BIN, USER, Postgres


async def main(options: argparse.Namespace, folder: Path) -> int:
    kept_in = folder / "backups"
    postgres = _archiving(folder / "postgres", backups.wal_folder(kept_in))
    made = [postgres]
    try:
        postgres.start()
        settings = stage.choose_settings(folder, postgres.url, 2)
        await asyncio.to_thread(migrate.up, postgres.url, stage.service_url(postgres.url))
        secret = await stage.create_caller(settings)
        accounts = await stage.open_accounts(settings, rules=stage.varied)
        target = f"127.0.0.1:{settings.grpc_port}"
        with stage.program(settings, folder / "service.log"):
            await stage.wait_until_serving(target)
            token = await asyncio.to_thread(stage.access_token, target, secret)
            clients = history.make_clients(target, token, accounts, options.clients, options.seed)
            stop = asyncio.Event()
            tasks = [asyncio.create_task(client.run(stop)) for client in clients]
            await asyncio.sleep(3)
            await asyncio.to_thread(_back_up, settings, postgres.url, kept_in)
            await asyncio.sleep(3)
            before = asyncio.get_running_loop().time()
            moment = await asyncio.to_thread(postgres.execute, "SELECT clock_timestamp()")
            after = asyncio.get_running_loop().time()
            await asyncio.sleep(3)
            stop.set()
            await asyncio.gather(*tasks)
        await asyncio.to_thread(postgres.execute, "SELECT pg_switch_wal()")
        # It archives what is left before it ends.
        postgres.stop()
        new, as_of = folder / "restored", moment[0][0].isoformat()
        seconds = await asyncio.to_thread(_restore, settings, kept_in, as_of, new / "data")
        restored = Postgres(new, existing=True)
        made.append(restored)
        restored.start()
        operations = [o for client in clients for o in client.operations]
        kept = _as_of(operations, before, after)
        anomalies = list(checker.find_anomalies(kept, checker.read_journal(restored.url)))
        anomalies += await stage.verify(restored.url)
        elsewhere = settings.model_copy(
            update={"database_url": SecretStr(stage.service_url(restored.url))}
        )
        with stage.program(elsewhere, folder / "service.log"):
            await stage.wait_until_serving(target)
    finally:
        for server in made:
            server.close()
    later = len(operations) - len(kept)
    print(
        f"{len(kept)} operations before the moment, {later} after it, restored in {seconds:.1f} s"
    )
    for anomaly in anomalies[:50]:
        print(f"ANOMALY  {anomaly}")
    print(f"seed {options.seed}: {len(anomalies)} anomalies")
    return 1 if anomalies else 0


def _archiving(folder: Path, wal: Path) -> Postgres:
    """A server that archives its log."""
    wal.mkdir(parents=True)
    wal.chmod(0o777)
    command = backups.archive_command(wal).replace("'", "''")
    return Postgres(folder, ("archive_mode=on", f"archive_command='{command}'"))


def _back_up(settings: Settings, superuser_url: str, folder: Path) -> None:
    """Makes a base back-up, as an operator types it."""
    there = settings.model_copy(update={"backup_database_url": SecretStr(superuser_url)})
    _type(there, "backup", "create", folder, "--programs", BIN)


def _restore(settings: Settings, folder: Path, moment: str, target: Path) -> float:
    """Makes a server of it as of a moment, likewise; how many seconds that took."""
    target.parent.mkdir()
    # Postgres's user passes through it.
    target.parent.chmod(0o755)
    began = time.monotonic()
    user = ("--user", USER) if USER else ()
    where = ("--backups", folder, "--programs", BIN, *user)
    _type(settings, "restore", "--to-time", moment, *where, target)
    return time.monotonic() - began


def _type(settings: Settings, *words: str | Path) -> None:
    command = [sys.executable, "-m", "balance_service", *words]
    env = settings.environment()
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout


def _as_of(operations: list[Operation], before: float, after: float) -> list[Operation]:
    """The history up to the moment, as far as it was known then.

    Args:
        operations: All.
        before: When Postgres was asked for the moment.
        after: When it had answered.
    """
    kept = []
    for operation in operations:
        if operation.returned < before:
            kept.append(operation)
        elif operation.invoked < after and not operation.is_read:
            # Perhaps in time and perhaps not: only that it is not there twice is sure.
            kept.append(
                dataclasses.replace(
                    operation,
                    outcome="unknown",
                    returned=float("inf"),
                    answer="",
                    reason="",
                    available_minor=None,
                    spent_minor=None,
                )
            )
    return kept


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--clients", type=int, default=12)
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}", flush=True)
    stage.run("restore", functools.partial(main, chosen))
