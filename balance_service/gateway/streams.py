"""Streams of messages over HTTP: lines of JSON, or server-sent events."""

import asyncio
from collections.abc import AsyncIterator

from google.protobuf.message import Message
from starlette.types import Receive, Send

from balance_service.calls.dispatch import Refused
from balance_service.gateway import answers, refusals

NDJSON = "application/x-ndjson"
EVENTS = "text/event-stream"
# Shorter than the patience of proxies with a silent connection.
HEARTBEAT_SECONDS = 15.0


class Streaming:
    """Sends one stream of messages.

    Args:
        accept: What the caller reads; server-sent events if these are named.
        send: Of ASGI. It waits while the caller does not read, so nothing gathers here.
    """

    def __init__(self, accept: str, send: Send) -> None:
        self._events = EVENTS in accept
        self._send = send
        self._started = False

    async def run(self, messages: AsyncIterator[Message], receive: Receive) -> None:
        """Sends messages until they end or the caller goes.

        Raises:
            Refused: Before the first message, so that HTTP can tell it by its status.
        """
        sending = asyncio.create_task(self._pump(messages))
        others = [asyncio.create_task(_gone(receive)), asyncio.create_task(self._beat())]
        try:
            await asyncio.wait([sending, *others], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, *others):
                task.cancel()
            ended, *_ = await asyncio.gather(sending, *others, return_exceptions=True)
        if isinstance(ended, Exception):
            raise ended

    async def _pump(self, messages: AsyncIterator[Message]) -> None:
        try:
            async for message in messages:
                await self._write(self._frame("result", answers.encoded(answers.as_dict(message))))
        except Refused as refused:
            if not self._started:
                raise
            await self._write(self._frame("error", refusals.of_status(refused.status).body))
        await self._write(b"", more=False)

    async def _beat(self) -> None:
        """Shows proxies and callers that a quiet stream is alive."""
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            await self._write(b": still here\n\n" if self._events else b"\n")

    def _frame(self, kind: str, data: bytes) -> bytes:
        """A message in the form of WHATWG HTML 9.2, or of grpc-gateway's streams."""
        if self._events:
            return b"%bdata: %b\n\n" % (b"event: error\n" if kind == "error" else b"", data)
        return b'{"%b":%b}\n' % (kind.encode(), data)

    async def _write(self, part: bytes, *, more: bool = True) -> None:
        if not self._started:
            self._started = True
            media_type = EVENTS if self._events else NDJSON
            await answers.start(self._send, 200, {"content-type": media_type})
        await self._send({"type": "http.response.body", "body": part, "more_body": more})


async def _gone(receive: Receive) -> None:
    """Returns once the caller has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
