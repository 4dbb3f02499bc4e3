"""The ledger on Citus: which table lies where, and moving each there.

A row of a distributed table lies on the shard that the hash of one column decides, and tables that
are placed beside each other have their rows of equal values on one shard: what is decided under an
account's lock is read there. All other tables are whole, on the coordinator.
See docs/operating/cluster.md.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

import psycopg

EXTENSION: Final = "citus"
SHARDS: Final = 32
# Tables of equal columns' types, none of which is beside the other.
_ALONE: Final = "none"


class Placed(NamedTuple):
    """Where the rows of a distributed table lie.

    Args:
        column: Whose hash decides it.
        beside: The table whose rows of equal values lie on the same shards; none if empty.
    """

    column: str
    beside: str = ""


# Whose rows grow with the movements. A table comes after the one that it is beside.
DISTRIBUTED: Final = {
    "accounts": Placed("account_id"),
    "account_changes": Placed("account_id", "accounts"),
    "entries": Placed("account_id", "accounts"),
    "holds": Placed("account_id", "accounts"),
    "limit_ends": Placed("account_id", "accounts"),
    "purchases": Placed("account_id", "accounts"),
    "quote_uses": Placed("account_id", "accounts"),
    "movements": Placed("movement_id"),
    "covered_movements": Placed("movement_id", "movements"),
    "follows": Placed("original_id", "movements"),
    "system_entries": Placed("movement_id", "movements"),
    "caller_references": Placed("reference"),
    "external_references": Placed("reference", "caller_references"),
    "movement_labels": Placed("value"),
}

# Whole, on the coordinator: who people are and how accounts are called, what the service works off,
# and what has one order for all.
LOCAL: Final = frozenset(
    {
        "account_numbers",
        "account_owners",
        "approvals",
        "archives",
        "audit_events",
        "audit_seals",
        "audit_unsealed",
        "brought_forward",
        "checkpoints",
        "client_certificates",
        "client_secrets",
        "confirmation_codes",
        "event_exporters",
        "events",
        "exchange_rates",
        "external_ids",
        "idempotency_keys",
        "known_askers",
        "ledger_totals",
        "outbox",
        "quotes",
        "rate_fetches",
        "rate_sheets",
        "recovery_codes",
        "refresh_tokens",
        "schedule_occurrences",
        "schedules",
        "schema_migrations",
        "second_factors",
        "service_principals",
        "service_sales",
        "services",
        "sessions",
        "sign_in_quotas",
        "signing_keys",
        "sub_accounts",
        "subject_external_ids",
        "system_accounts",
        "system_brought_forward",
        "system_deltas",
        "totals_progress",
        "uncovered_history",
        "users",
        "verifications",
        "waiting_receipts",
        "webhook_deliveries",
        "webhook_endpoints",
    }
)

_INSTALLED = "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = %s)"
_FOUND = """
SELECT
    logicalrelid::text,
    column_to_column_name(logicalrelid, partkey),
    count(shardid),
    citus_total_relation_size(logicalrelid)
FROM pg_dist_partition
JOIN pg_dist_shard USING (logicalrelid)
WHERE partmethod = 'h'
GROUP BY logicalrelid, partkey
"""
_CATALOGUE = "SELECT to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL"
_LEDGER = "SELECT FROM pg_dist_partition WHERE logicalrelid = 'movements'::regclass"
# Copies no rows. Citus commits a single write on its worker before the coordinator's own rows,
# unless rows are copied in the same transaction: then it prepares every part.
_IN_TWO_PHASES = "INSERT INTO limit_ends (account_id) SELECT * FROM unnest('{}'::uuid[])"
_WORKERS = "SELECT count(*) FROM pg_dist_node WHERE isactive AND shouldhaveshards"
# The service looks for references nowhere else on a cluster, where no version before 0004 runs.
_MOVE_REFERENCES = """
INSERT INTO caller_references (reference, source, principal, movement_id)
SELECT e.reference, e.source, m.principal, e.movement_id
FROM external_references AS e
JOIN movements AS m ON m.movement_id = e.movement_id
ON CONFLICT DO NOTHING
"""
_SUB_ACCOUNTS = "SELECT EXISTS (SELECT FROM sub_accounts)"
_PARTITIONED = "SELECT relname FROM pg_class WHERE oid = to_regclass(%s) AND relkind = 'p'"


class ClusterUnfit(Exception):  # noqa: N818 - it is what it says
    """The database is not on a cluster that tables can be distributed on."""


@dataclass(frozen=True, slots=True)
class Table:
    """A distributed table, or one that is to be.

    Args:
        name: Its own.
        placed: Where its rows are to lie.
        shards: How many it has; 0 while it is whole.
        size: Bytes that it takes on all servers, with its indexes.
    """

    name: str
    placed: Placed
    shards: int = 0
    size: int = 0

    def facts(self) -> dict[str, object]:
        """It as operators are shown it."""
        return {
            "name": self.name,
            "by": self.placed.column,
            "beside": self.placed.beside,
            "shards": self.shards,
            "bytes": self.size,
        }


def installed(conn: psycopg.Connection) -> bool:
    """Whether the database is one of a cluster, distributed or not."""
    found = conn.execute(_INSTALLED, (EXTENSION,)).fetchone()
    return bool(found and found[0])


def distributed(conn: psycopg.Connection) -> bool:
    """Whether the ledger's tables are distributed."""
    return installed(conn) and any(table.shards for table in read(conn))


