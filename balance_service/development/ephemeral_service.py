"""The service that `run --ephemeral` starts: one worker in this process, and who may call it."""

import asyncio
import json
import os
import sys
import threading
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import TextIO

from balance_service.config import Settings
from balance_service.development import address, demo
from balance_service.domain.principals import Scope
from balance_service.operations import administration
from balance_service.server import app, worker
from balance_service.server.signals import catch_stop_signals

CLIENT_ID = "ephemeral"
ADMIN = "admin@example.com"
PARENT_INTERVAL_SECONDS = 0.2


async def serve(settings: Settings, out: TextIO, parent: int, *, until_stdin_closes: bool) -> None:
    """Serves, as `ephemeral.run` says.

    Args:
        settings: Complete.
        out: Gets the line that says where the service is.
        parent: The process with whose death the service ends.
        until_stdin_closes: Whether it ends with standard input, too.
    """
    stopping = catch_stop_signals()
    watching = asyncio.create_task(_watch_parent(stopping, parent))
    if until_stdin_closes:
        _watch_stdin(stopping)
    client_secret = await administration.create_service_principal(
        settings, CLIENT_ID, "For tests.", list(Scope)
    )
    await administration.create_admin(settings, ADMIN)
    service = app.build(settings)
    await service.start()
    bound = settings.model_copy(
        update={"grpc_port": service.door.port, "http_port": service.door.http_port or 0}
    )
    # Mails are printed, too, and standard output is for that line.
    with address.record(Path(bound.data_dir), bound.grpc_target), redirect_stdout(sys.stderr):
        out.write(await _describe(bound, client_secret) + "\n")
        out.flush()
        await worker.serve(service, stopping)
    watching.cancel()


async def _describe(bound: Settings, client_secret: str) -> str:
    """One line of JSON: where the service is, and how to call it."""
    return json.dumps(
        {
            "grpc": bound.grpc_target,
            "http": bound.http_url if bound.http else "",
            "client_id": CLIENT_ID,
            "client_secret": client_secret,
            "admin_email": ADMIN,
            "admin_token": await asyncio.to_thread(_sign_in, bound),
            "admin_token_seconds": bound.access_token_seconds,
            "mailbox": str(bound.mailbox),
            "pid": os.getpid(),
        }
    )


def _sign_in(bound: Settings) -> str:
    with demo.connect(bound, bound.grpc_target) as channel:
        return demo.sign_in(channel, bound.mailbox, ADMIN)


async def _watch_parent(stopping: asyncio.Event, parent: int) -> None:
    """Stops the service when whoever started it has died, and could not stop it."""
    # The death of a parent is no event.
    while os.getppid() == parent:  # noqa: ASYNC110
        await asyncio.sleep(PARENT_INTERVAL_SECONDS)
    stopping.set()


def _watch_stdin(stopping: asyncio.Event) -> None:
    """Stops the service at the end of standard input, whatever is written there before."""
    loop = asyncio.get_running_loop()

    def read() -> None:
        while os.read(0, 4096):
            pass
        # The loop may be closed by now.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(stopping.set)

    threading.Thread(target=read, name="standard-input", daemon=True).start()
