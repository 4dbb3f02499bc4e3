"""Tells systemd when the service serves and when it stops, by the protocol of sd_notify(3)."""

import asyncio
import socket

import structlog

# A system manager that does not read must not keep the service from stopping.
SECONDS_MAX = 1.0

_log = structlog.get_logger()


async def follow(
    path: str, serving: asyncio.Event, stopping: asyncio.Event, stop_seconds_max: float
) -> None:
    """Says READY once a worker serves, and STOPPING once the service is told to stop.

    Args:
        path: The socket that systemd names (`NOTIFY_SOCKET`); empty where nobody listens.
        serving: Set when the first worker serves.
        stopping: Set when the service is to stop.
        stop_seconds_max: How long it takes to stop at most: systemd gives it that long, even if the
            unit's `TimeoutStopSec` is less.
    """

    async def tell_ready() -> None:
        await serving.wait()
        _send(path, "READY=1")

    async def tell_stopping() -> None:
        await stopping.wait()
        _send(path, "STOPPING=1", f"EXTEND_TIMEOUT_USEC={int(stop_seconds_max * 1_000_000)}")

    await asyncio.gather(tell_ready(), tell_stopping())


def _send(path: str, *states: str) -> None:
    if not path:
        return
    # `@` stands for the zero byte of a name that is in no file system.
    address = f"\0{path[1:]}" if path.startswith("@") else path
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.settimeout(SECONDS_MAX)
            manager.connect(address)
            manager.send("\n".join(states).encode())
    except OSError as error:
        _log.warning("systemd_not_told", states=states, error=str(error))
