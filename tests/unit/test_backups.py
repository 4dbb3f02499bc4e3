"""Back-ups as files: which one is chosen, whether it is whole, and where it may go."""

import hashlib
import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from balance_service.database import backups, manifests, restoring
from balance_service.database.backups import Backup, BackupFailed
from balance_service.database.manifests import ManifestBroken

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def note(folder: Path, began: datetime) -> Backup:
    """Notes a back-up that took an hour."""
    name = began.strftime("%Y%m%dT%H%M%SZ")
    backup = Backup(name, began, began + HOUR, 18, "manifest", archived=True)
    place = backups.base_folder(folder)
    place.mkdir(exist_ok=True)
    (place / f"{name}.json").write_text(json.dumps(backup.facts()))
    return backup


def test_newest_backup_that_ended_before_the_moment_is_chosen(tmp_path: Path) -> None:
    first, second = note(tmp_path, NOON), note(tmp_path, NOON + 4 * HOUR)
    # One that is under way has no note yet.
    (backups.base_folder(tmp_path) / "20261127T200000Z.part").mkdir()
    assert backups.list_all(tmp_path) == [second, first]
    assert backups.choose(tmp_path, None) == second
    assert backups.choose(tmp_path, NOON + 5 * HOUR) == second
    assert backups.choose(tmp_path, NOON + 4.5 * HOUR) == first
    with pytest.raises(BackupFailed, match="no back-up that ended before 2026-11-27T12:30"):
        backups.choose(tmp_path, NOON + HOUR / 2)


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A back-up of two files, one of which has a name that is no UTF-8 in a manifest."""
    files = []
    for name, content in (("base/1", b"rows"), ("global/pg_control", b"control")):
        path = tmp_path / name
        path.parent.mkdir()
        path.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        files.append({"Path": name, "Size": len(content), "Checksum": digest})
    files[1]["Encoded-Path"] = str(files[1].pop("Path")).encode().hex()
    head = json.dumps({"PostgreSQL-Backup-Manifest-Version": 2, "Files": files})[:-1] + ",\n"
    checksum = hashlib.sha256(head.encode()).hexdigest()
    (tmp_path / "backup_manifest").write_text(f'{head}"Manifest-Checksum": "{checksum}"}}\n')
    return tmp_path


SPOILING: dict[str, Callable[[Path], object]] = {
    "base/1 was changed": lambda place: (place / "base/1").write_bytes(b"rowz"),
    "pg_control was changed": lambda place: (place / "global/pg_control").write_bytes(b"contro"),
    "base/1 is missing": lambda place: (place / "base/1").unlink(),
    "backup_manifest was changed": lambda place: (place / "backup_manifest").write_text(
        (place / "backup_manifest").read_text().replace('"Size": 4', '"Size": 5')
    ),
}


@pytest.mark.parametrize("told", SPOILING)
def test_backup_that_differs_from_its_manifest_is_refused(whole: Path, told: str) -> None:
    manifests.check(whole)
    SPOILING[told](whole)
    with pytest.raises(ManifestBroken, match=told):
        manifests.check(whole)


def test_new_server_goes_where_nothing_is(tmp_path: Path) -> None:
    restoring.check_target(tmp_path / "new")
    restoring.check_target(tmp_path)
    (tmp_path / "file").touch()
    for taken in (tmp_path, tmp_path / "file"):
        with pytest.raises(BackupFailed, match="is no empty directory"):
            restoring.check_target(taken)


def test_programs_of_another_version_are_not_taken() -> None:
    with pytest.raises(BackupFailed, match="no programs of Postgres 9 are found"):
        backups.find_programs(9, "")
    with pytest.raises(BackupFailed, match="--programs"):
        backups.find_programs(18, "/nowhere")


def test_log_is_archived_whole_and_once_whatever_its_folder_is_called(tmp_path: Path) -> None:
    wal = tmp_path / "the archive's $HOME"
    wal.mkdir()
    source = tmp_path / "source"
    source.write_text("log")

    def run(command: str) -> int:
        real = command.replace("%p", str(source)).replace("%f", "0001")
        return subprocess.run(["sh", "-c", real], check=False).returncode

    assert run(backups.archive_command(wal)) == 0
    assert [path.name for path in wal.iterdir()] == ["0001"]
    source.write_text("another")
    assert run(backups.archive_command(wal)) != 0
    assert run(restoring.restore_command(wal)) == 0
    assert source.read_text() == "log"
