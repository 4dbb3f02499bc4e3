"""The service behind PgBouncer, which gives each transaction another session of Postgres.

Runs where PgBouncer 1.21 or later is installed, or `PGBOUNCER` names its program.
"""

import asyncio
import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import SecretStr

from balance_client import v1
from balance_service.database import roles
from balance_service.database.pool import Pool
from balance_service.domain.principals import Scope
from rehearsals import stage
from tests import postgres
from tests.service import StartService, Verified, rich

PROGRAM = os.environ.get("PGBOUNCER") or shutil.which("pgbouncer") or ""
OLDEST = (1, 21)
# Fewer than the service's connections, so that its transactions change sessions all the time.
SESSIONS = 3
CONFIG = """
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = {sessions}
max_prepared_statements = 200
logfile = {folder}/log
"""


def version() -> tuple[int, ...]:
    if not PROGRAM:
        return ()
    told = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"PgBouncer (\d+)\.(\d+)", told.stdout)
    assert found, told.stdout
    return tuple(map(int, found.groups()))


pytestmark = pytest.mark.skipif(
    version() < OLDEST, reason="needs PgBouncer 1.21 or later, on the path or named by PGBOUNCER"
)


@pytest.fixture
def pooled_url(database_url: str) -> Iterator[str]:
    """The service's URL through a pooler of the test's own."""
    parts, (port,) = conninfo_to_dict(database_url), stage.free_ports(1)
    with tempfile.TemporaryDirectory(prefix="balance-pooler-") as name:
        folder = Path(name)
        folder.chmod(0o777)
        config = folder / "pgbouncer.ini"
        host, behind = str(parts.get("host", "127.0.0.1")), parts.get("port", 5432)
        config.write_text(
            CONFIG.format(
                host=host, port=behind, listen_port=port, folder=folder, sessions=SESSIONS
            )
        )
        (folder / "users").write_text(f'"{roles.LOGIN_ROLE}" "{postgres.PASSWORD}"\n')
        # It refuses to serve as root, and may have to reach Postgres's socket.
        owner = Path(host).owner() if host.startswith("/") else "nobody"
        user = ["-u", owner] if os.getuid() == 0 else []
        with subprocess.Popen([PROGRAM, "-q", *user, str(config)]) as process:
            url = make_conninfo(postgres.of_service(database_url), host="127.0.0.1", port=port)
            try:
                _wait_until_it_answers(process, url)
                yield url
            finally:
                process.kill()


def _wait_until_it_answers(process: subprocess.Popen[bytes], url: str) -> None:
    for _ in range(100):
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(url, connect_timeout=5).close()
            return
        assert process.poll() is None
        time.sleep(0.05)


def test_settings_lie_at_the_role_whichever_session_is_given(pooled_url: str) -> None:
    roles.check_login(pooled_url)
    sessions = set()
    with (
        psycopg.connect(pooled_url) as first,
        psycopg.connect(pooled_url) as second,
        psycopg.connect(pooled_url) as third,
    ):
        for conn in (first, second, third):
            conn.execute("BEGIN")
            shown = conn.execute(
                "SELECT pg_backend_pid(), current_user, current_setting('enable_seqscan')"
            ).fetchone()
            assert shown
            assert shown[1:] == (roles.ROLE, "off")
            sessions.add(shown[0])
    assert len(sessions) == SESSIONS


async def test_money_moves_through_a_pooler(
    start_service: StartService, pooled_url: str, pool: Pool, verified: Verified
) -> None:
    service = await start_service(database_url=SecretStr(pooled_url), pool_size=10)
    people = [await rich(service) for _ in range(4)]
    reader = await service.sibling(Scope.ACCOUNTS_READ)

    async def busy(number: int) -> None:
        (person, own), (_, other) = people[number], people[number - 1]
        for _ in range(15):
            send = v1.CreateTransferRequest(from_account=own, to_account=other, amount="1")
            await person.client.transfers.CreateTransfer(send)
            await person.client.accounts.ListEntries(v1.ListEntriesRequest(account=own))
            await person.client.users.GetMe(v1.GetMeRequest())
            await reader.accounts.GetAccount(v1.GetAccountRequest(account=own))

    # Long enough for every statement to be prepared, in sessions that others prepared it in, too.
    await asyncio.gather(*[busy(number) for number in range(len(people)) for _ in range(3)])
    for person, account in people:
        assert await person.balance(account) == "1000.00"
    await verified()
