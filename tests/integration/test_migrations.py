"""The migration runner, on databases that start empty."""

import secrets
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from balance_service.database import migrate
from tests import postgres

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def empty_url(server_url: str) -> Iterator[str]:
    name = f"empty_{secrets.token_hex(8)}"
    with psycopg.connect(server_url, autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield postgres.of_database(server_url, name)
    with psycopg.connect(server_url, autocommit=True) as conn:
        conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of migrations/ that a test may change."""
    copy = tmp_path / "migrations"
    shutil.copytree(ROOT / "migrations", copy)
    monkeypatch.setattr(migrate, "_REPOSITORY", copy)
    return copy


def test_up_applies_everything_once(empty_url: str) -> None:
    assert [m.applied for m in migrate.status(empty_url)] == [False] * len(migrate.up(empty_url))
    assert migrate.up(empty_url) == []
    assert all(migration.applied for migration in migrate.status(empty_url))
    migrate.check(empty_url)


def test_concurrent_runs_apply_everything_once(empty_url: str) -> None:
    applied: list[int] = []
    threads = [
        threading.Thread(target=lambda: applied.append(len(migrate.up(empty_url))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(applied)[:3] == [0, 0, 0]
    assert sum(applied) == len(migrate.status(empty_url))


def test_up_gives_up_on_a_process_that_keeps_the_lock(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "ADVISORY_LOCK_TIMEOUT", "100ms")
    with psycopg.connect(empty_url, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", (migrate.ADVISORY_LOCK,))
        with pytest.raises(migrate.SchemaError, match="another process"):
            migrate.up(empty_url)
    assert migrate.up(empty_url)


def test_failed_migration_leaves_nothing_behind(empty_url: str, folder: Path) -> None:
    (folder / "9998_breaks.sql").write_text("CREATE TABLE half (x int); SELECT 1/0;")
    with pytest.raises(psycopg.errors.DivisionByZero):
        migrate.up(empty_url)
    with psycopg.connect(empty_url) as conn:
        assert conn.execute("SELECT to_regclass('half')").fetchone() == (None,)
    assert [m.name for m in migrate.status(empty_url) if not m.applied] == ["9998_breaks.sql"]


def test_service_does_not_start_on_a_schema_that_lacks_something(empty_url: str) -> None:
    with pytest.raises(migrate.SchemaError, match="migrate up"):
        migrate.check(empty_url)


def test_changed_migration_stops_everything(empty_url: str, folder: Path) -> None:
    migrate.up(empty_url)
    first = min(folder.glob("*.sql"))
    first.write_text(first.read_text() + "\n-- changed\n")
    with pytest.raises(migrate.SchemaError, match="changed after"):
        migrate.up(empty_url)


def test_database_of_a_newer_version_stops_everything(empty_url: str, folder: Path) -> None:
    (folder / "9999_newer.sql").write_text("CREATE TABLE newer (x int);")
    migrate.up(empty_url)
    (folder / "9999_newer.sql").unlink()
    with pytest.raises(migrate.SchemaError, match="newer"):
        migrate.check(empty_url)


def test_version_before_still_starts_on_a_schema_that_was_expanded(
    empty_url: str, folder: Path
) -> None:
    assert migrate.up(empty_url)
    newer = folder / "9999_newer.sql"
    newer.write_text("-- Expands: a table more.\nCREATE TABLE newer (x int);")
    migrate.up(empty_url)
    newer.unlink()
    assert migrate.check(empty_url) == ["9999_newer.sql"]
    with pytest.raises(migrate.SchemaError, match="newer"):
        migrate.up(empty_url)
    (folder / "9998_later.sql").write_text("SELECT 1;")
    with pytest.raises(migrate.SchemaError, match=r"lacks 9998_later\.sql"):
        migrate.check(empty_url)


def test_database_that_an_earlier_version_migrated_is_checked(empty_url: str) -> None:
    migrate.up(empty_url)
    with psycopg.connect(empty_url) as conn:
        conn.execute("ALTER TABLE schema_migrations DROP COLUMN expands")
    assert migrate.check(empty_url) == []


def test_misnamed_file_is_refused(empty_url: str, folder: Path) -> None:
    (folder / "fix.sql").write_text("SELECT 1;")
    with pytest.raises(migrate.SchemaError, match=r"fix\.sql"):
        migrate.status(empty_url)


def test_wheel_carries_the_migrations(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for path in (ROOT / "migrations").glob("*.sql"):
        assert f"balance_service/migrations/{path.name}" in names
    assert "balance_service/repositories/journal.sql" in names
    assert "balance_service/providers/static_rates.json" in names
    assert "balance_service/py.typed" in names
