"""What row-level security would cost a read: `python -m benchmarks.row_security`.

Reads accounts as the service does, many callers' in one query, and as a policy by owner would have
it, each caller's in a transaction that says who they are. On an embedded Postgres of its own.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import psycopg

from balance_service.database import embedded, migrate
from balance_service.domain import ids
from rehearsals import stage

ACCOUNTS = 10_000
READS = 20_000
# As many as share a query when a few dozen callers ask at once.
GATHERED = 50
READ = "SELECT account_id, balance_minor FROM accounts WHERE account_id = ANY(%s)"
SAY = "SELECT set_config('balance.owner', %s, true)"
POLICY = """
ALTER TABLE accounts ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON accounts
USING (owner_id = nullif(current_setting('balance.owner', true), '')::uuid);
"""


def main() -> None:
    """Prints the processor time and the time of a read, each way."""
    with tempfile.TemporaryDirectory(prefix="balance-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with embedded.running(folder / "postgres") as url:
            migrate.up(url, stage.service_url(url))
            owners = _open_accounts(url)
            with psycopg.connect(stage.service_url(url), autocommit=True) as conn:
                _report("gathered, no policy", lambda: _gathered(conn, owners))
                _report("one by one, no policy", lambda: _single(conn, owners))
                with psycopg.connect(url, autocommit=True) as owner:
                    owner.execute(POLICY)
                _report("one by one, policy", lambda: _with_policy(conn, owners))


def _open_accounts(url: str) -> list[tuple[UUID, UUID]]:
    opened = [(ids.new_id(), ids.new_id()) for _ in range(ACCOUNTS)]
    with psycopg.connect(url) as conn:
        conn.cursor().executemany(
            "INSERT INTO accounts (account_id, owner_id, number, currency, created_at, changed_at)"
            " VALUES (%s, %s, %s, 'RUB', now(), now())",
            [(*pair, 1_000_000_000 + place) for place, pair in enumerate(opened)],
        )
    return opened


def _gathered(conn: psycopg.Connection, owners: list[tuple[UUID, UUID]]) -> None:
    for start in range(0, READS, GATHERED):
        asked = [owners[(start + n) % ACCOUNTS][0] for n in range(GATHERED)]
        assert len(conn.execute(READ, (asked,)).fetchall()) == GATHERED


def _single(conn: psycopg.Connection, owners: list[tuple[UUID, UUID]]) -> None:
    for read in range(READS):
        account_id, _ = owners[read % ACCOUNTS]
        assert conn.execute(READ, ([account_id],)).fetchone()


def _with_policy(conn: psycopg.Connection, owners: list[tuple[UUID, UUID]]) -> None:
    for read in range(READS):
        account_id, owner_id = owners[read % ACCOUNTS]
        # In one round trip, as the service would send it.
        with conn.pipeline():
            conn.execute("BEGIN")
            conn.execute(SAY, (str(owner_id),))
            found = conn.execute(READ, ([account_id],))
            conn.execute("COMMIT")
        assert found.fetchone()


def _report(name: str, read: Callable[[], None]) -> None:
    started = time.perf_counter()
    read()
    micros = (time.perf_counter() - started) / READS * 1e6
    print(f"{name:24} {micros:7.1f} µs a read")


if __name__ == "__main__":
    main()
