"""/livez and /readyz: whether this process lives, and whether some worker serves."""

import asyncio
import time

from starlette.requests import Request
from starlette.responses import PlainTextResponse

from balance_service.config import Settings
from balance_service.server import health

# However many ask, workers are asked this often.
KEPT_SECONDS = 1.0
_NEVER_KEPT = {"cache-control": "no-store"}


async def live(_: Request) -> PlainTextResponse:
    """Answers that the supervisor's processes live; whether they serve is another question."""
    return PlainTextResponse("ok\n", headers=_NEVER_KEPT)


class Readiness:
    """Whether calls are answered, as gRPC's health says of the whole.

    Args:
        settings: Say where the service listens, and how it is called.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._asking = asyncio.Lock()
        self._serves = False
        self._asked_at = -KEPT_SECONDS

    async def ask(self) -> bool:
        """Whether a worker says that it serves."""
        async with self._asking:
            if time.monotonic() - self._asked_at >= KEPT_SECONDS:
                self._serves = await health.serves(self._settings.grpc_target, self._settings)
                self._asked_at = time.monotonic()
        return self._serves

    async def show(self, _: Request) -> PlainTextResponse:
        """Answers 200 while a worker serves, and otherwise 503."""
        if await self.ask():
            return PlainTextResponse("SERVING\n", headers=_NEVER_KEPT)
        return PlainTextResponse("NOT_SERVING\n", 503, headers=_NEVER_KEPT)
