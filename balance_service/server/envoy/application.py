"""What Envoy runs: a worker that starts and ends with it, and its door.

Importing this module makes nothing; Envoy does that by the lifespan of ASGI.
"""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from starlette.types import Receive, Scope, Send

from balance_service.config import Settings
from balance_service.server import app, logs, workers
from balance_service.server.envoy import process
from balance_service.server.envoy.door import EnvoyDoor, uncancelled

_log = structlog.get_logger()


class Application:
    """An ASGI application whose lifespan is the worker's.

    Envoy has one for each way in that it configures, HTTP/3 apart from TCP, and each comes with a
    thread and an event loop. The worker lives in the first; the others hand their requests over.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._door: EnvoyDoor | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        here = asyncio.get_running_loop()
        if scope["type"] == "lifespan":
            await (self._live if self._loop is None else _stand_by)(receive, send)
        elif self._door and self._loop is here:
            await self._door(scope, receive, send)
        elif self._door and self._loop:
            door = _across(self._door, self._loop)
            await door(scope, _across(receive, here), _across(send, here))

    async def _live(self, receive: Receive, send: Send) -> None:
        self._loop = asyncio.get_running_loop()
        await receive()
        stopping = _stop_signal()
        worker = await self._started()
        working = asyncio.create_task(_work(worker, stopping))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        # By a signal it has stopped before; else Envoy ends for a reason of its own.
        stopping.set()
        await working
        await send({"type": "lifespan.shutdown.complete"})

    async def _started(self) -> app.App:
        """The worker, once it can answer. If it cannot, the process ends as any worker's does."""
        settings = Settings()
        logs.configure(settings.log_level)
        try:
            self._door, worker = _built(settings)
            await worker.start()
        except Exception as error:  # noqa: BLE001 - Envoy would have only one status for all
            print(error, file=sys.stderr, flush=True)  # noqa: T201 - as the command line does
            os._exit(workers.start_status(error))
        return worker


async def _stand_by(receive: Receive, send: Send) -> None:
    for phase in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{phase}.complete"})


def _across(
    call: Callable[..., Awaitable[Any]], loop: asyncio.AbstractEventLoop
) -> Callable[..., Awaitable[Any]]:
    """A call that is made in another thread's event loop."""

    async def made(*arguments: object) -> Any:  # noqa: ANN401 - whatever is returned
        return await uncancelled(call(*arguments))

    async def crossing(*arguments: object) -> Any:  # noqa: ANN401 - as above
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(made(*arguments), loop))

    return crossing


def _built(settings: Settings) -> tuple[EnvoyDoor, app.App]:
    worker = app.build(settings, make_door=EnvoyDoor)
    assert isinstance(worker.door, EnvoyDoor), "just made"
    return worker.door, worker


async def _work(worker: app.App, stopping: asyncio.Event) -> None:
    """Serves until told to stop, then has Envoy stop, too."""
    try:
        await process.listening()
        await workers.serve(worker, stopping)
        await process.order("/quitquitquit")
    except Exception:  # noqa: BLE001 - the supervisor starts another
        _log.exception("worker_failed")
        os._exit(1)


def _stop_signal() -> asyncio.Event:
    """An event that SIGTERM or SIGINT sets, which are blocked in all threads of this process."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def wait() -> None:
        signal.sigwait(process.STOP_SIGNALS)
        loop.call_soon_threadsafe(stopping.set)

    threading.Thread(target=wait, name="stop-signal", daemon=True).start()
    return stopping


application = Application()
