"""What Envoy runs: a worker that starts and ends with it.

Importing this module starts nothing; the lifespan of ASGI does.
"""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from grpc_health.v1 import health
from starlette.types import Receive, Scope, Send

from balance_service.calls.dispatch import Calls
from balance_service.config import Settings
from balance_service.server import app, explanations, logs, supervisor, worker
from balance_service.server.envoy import process
from balance_service.server.envoy.door import EnvoyDoor
from balance_service.server.wire.answers import shield_future

_log = structlog.get_logger()


class Application:
    """An ASGI application whose lifespan is the worker's.

    Envoy calls it from a thread and an event loop for each of its listeners, those of HTTP/3 apart
    from that of TCP. The worker lives in the first loop; the others pass their requests on to it.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._door: EnvoyDoor | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        current_loop = asyncio.get_running_loop()
        if scope["type"] == "lifespan":
            await (self._run_worker if self._loop is None else _stand_by)(receive, send)
        elif self._door and self._loop is current_loop:
            await self._door(scope, receive, send)
        elif self._door and self._loop:
            door = _make_in(self._loop, self._door)
            await door(scope, _make_in(current_loop, receive), _make_in(current_loop, send))

    async def _run_worker(self, receive: Receive, send: Send) -> None:
        self._loop = asyncio.get_running_loop()
        await receive()
        stopping = _catch_stop_signals()
        serving = asyncio.create_task(_serve(await self._start_worker(), stopping))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        # After a signal, the worker has stopped already; otherwise Envoy ends by itself.
        stopping.set()
        await serving
        await send({"type": "lifespan.shutdown.complete"})

    async def _start_worker(self) -> app.App:
        """Starts the worker; if that fails, ends the process with the status of any worker."""
        settings = Settings()
        logs.configure(settings.log_level)
        try:
            started = app.build(settings, make_door=self._make_door)
            await started.start()
        except Exception as error:  # noqa: BLE001 - Envoy has one status for all failures
            sys.stderr.write(f"{explanations.explain(error)}\n")
            sys.stderr.flush()
            os._exit(worker.start_status(error))
        return started

    def _make_door(
        self, settings: Settings, calls: Calls, health_servicer: health.aio.HealthServicer
    ) -> EnvoyDoor:
        self._door = EnvoyDoor(settings, calls, health_servicer)
        return self._door


async def _stand_by(receive: Receive, send: Send) -> None:
    for phase in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{phase}.complete"})


def _make_in(
    loop: asyncio.AbstractEventLoop, call: Callable[..., Awaitable[Any]]
) -> Callable[..., Awaitable[Any]]:
    """A call that runs in another thread's event loop."""

    async def run(*arguments: object) -> Any:  # noqa: ANN401 - whatever the call returns
        return await shield_future(call(*arguments))

    async def run_in_loop(*arguments: object) -> Any:  # noqa: ANN401 - as above
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(run(*arguments), loop))

    return run_in_loop


async def _serve(started: app.App, stopping: asyncio.Event) -> None:
    """Serves until told to stop, then stops Envoy as well."""
    try:
        await process.wait_until_listening()
        await worker.serve(started, stopping, process.read_started_fd())
        await process.send_command("/quitquitquit")
    except Exception:  # noqa: BLE001 - the supervisor starts another worker
        _log.exception("worker_failed")
        os._exit(supervisor.FAILED)


def _catch_stop_signals() -> asyncio.Event:
    """An event that SIGTERM or SIGINT sets; both are blocked in all threads of this process."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def wait() -> None:
        signal.sigwait(process.STOP_SIGNALS)
        loop.call_soon_threadsafe(stopping.set)

    threading.Thread(target=wait, name="stop-signals", daemon=True).start()
    return stopping


application = Application()
