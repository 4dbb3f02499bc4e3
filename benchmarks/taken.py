"""What service and Postgres have taken of the machine so far."""

from dataclasses import dataclass

import psycopg

from benchmarks import stack

_TAKEN = """
SELECT
    (SELECT count(*) FROM movements),
    pg_current_wal_lsn() - '0/0'::pg_lsn,
    (SELECT sum(fsyncs) FROM pg_stat_io WHERE object = 'wal'),
    (SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'balance-service %'),
    pg_table_size('movements') + pg_table_size('entries'),
    pg_indexes_size('movements') + pg_indexes_size('entries'),
    pg_database_size(current_database())
"""


@dataclass(frozen=True)
class Taken:
    """What had been taken at some time.

    Args:
        movements: Written so far.
        log_bytes: Of Postgres's log.
        flushes: Of the log, to the disk.
        connections: Of the service.
        heap_bytes: In movements and entries.
        index_bytes: In their indexes.
        database_bytes: In the whole database.
        service_seconds: Of processors, by the service.
        postgres_seconds: By Postgres.
    """

    movements: float
    log_bytes: float
    flushes: float
    connections: float
    heap_bytes: float
    index_bytes: float
    database_bytes: float
    service_seconds: float
    postgres_seconds: float


def look(running: stack.Stack) -> Taken:
    with psycopg.connect(running.database, autocommit=True) as conn:
        row = conn.execute(_TAKEN).fetchone()
    assert row, "a query of one row"
    seconds = running.cpu_seconds()
    counts: list[float] = [*map(int, row), seconds["service"], seconds["postgres"]]
    return Taken(*counts)
