"""The ledger's tables on a Citus cluster: where each lies, and how they come there."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from balance_service.database import cluster, migrate, roles
from balance_service.database import pool as pools
from balance_service.database.cluster import DISTRIBUTED, LOCAL, ClusterUnfit
from tests import cluster as clusters
from tests import postgres
from tests.cli import Cli
from tests.commits import commit
from tests.integration.test_commit_path import deposit, open_accounts, transfer
from tests.integration.test_references import refer
from tests.test_image import SERVICES

_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
_COLUMNS = """
SELECT attname FROM pg_index
CROSS JOIN LATERAL unnest(indkey) AS number
JOIN pg_attribute ON attrelid = indrelid AND attnum = number
WHERE indrelid = %s::regclass AND indexrelid = %s::regclass
"""
_UNIQUE = (
    "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = %s::regclass AND indisunique"
)


@pytest.fixture
def empty_cluster_url() -> Iterator[str]:
    clusters.skip_without()
    with clusters.empty_database(f"test_{secrets.token_hex(8)}") as url:
        yield url


def test_every_table_is_placed_once(database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        tables = {name for (name,) in conn.execute(_TABLES).fetchall()}
    assert not DISTRIBUTED.keys() & LOCAL
    assert tables == DISTRIBUTED.keys() | LOCAL


def test_unique_keys_contain_the_column_that_tables_are_distributed_by(database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        for table, placed in DISTRIBUTED.items():
            for (index,) in conn.execute(_UNIQUE, (table,)).fetchall():
                columns = {name for (name,) in conn.execute(_COLUMNS, (table, index)).fetchall()}
                assert placed.column in columns, index


def test_plain_postgres_is_no_cluster(database_url: str) -> None:
    with migrate.connected(database_url) as conn:
        assert not cluster.installed(conn)
        with pytest.raises(ClusterUnfit, match="no extension citus"):
            cluster.distribute(conn)


def test_tables_lie_where_they_are_placed(cluster_url: str) -> None:
    with migrate.connected(cluster_url) as conn:
        found = cluster.read(conn)
        beside = conn.execute(
            "SELECT array_agg(logicalrelid::text ORDER BY logicalrelid::text)"
            " FROM pg_dist_partition GROUP BY colocationid"
        ).fetchall()
        assert cluster.distributed(conn)
        # Again, it finds all as it should be.
        assert cluster.distribute(conn) == []
    assert {table.shards for table in found} == {clusters.SHARDS}
    expected = {name: {name} for name, placed in DISTRIBUTED.items() if not placed.beside}
    for name, placed in DISTRIBUTED.items():
        expected[placed.beside or name].add(name)
    assert sorted(map(set, (names for (names,) in beside)), key=sorted) == sorted(
        expected.values(), key=sorted
    )


def test_role_of_the_service_is_fit_to_serve_on_a_cluster(cluster_url: str) -> None:
    url = postgres.of_service(cluster_url)
    roles.check_login(url)
    with psycopg.connect(url) as conn:
        # The workers sign it in, too.
        assert conn.execute("SELECT count(*) FROM movements").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("DELETE FROM movements")


async def test_what_a_ledger_has_goes_along(empty_cluster_url: str, tmp_path: Path) -> None:
    migrate.up(empty_cluster_url, postgres.of_service(empty_cluster_url))
    async with pools.create(postgres.of_service(empty_cluster_url), 2) as pool:
        sender, receiver = await open_accounts(pool, 2)
        await commit(pool, deposit(sender, 100), transfer(sender, receiver, 30))
        await commit(pool, refer(sender, "service:test"))
    before = contents(empty_cluster_url)
    with psycopg.connect(empty_cluster_url) as conn:
        # As a version before 0004 left it.
        conn.execute("DELETE FROM caller_references")
    cli = Cli(
        {
            "PATH": os.environ["PATH"],
            "BALANCE_OWNER_DATABASE_URL": empty_cluster_url,
            "BALANCE_DATABASE_URL": postgres.of_service(empty_cluster_url),
            "BALANCE_DATA_DIR": str(tmp_path),
        }
    )
    assert "accounts" in cli("cluster", "status", status=1)
    assert "distributing  movements" in cli("cluster", "distribute", "--shards", "4")
    assert contents(empty_cluster_url) == before
    assert (len(before["entries"]), len(before["caller_references"])) == (4, 1)
    assert "distributing" not in cli("cluster", "distribute")
    # Not even hidden from statements is a row left on the coordinator.
    with psycopg.connect(empty_cluster_url) as conn:
        hidden = "SELECT pg_relation_size(name::regclass) FROM unnest(%s::text[]) AS name"
        assert {size for (size,) in conn.execute(hidden, (list(DISTRIBUTED),))} == {0}
    told = cli("cluster", "status", "--output", "json").splitlines()
    assert [json.loads(line)["shards"] for line in told] == [4] * len(DISTRIBUTED)


def test_try_out_distributes_what_it_starts(empty_cluster_url: str, tmp_path: Path) -> None:
    service = postgres.of_service(empty_cluster_url)
    passwords = {"OWNER_DATABASE_URL": make_conninfo(empty_cluster_url, password="of-owner")}
    passwords["DATABASE_URL"] = service
    for name, url in passwords.items():
        (tmp_path / name).write_text(url)
    started = SERVICES["distribute"]
    for _ in range(2):
        subprocess.run(
            [sys.executable, *started["entrypoint"][1:], *started["command"]],
            env={
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "SERVERS": " ".join(f"{host}:{port}" for host, port in clusters.servers()),
                **{f"BALANCE_{name}_FILE": str(tmp_path / name) for name in passwords},
            },
            check=True,
            timeout=120,
        )
    roles.check_login(service)
    with migrate.connected(empty_cluster_url) as conn:
        assert cluster.distributed(conn)
        kept = conn.execute("SELECT rolename, authinfo FROM pg_dist_authinfo").fetchall()
    assert ("postgres", "password=of-owner") in kept
    assert len(kept) == 2


def test_ledger_with_sub_accounts_is_refused(empty_cluster_url: str) -> None:
    migrate.up(empty_cluster_url, postgres.of_service(empty_cluster_url))
    with migrate.connected(empty_cluster_url) as conn:
        conn.execute("INSERT INTO sub_accounts (account_id, place) VALUES (gen_random_uuid(), 1)")
        with pytest.raises(ClusterUnfit, match="sub-accounts"):
            cluster.distribute(conn)
        assert not cluster.distributed(conn)


def test_table_of_a_later_migration_is_distributed_by_it(empty_cluster_url: str) -> None:
    service = postgres.of_service(empty_cluster_url)
    migrate.up(empty_cluster_url, service)
    with migrate.connected(empty_cluster_url) as conn:
        cluster.distribute(conn, 4)
        # As a migration leaves a table that it makes.
        conn.execute("SELECT undistribute_table('limit_ends')")
        migrate.up(empty_cluster_url, service)
        assert {table.shards for table in cluster.read(conn)} == {4}


def test_cluster_without_workers_is_refused(empty_cluster_url: str) -> None:
    migrate.up(empty_cluster_url, postgres.of_service(empty_cluster_url))
    with migrate.connected(empty_cluster_url) as conn:
        conn.execute("SELECT citus_remove_node(nodename, nodeport) FROM pg_dist_node")
        with pytest.raises(ClusterUnfit, match="citus_add_node"):
            cluster.distribute(conn)


def contents(url: str) -> dict[str, list[tuple[object, ...]]]:
    """All rows of the tables that are distributed."""
    with psycopg.connect(url) as conn:
        return {
            table: sorted(conn.execute(f"SELECT * FROM {table}".encode()).fetchall(), key=repr)
            for table in DISTRIBUTED
        }
