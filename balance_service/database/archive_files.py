"""The files that a period's entries are kept in, which are there whole or not at all.

A folder of archives has one folder a period, named after its end. In it are the rows of each
table as CSV with a header (RFC 4180), compressed by gzip, in the order of its key; and a manifest
in JSON. docs/operating/growth.md describes them for who reads them without this service.
"""

import gzip
import hashlib
import json
import os
import shutil
import zlib
from collections.abc import AsyncGenerator, AsyncIterable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, TypeAlias

VERSION: Final = 1
Block: TypeAlias = bytes | bytearray | memoryview
# The tables of a period, and the columns that order their rows.
ORDERS: Final[Mapping[str, str]] = {
    "entries": "account_id, sequence",
    "system_entries": "movement_id, account_id",
}
_BLOCK_BYTES: Final = 1 << 20
# What reading a damaged file raises.
UNREADABLE: Final = (OSError, EOFError, zlib.error)


class ArchiveBroken(ValueError):  # noqa: N818 - it is what it says
    """A file of an archive is missing, or is not what its manifest says."""


class File(NamedTuple):
    """A table's rows of a period, in a file.

    Args:
        columns: Of each row, as the header has them.
        rows: How many.
        amount_minor: The sum of their amounts, in minor units of all currencies together.
        size: Bytes of the file.
        sha256: Its digest, in hexadecimal digits.
    """

    columns: Sequence[str]
    rows: int
    amount_minor: int
    size: int
    sha256: str


class Manifest(NamedTuple):
    """What a period's folder has.

    Args:
        starts_at: Entries booked from then on; None for all from before `ends_at`.
        ends_at: Entries booked before then.
        values_end_at: The latest value date among them; None without entries.
        last_checkpoint: The number of the last checkpoint that covers a movement of them.
        files: By table.
    """

    starts_at: datetime | None
    ends_at: datetime
    values_end_at: datetime | None
    last_checkpoint: int
    files: Mapping[str, File]

    def text(self) -> str:
        """It as the file has it."""
        times = {
            name: moment.isoformat() if moment else None
            for name, moment in (
                ("starts_at", self.starts_at),
                ("ends_at", self.ends_at),
                ("values_end_at", self.values_end_at),
            )
        }
        files = {table: file._asdict() for table, file in self.files.items()}
        facts = {
            "version": VERSION,
            **times,
            "last_checkpoint": self.last_checkpoint,
            "files": files,
        }
        return json.dumps(facts, indent=2) + "\n"


def place_of(folder: Path, ends_at: datetime) -> Path:
    """The folder of the period that ends then."""
    return folder / f"until-{ends_at:%Y-%m-%d}"


def manifest_of(place: Path) -> Path:
    """The file that says what a period's folder has."""
    return place / "manifest.json"


def path_of(place: Path, table: str) -> Path:
    """The file of a table's rows."""
    return place / f"{table}.csv.gz"


def read_manifest(place: Path) -> Manifest:
    """The manifest of a period's folder.

    Raises:
        ArchiveBroken: There is none that can be read.
    """
    path = manifest_of(place)
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if facts["version"] != VERSION:
            raise ArchiveBroken(f"{path} is of version {facts['version']}")
        times = (facts[name] for name in ("starts_at", "ends_at", "values_end_at"))
        starts_at, ends_at, values_end_at = (t and datetime.fromisoformat(t) for t in times)
        files = {table: File(**facts["files"][table]) for table in ORDERS}
        return Manifest(starts_at, ends_at, values_end_at, facts["last_checkpoint"], files)
    except ArchiveBroken:
        raise
    except (OSError, LookupError, TypeError, AttributeError, ValueError) as error:
        raise ArchiveBroken(f"{path} cannot be read: {error!r}") from None


def find_faults(place: Path, manifest: Manifest) -> list[tuple[str, object, object]]:
    """Files that are not those of the manifest: what each is, its digest, and what it should be."""
    found: list[tuple[str, object, object]] = []
    for table, file in manifest.files.items():
        path = path_of(place, table)
        try:
            with path.open("rb") as opened:
                digest = hashlib.file_digest(opened, "sha256").hexdigest()
        except OSError as error:
            digest = error.strerror or "cannot be read"
        if digest != file.sha256:
            found.append((str(path), digest, file.sha256))
    return found


@contextmanager
def opened(path: Path) -> Iterator[Iterator[bytes]]:
    """The rows of a file as text, in blocks; reading them may raise UNREADABLE."""
    with gzip.open(path, "rb") as file:
        yield iter(lambda: file.read(_BLOCK_BYTES), b"")


@contextmanager
def written(place: Path) -> Iterator[Path]:
    """A folder that gets its name once all that is in it is on the disk."""
    part = place.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    yield part
    _sync(part)
    part.rename(place)
    _sync(place.parent)


async def write(path: Path, blocks: AsyncIterable[Block]) -> tuple[int, str]:
    """Compresses a table's rows into a file.

    Returns:
        Its bytes, and its digest in hexadecimal digits, as the disk has them.
    """
    with path.open("wb") as raw:
        # Without a name and a time, equal rows make equal files.
        with gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as file:
            async for block in blocks:
                file.write(block)
        _finish(raw)
    with path.open("rb") as stored:
        digest = hashlib.file_digest(stored, "sha256").hexdigest()
        return stored.tell(), digest


def write_manifest(place: Path, manifest: Manifest) -> None:
    with manifest_of(place).open("wb") as file:
        file.write(manifest.text().encode())
        _finish(file)


async def equals(path: Path, blocks: AsyncGenerator[Block]) -> bool:
    """Whether a file has these rows, byte for byte; they are read up to a difference."""
    with gzip.open(path, "rb") as file:
        async with aclosing(blocks):
            async for block in blocks:
                if file.read(len(block)) != block:
                    return False
        return not file.read(1)


def _finish(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """Has the names within a folder on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
