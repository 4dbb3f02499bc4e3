"""What is measured: an embedded Postgres with fsync on, and the real program on it."""

import asyncio
import contextlib
import os
import random
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from balance_client import Client, v1
from balance_service.config import Settings
from balance_service.database import embedded, migrate
from balance_service.development import demo_data
from balance_service.domain import ids
from rehearsals import stage

TICKS = os.sysconf("SC_CLK_TCK")
# Accounts that calls are about; more may lie around them in the tables.
USED = 10_000
POSTGRES = {
    "shared_buffers": "512MB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "15min",
    "max_connections": "200",
    "fsync": "on",
    "synchronous_commit": "on",
}


@dataclass
class Stack:
    """A running service with accounts.

    Args:
        door: What answers its ports.
        target: Host and port where it listens for gRPC.
        http_target: Host and port where it listens for HTTP.
        database: Its Postgres, as the superuser.
        token: A sibling service's, with every scope.
        accounts: Ids of rich accounts in roubles.
        service: A catalogue service's id.
        program: The supervisor of its workers.
        folder: Where its files are.
    """

    door: str
    target: str
    http_target: str
    database: str
    token: str
    accounts: list[str]
    service: str
    program: subprocess.Popen[bytes]
    folder: Path

    def cpu_seconds(self) -> dict[str, float]:
        """Processor time so far: of the service and of Postgres, their children included."""
        pid = int((self.folder / "postgres/postmaster.pid").read_text().split()[0])
        return {"service": family_seconds(self.program.pid), "postgres": family_seconds(pid)}

    def memory_mib(self) -> list[float]:
        """Resident memory of each worker."""
        workers = stage.workers(self.program)
        pages = [Path(f"/proc/{pid}/statm").read_text().split()[1] for pid in workers]
        return [int(count) * os.sysconf("SC_PAGE_SIZE") / 2**20 for count in pages]


@contextlib.contextmanager
def running(workers: int, changes: Mapping[str, object] | None = None) -> Iterator[Stack]:
    """Starts everything, with the default door, and stops it.

    Args:
        workers: Of the service.
        changes: Settings that are not those of load.
    """
    with behind([Settings.model_fields["door"].default], workers, settings=changes) as stacks:
        yield stacks[0]


@contextlib.contextmanager
def behind(
    doors: Sequence[str],
    workers: int,
    accounts: int = USED * 2,
    settings: Mapping[str, object] | None = None,
) -> Iterator[Sequence[Stack]]:
    """Starts one Postgres and, for each door, the service; and stops all.

    Args:
        doors: As of the setting.
        workers: Of each service.
        accounts: As of `open_accounts`.
        settings: That are not those of load.
    """
    with contextlib.ExitStack() as started:
        name = started.enter_context(tempfile.TemporaryDirectory(prefix="balance-bench-"))
        folder = Path(name)
        folder.chmod(0o755)
        with embedded.running(folder / "postgres") as url:
            _configure(url)
        url = started.enter_context(embedded.running(folder / "postgres"))
        migrate.up(url, stage.service_url(url))
        used = open_accounts(url, accounts)
        common = stage.choose_settings(folder, url, workers)
        asyncio.run(demo_data.load(common))
        secret = asyncio.run(stage.create_caller(common))
        stacks = []
        for door in doors:
            grpc_port, http_port = stage.free_ports(2)
            ports = {"grpc_port": grpc_port, "http_port": http_port}
            changes = {"log_level": "warning", "door": door, "connect": door == "envoy"}
            chosen = common.model_copy(update=changes | ports | dict(settings or {}))
            program = started.enter_context(stage.program(chosen))
            target = f"127.0.0.1:{grpc_port}"
            asyncio.run(stage.wait_until_serving(target))
            token = stage.access_token(target, secret)
            http = f"127.0.0.1:{http_port}"
            service = _service(target)
            stacks.append(Stack(door, target, http, url, token, used, service, program, folder))
        yield stacks


def _service(target: str) -> str:
    """A catalogue service's id."""
    with Client(target) as client:
        return client.purchases.ListServices(v1.ListServicesRequest()).services[0].id


def open_accounts(url: str, count: int) -> list[str]:
    """Opens rich accounts; the ids of those that calls are about.

    They are written straight into the tables, for there are many and their history is not measured.

    Args:
        url: Of the database, as the superuser.
        count: How many, of which USED are for calls and as many for plain SQL.
    """
    opened = [ids.new_id() for _ in range(count)]
    now = datetime.now(UTC)
    with psycopg.connect(url) as conn:
        with conn.cursor().copy(
            "COPY accounts (account_id, owner_id, number, currency, balance_minor, created_at,"
            " changed_at) FROM STDIN"
        ) as copy:
            for account in opened:
                copy.write_row((account, ids.new_id(), 1, "RUB", 10**14, now, now))
        conn.execute("CREATE TABLE bench (n int PRIMARY KEY, account_id uuid)")
        # Those that plain SQL moves money between lie beside those of the service.
        chosen = random.Random(1).sample(opened, USED * 2)
        used, plain = chosen[:USED], chosen[USED:]
        with conn.cursor().copy("COPY bench FROM STDIN") as copy:
            for number, account in enumerate(plain, 1):
                copy.write_row((number, account))
        conn.execute("GRANT SELECT ON bench TO balance_service")
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("VACUUM ANALYZE")
    return [str(account) for account in used]


def _configure(url: str) -> None:
    """Writes settings that take effect when the server starts again."""
    with psycopg.connect(url, autocommit=True) as conn:
        for name, value in POSTGRES.items():
            conn.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())


def family_seconds(pid: int) -> float:
    """Processor time so far of a process and of those that it started."""
    total = 0.0
    for member in [pid, *stage.children(pid)]:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            text = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
            # utime and stime; of the parent, also those of its children that have ended.
            total += sum(map(int, text[11:15] if member == pid else text[11:13])) / TICKS
    return total
