"""Back-up and restore to a point in time, rehearsed under load.

Usage: python -m rehearsals.restore [--seed N] [--clients 12]

A Postgres that archives its log, the real program on it, and clients that record what they saw. A
base back-up is taken while they go on; later a restore point is set, and more happens after it.
Then the back-up and the archive are made into another server, at that point. What had been
acknowledged before it must be there, and nothing that was asked for after it; the ledger must
verify, and the service must serve from it.
"""

import argparse
import asyncio
import dataclasses
import functools
import secrets
import time
from pathlib import Path

from pydantic import SecretStr

from balance_service.database import migrate
from rehearsals import checker, history, stage
from rehearsals.operation import Operation
from rehearsals.servers import Postgres

POINT = "before_the_mistake"


async def main(options: argparse.Namespace, folder: Path) -> int:
    archive = folder / "archive"
    archive.mkdir()
    archive.chmod(0o777)
    archiving = ("archive_mode=on", f"archive_command='cp %p {archive}/%f'")
    postgres = Postgres(folder / "postgres", archiving)
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
            restored = await asyncio.to_thread(Postgres, folder / "restored", (), postgres)
            made.append(restored)
            await asyncio.sleep(3)
            before = asyncio.get_running_loop().time()
            await asyncio.to_thread(postgres.execute, f"SELECT pg_create_restore_point('{POINT}')")
            after = asyncio.get_running_loop().time()
            await asyncio.sleep(3)
            stop.set()
            await asyncio.gather(*tasks)
        await asyncio.to_thread(postgres.execute, "SELECT pg_switch_wal()")
        postgres.stop()
        seconds = await asyncio.to_thread(_restore, restored, archive)
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
    print(f"{len(kept)} operations before the point, {later} after it, restored in {seconds:.1f} s")
    for anomaly in anomalies[:50]:
        print(f"ANOMALY  {anomaly}")
    print(f"seed {options.seed}: {len(anomalies)} anomalies")
    return 1 if anomalies else 0


def _restore(server: Postgres, archive: Path) -> float:
    """Makes a base back-up into a server as it was at the point; how many seconds that took."""
    began = time.monotonic()
    with (server.data / "postgresql.auto.conf").open("a") as conf:
        conf.write(
            f"restore_command = 'cp {archive}/%f %p'\n"
            f"recovery_target_name = '{POINT}'\n"
            "recovery_target_action = 'promote'\n"
            "archive_mode = off\n"
            "primary_conninfo = ''\n"
        )
    (server.data / "standby.signal").rename(server.data / "recovery.signal")
    server.start()
    while server.execute("SELECT pg_is_in_recovery()") == [(True,)]:
        time.sleep(0.1)
    return time.monotonic() - began


def _as_of(operations: list[Operation], before: float, after: float) -> list[Operation]:
    """The history up to the restore point, as far as it was known then.

    Args:
        operations: All.
        before: When setting the point began.
        after: When it had been set.
    """
    kept = []
    for operation in operations:
        if operation.returned < before:
            kept.append(operation)
        elif operation.invoked < after and operation.kind != "read":
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
