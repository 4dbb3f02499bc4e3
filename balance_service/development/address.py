"""Where the service listens, for the commands that call it.

`run` writes its address into a file of its data directory and keeps the file locked, so that other
commands find it at whatever port, and never call one that has ended or somebody else's.
"""

import contextlib
import fcntl
import time
from collections.abc import Iterator
from pathlib import Path

from balance_service.config import Settings

LOCK_TRIES = 20
LOCK_INTERVAL_SECONDS = 0.05


@contextlib.contextmanager
def record(data_dir: Path, target: str) -> Iterator[bool]:
    """Keeps the address of `run` in its data directory, as long as the context lasts.

    Yields:
        Whether it stands there; not if another `run` of the same directory was first.

    Raises:
        OSError: The directory cannot be written to.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / "address").open("a", encoding="utf-8") as file:
        if not _lock(file.fileno()):
            yield False
            return
        file.truncate(0)
        file.write(target)
        file.flush()
        try:
            yield True
        finally:
            file.truncate(0)


def find_service(settings: Settings) -> str:
    """Where the service listens: as its `run` recorded, or else as host and port say."""
    return _read_recorded(Path(settings.data_dir)) or settings.grpc_target


def find_development_service(settings: Settings) -> str:
    """Where the service listens whose mails are kept in the data directory.

    Raises:
        LookupError: No `run` uses that directory, and no setting names an address: what listens
            on the default port may be anybody's.
    """
    target = _read_recorded(Path(settings.data_dir))
    if not target and settings.model_fields_set & {"host", "grpc_port"} and settings.grpc_port:
        target = settings.grpc_target
    if not target:
        raise LookupError(
            f"no service runs on {settings.data_dir}: start it with `run`, "
            "or say where it listens with --target"
        )
    return target


def _read_recorded(data_dir: Path) -> str:
    """The address that a `run` recorded which still lives; "" if there is none."""
    with contextlib.suppress(OSError), (data_dir / "address").open(encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            # Somebody holds the lock, and only a `run` that lives does so for long.
            return file.read().strip()
    return ""


def _lock(file: int) -> bool:
    """Takes the lock, unless another `run` holds it; a command that only looks lets go at once."""
    for _ in range(LOCK_TRIES):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(LOCK_INTERVAL_SECONDS)
    return False
