"""A cluster of Postgres servers that Patroni keeps, with etcd, all on this machine's loopback."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg
import yaml

from rehearsals import stage
from rehearsals.servers import AS_USER, BIN, Proxy, give_to_postgres

# Patroni's own bound, and what it allows with it.
TTL_SECONDS: Final = 20
LOOP_SECONDS: Final = 2
RETRY_SECONDS: Final = 3
HEALTHY_SECONDS_MAX = 120
STOPPING_SECONDS_MAX = 60
PATRONI = os.environ.get("PATRONI") or shutil.which("patroni") or ""
ETCD = shutil.which("etcd") or ""


def find_missing() -> str:
    """The programs that are not here; empty if all are."""
    found = {"patroni": PATRONI, "etcd": ETCD}
    return ", ".join(name for name, path in found.items() if not path)


@dataclass
class Node:
    """A server of Postgres with the Patroni that keeps it.

    What others reach it by goes through proxies, so that each way can be cut.

    Args:
        name: Its name in the cluster.
        folder: Where its files are.
        etcd_port: Where etcd listens.
        delay_seconds: From it to etcd, and from the others to it, in each direction.
        synchronous: Whether a commit waits for a standby.
    """

    name: str
    folder: Path
    etcd_port: int
    delay_seconds: float = 0
    synchronous: bool = True
    ports: list[int] = field(default_factory=lambda: stage.free_ports(2))
    etcd: Proxy = field(init=False)
    peers: Proxy = field(init=False)
    rest: Proxy = field(init=False)
    service: Proxy = field(init=False)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.etcd = Proxy(self.etcd_port)
        self.peers, self.service = Proxy(self.port), Proxy(self.port)
        self.rest = Proxy(self.ports[1])
        for proxy in (self.etcd, self.peers, self.rest):
            proxy.delay_seconds = self.delay_seconds
        self.folder.mkdir()
        give_to_postgres(self.folder)

    @property
    def port(self) -> int:
        """Where its Postgres listens."""
        return self.ports[0]

    @property
    def url(self) -> str:
        """The superuser's URL, past every proxy."""
        return (
            f"host=127.0.0.1 port={self.port} dbname=postgres user=postgres password=postgres"
            " connect_timeout=2"
        )

    async def start_proxies(self) -> None:
        """Must come before `start`, which tells their ports."""
        for proxy in (self.etcd, self.peers, self.rest, self.service):
            await proxy.start()

    def start(self) -> None:
        path = self.folder.with_suffix(".yml")
        path.write_text(yaml.safe_dump(self._configuration()))
        with self.folder.with_suffix(".log").open("ab") as log:
            self.process = subprocess.Popen(
                [*AS_USER, PATRONI, path], stdout=log, stderr=log, cwd="/", start_new_session=True
            )

    def stop(self) -> None:
        """Stops Patroni, which stops Postgres; whatever is left of them is killed."""
        if self.process:
            self.send(signal.SIGCONT)
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOPPING_SECONDS_MAX)
        self.send(signal.SIGKILL)
        if self.process:
            self.process.wait()

    def vanish(self) -> None:
        """Kill -9 of Patroni and of all processes of Postgres, as when their host is gone."""
        self.send(signal.SIGKILL)
        if self.process:
            self.process.wait()
        # As after a host's own restart.
        (self.folder / "data/postmaster.pid").unlink(missing_ok=True)

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to Patroni and to all processes of Postgres."""
        if self.process and self.process.poll() is None:
            os.kill(self.process.pid, number)
        self.send_postgres(number)

    def send_postgres(self, number: signal.Signals) -> None:
        """Sends a signal to all processes of Postgres."""
        with contextlib.suppress(OSError, IndexError):
            parent = int((self.folder / "data/postmaster.pid").read_text().split()[0])
            # Whatever has the process id of one that was killed is not this server.
            if Path(f"/proc/{parent}/cwd").readlink() != self.folder / "data":
                return
            for pid in [parent, *stage.children(parent)]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)

    def cut_off(self) -> None:
        """Lets nothing pass between this node and the others, nor between it and etcd."""
        for proxy in (self.etcd, self.peers, self.rest):
            proxy.stand_still()

    def join(self) -> None:
        """Ends what `cut_off` began; connections that stood still are reset."""
        for proxy in (self.etcd, self.peers, self.rest):
            proxy.cut()
            proxy.go_on()

    def ask(self, path: str, body: Any = None, timeout_seconds: float = 60) -> str:
        """What Patroni answers at a path of its REST API.

        Raises:
            OSError: It did not answer, or with a status of an error.
        """
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.ports[1]}{path}", data)
        with urllib.request.urlopen(request, timeout=timeout_seconds) as answer:
            text: str = answer.read().decode()
        return text

    def _configuration(self) -> dict[str, Any]:
        postgres = {"username": "postgres", "password": "postgres"}
        return {
            "scope": "ledger",
            "name": self.name,
            "restapi": {
                "listen": f"127.0.0.1:{self.ports[1]}",
                "connect_address": f"127.0.0.1:{self.rest.port}",
            },
            # As proxies: it would go past ours to where etcd says that it listens.
            "etcd3": {"host": f"127.0.0.1:{self.etcd.port}", "use_proxies": True},
            "bootstrap": {
                "dcs": {
                    "ttl": TTL_SECONDS,
                    "loop_wait": LOOP_SECONDS,
                    "retry_timeout": RETRY_SECONDS,
                    # Nothing is acknowledged that only one server has, also after a failover.
                    "synchronous_mode": self.synchronous,
                    "synchronous_mode_strict": self.synchronous,
                    "postgresql": {"use_pg_rewind": True},
                },
                "initdb": [{"encoding": "UTF8"}, "data-checksums", "no-sync"],
            },
            "postgresql": {
                "listen": f"127.0.0.1:{self.port}",
                "connect_address": f"127.0.0.1:{self.peers.port}",
                "data_dir": str(self.folder / "data"),
                "bin_dir": str(BIN),
                "pgpass": str(self.folder / "pgpass"),
                "authentication": {
                    "superuser": postgres,
                    "replication": {"username": "replicator", "password": "replicator"},
                },
                "pg_hba": [
                    "host all all 127.0.0.1/32 trust",
                    "host replication all 127.0.0.1/32 trust",
                    "local all all trust",
                ],
                "parameters": {
                    "unix_socket_directories": str(self.folder),
                    "max_connections": 100,
                    "shared_buffers": "64MB",
                    # A standby that is cut off gives up soon; so does the primary with it.
                    "wal_receiver_timeout": "5s",
                    "wal_sender_timeout": "5s",
                },
            },
        }


class Cluster:
    """Three nodes and one etcd.

    Args:
        folder: Where their files are; readable by all.
        round_trip_seconds: Between any two of them.
        synchronous: Whether a commit waits for a standby.
    """

    def __init__(
        self, folder: Path, round_trip_seconds: float = 0, *, synchronous: bool = True
    ) -> None:
        self._folder, self._synchronous = folder, synchronous
        self._etcd: subprocess.Popen[bytes] | None = None
        client, peer = stage.free_ports(2)
        self._etcd_ports = client, peer
        self.nodes = [
            Node(f"node{n}", folder / f"node{n}", client, round_trip_seconds / 2, synchronous)
            for n in (1, 2, 3)
        ]

    @property
    def url(self) -> str:
        """The superuser's URL with all nodes, of which the one that takes writes is meant."""
        return stage.database_url(*[node.service.port for node in self.nodes])

    async def start(self) -> None:
        self._start_etcd()
        for node in self.nodes:
            await node.start_proxies()
            node.start()
        await self.wait_until_healthy()

    def _start_etcd(self) -> None:
        client, peer = (f"http://127.0.0.1:{port}" for port in self._etcd_ports)
        with (self._folder / "etcd.log").open("ab") as log:
            self._etcd = subprocess.Popen(
                [
                    ETCD,
                    *("--data-dir", self._folder / "etcd"),
                    *("--listen-client-urls", client, "--advertise-client-urls", client),
                    *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
                    *("--initial-cluster", f"default={peer}"),
                ],
                stdout=log,
                stderr=log,
            )

    def stop(self) -> None:
        """Stops all that was started."""
        for node in self.nodes:
            node.stop()
        if self._etcd:
            self._etcd.terminate()
            self._etcd.wait(STOPPING_SECONDS_MAX)

    async def wait_until_healthy(self) -> Node:
        """Returns once both standbys stream, one of them synchronously if it is to; the leader."""
        wanted = ["leader", "replica", "sync_standby" if self._synchronous else "replica"]
        async with asyncio.timeout(HEALTHY_SECONDS_MAX):
            while True:
                members = await asyncio.to_thread(self._members)
                ready = [m for m in members if m["state"] in ("running", "streaming")]
                if sorted(member["role"] for member in ready) == wanted:
                    leader = next(m["name"] for m in members if m["role"] == "leader")
                    if all(m["role"] == "leader" or m["state"] == "streaming" for m in ready):
                        return next(node for node in self.nodes if node.name == leader)
                await asyncio.sleep(0.2)

    def _members(self) -> list[dict[str, Any]]:
        for node in self.nodes:
            with contextlib.suppress(OSError):
                answer = json.loads(node.ask("/cluster", timeout_seconds=2))
                members: list[dict[str, Any]] = answer["members"]
                return members
        return []


async def commits(node: Node) -> bool:
    """Whether a commit on a node itself is acknowledged, and by its standby.

    Raises:
        psycopg.Error: The node refuses it, or is lost meanwhile.
    """
    warned: list[object] = []
    async with await psycopg.AsyncConnection.connect(node.url, autocommit=True) as conn:
        conn.add_notice_handler(warned.append)
        await conn.execute("SELECT pg_logical_emit_message(true, 'rehearsal', '')")
    return not warned
