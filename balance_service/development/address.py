"""Where the service listens, for the commands that call it.

`run` writes its address into its data directory and keeps it locked, so that the commands beside it
find it at whatever port, and never take one that has ended, or somebody else's, for it.
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
def recorded(data_dir: Path, target: str) -> Iterator[bool]:
    """Lets the commands on a data directory find its `run`, as long as the context lasts.

    Yields:
        Whether they do; not if another `run` of the same directory was first.

    Raises:
        OSError: The directory cannot be written to.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / "address").open("a", encoding="utf-8") as file:
        if not _locked(file.fileno()):
            yield False
            return
        file.truncate(0)
        file.write(target)
        file.flush()
        try:
            yield True
        finally:
            file.truncate(0)


def of_service(settings: Settings) -> str:
    """Where the service is: the `run` of the data directory, or else what host and port say."""
    return _of_run(Path(settings.data_dir)) or settings.grpc_target


def of_development(settings: Settings) -> str:
    """Where the service is whose mail lies in the data directory.

    Raises:
        LookupError: No `run` works there, and no setting names an address: what listens on the
            default port may be anybody's.
    """
    target = _of_run(Path(settings.data_dir))
    if not target and settings.model_fields_set & {"host", "grpc_port"} and settings.grpc_port:
        target = settings.grpc_target
    if not target:
        raise LookupError(
            f"no service runs on {settings.data_dir}: start it with `run`, "
            "or say where it listens with --target"
        )
    return target


def _of_run(data_dir: Path) -> str:
    """The address that a living `run` has written; "" if there is none."""
    with contextlib.suppress(OSError), (data_dir / "address").open(encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return file.read().strip()
    return ""


def _locked(file: int) -> bool:
    """Takes the lock, unless somebody keeps it; one that only looks lets go at once."""
    for _ in range(LOCK_TRIES):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(LOCK_INTERVAL_SECONDS)
    return False
