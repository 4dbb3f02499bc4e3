"""Health: what a worker says of its own, and how others ask.

Container health checks load this module every few seconds, so it imports little.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import grpc
from grpc_health.v1 import health, health_pb2

from balance_service.calls import channels
from balance_service.calls.health import channel_serves

if TYPE_CHECKING:
    from typing import TypeAlias

    from balance_service.calls.dispatch import Calls
    from balance_service.config import Settings

    ServicerContext: TypeAlias = grpc.aio.ServicerContext[
        health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse
    ]


RESOURCE_EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
# Who watches the health of a worker: its load balancers, and a few people.
WATCHERS_MAX = 200


async def serves(target: str, settings: "Settings | None" = None) -> bool:
    """Whether a service says that it serves.

    Args:
        target: Its host and port.
        settings: Say how it is called; None for plaintext.

    Raises:
        ValueError: The certificates cannot be used.
    """
    async with channels.open_channel(settings, target) as channel:
        return await channel_serves(channel)


class _Servicer(health.aio.HealthServicer):
    """The library's, but for how often one network may ask, and how many may watch.

    Anybody may watch, and each takes memory for hours.
    """

    def __init__(self, calls: "Calls") -> None:
        super().__init__()
        self._calls = calls
        self._watchers = 0

    async def Check(
        self, request: health_pb2.HealthCheckRequest, context: "ServicerContext"
    ) -> health_pb2.HealthCheckResponse:
        await self._count(context)
        return await super().Check(request, context)

    async def Watch(
        self, request: health_pb2.HealthCheckRequest, context: "ServicerContext"
    ) -> None:
        await self._count(context)
        if self._watchers >= WATCHERS_MAX:
            await context.abort(RESOURCE_EXHAUSTED, "Too many watch; ask with Check.")
        self._watchers += 1
        try:
            await super().Watch(request, context)
        finally:
            self._watchers -= 1

    async def _count(self, context: "ServicerContext") -> None:
        from balance_service.calls.strangers import HEALTH  # noqa: PLC0415 - as below
        from balance_service.server import strangers  # noqa: PLC0415 - slow to load

        await strangers.count(self._calls, context, HEALTH)


class Health:
    """A worker's health: it serves from `start` to `stop`, while Postgres answers.

    Args:
        calls: Tells HTTP callers the same, and knows the services that gRPC callers ask about.
        database_answers: Asks the database, within a bounded time.
    """

    def __init__(self, calls: "Calls", database_answers: Callable[[], Awaitable[bool]]) -> None:
        self.servicer = _Servicer(calls)
        self._calls = calls
        self._database_answers = database_answers
        # None before `start` and after `stop`, when the database has no say.
        self._serving: bool | None = None

    async def start(self) -> None:
        """Says SERVING."""
        await self._report(serving=True)

    async def stop(self) -> None:
        """Says NOT_SERVING for good."""
        self._serving = None
        self._calls.serving = False
        await self.servicer.enter_graceful_shutdown()

    async def check_database(self) -> None:
        """Asks the database, and reports if it fell silent or answers again."""
        serving = await self._database_answers()
        if self._serving in (None, serving):
            return
        import structlog  # noqa: PLC0415 - slow to load, and needed in workers alone

        structlog.get_logger().warning("health_changed", serving=serving)
        await self._report(serving=serving)

    async def _report(self, *, serving: bool) -> None:
        self._serving = self._calls.serving = serving
        states = health_pb2.HealthCheckResponse
        state = states.SERVING if serving else states.NOT_SERVING
        for service in ("", *(service.full_name for service in self._calls.services)):
            await self.servicer.set(service, state)
