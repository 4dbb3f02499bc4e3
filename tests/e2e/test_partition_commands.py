"""`balance-service partitions`, as an operator types it."""

import json
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from balance_service.config import Settings
from tests.cli import Typed
from tests.partitions import BEGINS_WHOLE

pytestmark = BEGINS_WHOLE


@pytest.fixture
def typed(service_settings: Settings, database_url: str) -> Typed:
    return Typed({**service_settings.environment(), "BALANCE_OWNER_DATABASE_URL": database_url})


def test_operator_converts_lists_and_prepares(typed: Typed) -> None:
    assert typed("partitions", "list", "--output", "json") == ""
    assert typed("partitions", "prepare") == "The partitions are up to date.\n"
    told = typed("partitions", "convert", "--period", "half-year")
    assert "movements: making it partitioned" in told
    assert "made  entries_20" in told
    rows = [json.loads(line) for line in typed("partitions", "list", "-o", "json").splitlines()]
    movements = [row for row in rows if row["name"].startswith("movements_")]
    assert movements[0]["from"] == "ever"
    assert movements[-1] == {**movements[-1], "name": "movements_rest", "from": "other times"}
    # Each begins where the one before it ends.
    assert [row["until"] for row in movements[:-2]] == [row["from"] for row in movements[1:-1]]
    assert "made" not in typed("partitions", "convert") + typed("migrate", "up")


def test_what_depends_on_a_table_is_named(typed: Typed, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("CREATE VIEW report AS SELECT * FROM movements")
    told = typed("partitions", "convert", status=1)
    assert "view report" in told
    assert "Traceback" not in told


def test_service_that_may_not_make_tables_cannot_convert(service_settings: Settings) -> None:
    told = Typed(service_settings.environment())("partitions", "convert", status=1)
    assert "Postgres refused" in told
    assert "Traceback" not in told


def test_operator_is_told_why_nothing_is_archived(typed: Typed, tmp_path: Path) -> None:
    folder = str(tmp_path)
    typed("partitions", "convert")
    assert "No period ended by 2025-01-01" in typed(
        "archives", "write", folder, "--before", "2025-01-01"
    )
    assert typed("archives", "list", "--output", "json") == ""
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    told = typed("archives", "write", folder, "--before", today, status=1)
    assert f"{today} is less than 365 days ago" in told
    told += typed("archives", "restore", folder, status=1)
    assert "no entries are in files" in told
    assert "Traceback" not in told
    assert "every file of entries is there" in typed("verify", "--archives", folder)
