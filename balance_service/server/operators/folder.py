"""The supervisor's folders: what workers keep there, and where others find it."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

# Files in memory, where there are such. On a disk, a worker that writes a figure may have to wait
# for the journal of a file system that Postgres keeps busy.
_MEMORY = Path("/dev/shm")  # noqa: S108 - the folders in it are made by `tempfile`
_PREFIX = "balance-"


class Folder(NamedTuple):
    """A supervisor's folders, deleted when it ends.

    Args:
        temporary: Of workers' temporary files.
        figures: Of what workers measure.
    """

    temporary: Path
    figures: Path

    def make_figures(self, worker: int) -> Path:
        """The folder of a worker's figures, which those that take its place go on with."""
        made = self.figures / str(worker)
        made.mkdir()
        return made

    def make_temporary(self, worker: int) -> Path:
        """The folder of a worker's temporary files; a short name, for sockets lie in it."""
        made = self.temporary / str(worker)
        made.mkdir()
        return made

    def list_figures(self) -> Sequence[Path]:
        """The files of all workers' figures."""
        return sorted(self.figures.glob("*/*.db"))

    def find_sockets(self, name: str) -> dict[str, Path]:
        """The newest socket of a name of each worker, by the worker's number.

        A worker that was killed leaves its own behind.
        """
        found = sorted(self.temporary.glob(f"*/envoy-*/{name}"), key=_made_at)
        return {path.relative_to(self.temporary).parts[0]: path for path in found}


@contextmanager
def opened() -> Iterator[Folder]:
    """New folders, deleted at the end with what killed workers left there."""
    memory = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with (
        tempfile.TemporaryDirectory(prefix=_PREFIX) as temporary,
        tempfile.TemporaryDirectory(prefix=_PREFIX, dir=memory) as figures,
    ):
        yield Folder(Path(temporary), Path(figures))


def _made_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def forget_gauges(figures: Path) -> None:
    """Deletes what a worker that has ended said of its present; what it counted stays."""
    for path in figures.glob("gauge_live*.db"):
        path.unlink(missing_ok=True)
