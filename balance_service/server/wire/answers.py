"""Answers as ASGI's events: a head, messages, and trailers with the status."""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any

from starlette.types import Send

from balance_service.server.wire import heads
from balance_service.server.wire.frames import Failure, Gone, frame


async def shield_future(awaited: Awaitable[Any]) -> Any:  # noqa: ANN401 - whatever it results in
    """Awaits; if it is a future, a cancellation ends the waiting and not the future.

    pyvoy completes a future even if it was cancelled, which would be an error in the log.
    """
    if asyncio.isfuture(awaited) and not awaited.done():
        awaited = asyncio.shield(awaited)
    return await awaited


def shielded(send: Send) -> Send:
    """A `send` that may be cancelled while a server's future is waited for."""
    return lambda event: shield_future(send(event))


class Answer:
    """Sends an answer.

    Args:
        send: ASGI's.
        media_type: The request's.
    """

    def __init__(self, send: Send, media_type: bytes) -> None:
        self._send = send
        self._media_type = media_type
        self._started = False

    async def send_one(self, message: bytes, trailers: Mapping[str, str]) -> None:
        """Sends one message and the status OK."""
        await self._start()
        await self._body(frame(message), more=False)
        await self._trailers([heads.OK, *heads.to_headers(trailers)])

    async def write(self, message: bytes) -> None:
        """Sends one message of many; waits while the caller does not read.

        Raises:
            Gone: The caller has gone.
        """
        if not self._started:
            await self._start()
        await self._body(frame(message), more=True)

    async def end(self, trailers: Mapping[str, str]) -> None:
        """Sends the status OK, after the messages."""
        if not self._started:
            await self._start()
        await self._body(b"", more=False)
        await self._trailers([heads.OK, *heads.to_headers(trailers)])

    async def fail(self, failure: Failure) -> None:
        """Sends a status; alone, where no message was sent."""
        try:
            if self._started:
                await self._body(b"", more=False)
                await self._trailers(heads.failure_to_headers(failure))
            else:
                headers = [*heads.open_answer(self._media_type), *heads.failure_to_headers(failure)]
                await self._send_event(
                    {"type": "http.response.start", "status": 200, "headers": headers}
                )
                await self._body(b"", more=False)
        except Gone:
            pass

    async def _start(self) -> None:
        self._started = True
        headers = heads.open_answer(self._media_type)
        await self._send_event(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": headers,
                "trailers": True,
            }
        )

    async def _body(self, part: bytes, *, more: bool) -> None:
        await self._send_event({"type": "http.response.body", "body": part, "more_body": more})

    async def _trailers(self, trailers: heads.Headers) -> None:
        await self._send_event({"type": "http.response.trailers", "headers": trailers})

    async def _send_event(self, event: dict[str, Any]) -> None:
        try:
            await self._send(event)
        except Exception as error:
            # Every server raises an error of its own when a caller goes.
            raise Gone from error