async def is_distributed(conn: psycopg.AsyncConnection) -> bool:
    """As `distributed`, for who only asks for the ledger's sake."""
    catalogue = await (await conn.execute(_CATALOGUE)).fetchone()
    if catalogue is None or not catalogue[0]:
        return False
    return await (await conn.execute(_LEDGER)).fetchone() is not None


async def refuse_standbys(conn: psycopg.AsyncConnection) -> None:
    """Refuses to read from standbys of a cluster: one of a server is at no moment of the others.

    Raises:
        ClusterUnfit: It is one.
    """
    if await is_distributed(conn):
        raise ClusterUnfit(
            "BALANCE_REPLICA_URL must not be set: the ledger is distributed over a cluster, whose"
            " standbys are not read from"
        )


async def commit_in_two_phases(conn: psycopg.AsyncConnection) -> None:
    """Has a transaction on a cluster be committed on all servers or on none."""
    await conn.execute(_IN_TWO_PHASES)


def read(conn: psycopg.Connection) -> list[Table]:
    """The tables that are distributed or are to be, in the order in which they are made so.

    Raises:
        ClusterUnfit: The database is not one of a cluster, or a table is distributed by another
            column.
    """
    if not installed(conn):
        raise ClusterUnfit(
            "the database has no extension citus: see docs/operating/cluster.md for how to make one"
        )
    found = {name: rest for name, *rest in conn.execute(_FOUND).fetchall()}
    tables = []
    for name, placed in DISTRIBUTED.items():
        column, shards, size = found.get(name, (placed.column, 0, 0))
        if column != placed.column:
            raise ClusterUnfit(f"{name} is distributed by {column}, not by {placed.column}")
        tables.append(Table(name, placed, shards, size))
    return tables


def distribute(
    conn: psycopg.Connection,
    shards: int | None = None,
    report: Callable[[str], None] | None = None,
) -> list[str]:
    """Distributes the tables that are whole, with what they have.

    Nobody can write to a table while that lasts.

    Args:
        conn: Signed in as the owner, in autocommit mode, holding the lock of `migrate`.
        shards: How many a table gets that is beside no other; by default as many as the others
            have, or SHARDS.
        report: Told the name of each table before it is distributed.

    Returns:
        The names of the tables that this call distributed.

    Raises:
        ClusterUnfit: As `read`; or no server takes shards, the journal is partitioned already, or
            an account has sub-accounts.
    """
    found = read(conn)
    whole = [table for table in found if not table.shards]
    if whole:
        _check(conn, whole)
        if any(table.name == "caller_references" for table in whole):
            conn.execute(_MOVE_REFERENCES)
    shards = shards or max(table.shards for table in found) or SHARDS
    for table in whole:
        if report:
            report(table.name)
        with conn.transaction():
            conn.execute("SELECT set_config('citus.shard_count', %s, true)", (str(shards),))
            conn.execute(
                "SELECT create_distributed_table(%s, %s, colocate_with => %s)",
                (table.name, table.placed.column, table.placed.beside or _ALONE),
            )
            # Else the rows of before stay in the coordinator's own, hidden, table.
            conn.execute(
                "SELECT truncate_local_data_after_distributing_table(%s::regclass)", (table.name,)
            )
    return [table.name for table in whole]


def _check(conn: psycopg.Connection, whole: list[Table]) -> None:
    workers = conn.execute(_WORKERS).fetchone()
    if not workers or not workers[0]:
        raise ClusterUnfit("no server of the cluster takes shards: add one with citus_add_node")
    if (found := conn.execute(_SUB_ACCOUNTS).fetchone()) and found[0]:
        raise ClusterUnfit(
            "accounts have sub-accounts, which a cluster does not have: take them away first, by"
            " `balance-service account sub-accounts`"
        )
    for table in whole:
        if conn.execute(_PARTITIONED, (table.name,)).fetchone():
            raise ClusterUnfit(
                f"{table.name} is partitioned, and only whole tables are distributed"
            )
