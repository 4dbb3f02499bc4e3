"""Holds a base back-up's files to its manifest, where Postgres's own program for that does not run.

PostgreSQL's manual, "Backup Manifest Format", says what is in one.
"""

import hashlib
import json
from pathlib import Path


class ManifestBroken(RuntimeError):  # noqa: N818 - it is what it says
    """A file is missing, or is not what the manifest says."""


def check(place: Path) -> None:
    """Compares every file's size and SHA-256, and the manifest's own.

    Args:
        place: The back-up, whose manifest was made with SHA-256.

    Raises:
        ManifestBroken: Something differs.
        OSError: Something cannot be read.
    """
    written = (place / "backup_manifest").read_bytes()
    manifest = json.loads(written)
    # The digest of all lines but the last, which has it.
    lines = written.splitlines(keepends=True)
    if hashlib.sha256(b"".join(lines[:-1])).hexdigest() != manifest["Manifest-Checksum"]:
        raise ManifestBroken(f"{place / 'backup_manifest'} was changed")
    for file in manifest["Files"]:
        name = file["Path"] if "Path" in file else bytes.fromhex(file["Encoded-Path"]).decode()
        path = place / name
        if not path.is_file():
            raise ManifestBroken(f"{path} is missing")
        if path.stat().st_size != file["Size"] or _digest(path) != file["Checksum"]:
            raise ManifestBroken(f"{path} was changed")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
