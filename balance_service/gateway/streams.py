"""Streams of messages over HTTP: lines of JSON, or server-sent events."""

import asyncio
from collections.abc import AsyncIterator

from google.protobuf.message import Message
from starlette.types import Receive, Send

from balance_service.calls.endings import Refused
from balance_service.gateway.refusals import status_to_response
from balance_service.gateway.responses import send_head
from balance_service.messages.json_form import to_dict, to_json

NDJSON = "application/x-ndjson"
EVENTS = "text/event-stream"
# Proxies close a connection that is silent for long, many of them after a minute.
HEARTBEAT_SECONDS = 15.0


class ResponseStream:
    """Sends the messages of one call as they come.

    Args:
        accept: The request's Accept header; server-sent events if it names them, else JSON lines.
        send: The ASGI channel to the caller. It waits while the caller does not read, so a slow
            reader slows the call instead of filling a buffer here.
    """

    def __init__(self, accept: str, send: Send) -> None:
        self._as_events = EVENTS in accept
        self._send = send
        self._started = False

    async def run(self, messages: AsyncIterator[Message], receive: Receive) -> None:
        """Sends messages until they end or the caller disconnects.

        Raises:
            Refused: The call was refused before its first message, so that the HTTP status can
                still say so.
        """
        sending = asyncio.create_task(self._send_messages(messages))
        others = [
            asyncio.create_task(wait_for_disconnect(receive)),
            asyncio.create_task(self._send_heartbeats()),
        ]
        try:
            await asyncio.wait([sending, *others], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, *others):
                task.cancel()
            # Waited for, so that the call has ended and nothing is sent after this returns.
            sent, *_ = await asyncio.gather(sending, *others, return_exceptions=True)
        if isinstance(sent, Exception):
            raise sent

    async def _send_messages(self, messages: AsyncIterator[Message]) -> None:
        try:
            async for message in messages:
                await self._write(self._frame("result", to_json(to_dict(message))))
        except Refused as refused:
            if not self._started:
                raise
            # The status was sent with the first message, so the refusal is the stream's last line.
            await self._write(self._frame("error", status_to_response(refused.status).body))
        await self._write(b"", more=False)

    async def _send_heartbeats(self) -> None:
        """Shows proxies and callers that a quiet stream is alive, by what readers skip."""
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            await self._write(b": still here\n\n" if self._as_events else b"\n")

    def _frame(self, kind: str, data: bytes) -> bytes:
        """One event (WHATWG HTML, 9.2), or one line as grpc-gateway's streams have it."""
        if self._as_events:
            return b"%bdata: %b\n\n" % (b"event: error\n" if kind == "error" else b"", data)
        return b'{"%b":%b}\n' % (kind.encode(), data)

    async def _write(self, part: bytes, *, more: bool = True) -> None:
        if not self._started:
            self._started = True
            media_type = EVENTS if self._as_events else NDJSON
            await send_head(self._send, 200, {"content-type": media_type})
        await self._send({"type": "http.response.body", "body": part, "more_body": more})


async def wait_for_disconnect(receive: Receive) -> None:
    """Returns once the caller is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
