"""Streams of google.api.HttpBody over HTTP: their bytes as they are, as a file."""

import asyncio
from collections.abc import AsyncIterator
from typing import cast

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.message import Message
from starlette.types import Receive, Send

from balance_service._generated.balance.v1 import statement_pb2
from balance_service.calls.endings import Refused
from balance_service.calls.methods import Method
from balance_service.gateway.responses import send_head
from balance_service.gateway.streams import wait_for_disconnect
from balance_service.messages.statement_files import forms

# Of every file that there is.
MEDIA_TYPES = tuple(media_type.partition(";")[0] for media_type in forms.MEDIA_TYPES.values())


def is_file(method: Method) -> bool:
    """Whether a method answers with a file in parts."""
    is_body = method.output.full_name == HttpBody.DESCRIPTOR.full_name
    return bool(method.descriptor.server_streaming) and is_body


async def send_file(messages: AsyncIterator[Message], receive: Receive, send: Send) -> None:
    """Sends a file until it ends or the caller disconnects.

    A call that fails on the way leaves the response without its end, which HTTP tells the caller.

    Args:
        messages: The parts, of which the first says what the file is.
        receive: Tells when the caller disconnects.
        send: Waits while the caller does not read, so that nothing is kept for a slow one.

    Raises:
        Refused: The call was refused before its first part, so that the HTTP status says so.
    """
    sending = asyncio.create_task(_send_parts(messages, send))
    leaving = asyncio.create_task(wait_for_disconnect(receive))
    try:
        await asyncio.wait([sending, leaving], return_when=asyncio.FIRST_COMPLETED)
    finally:
        sending.cancel()
        leaving.cancel()
        # Waited for, so that the call has ended and nothing is sent after this returns.
        sent, _ = await asyncio.gather(sending, leaving, return_exceptions=True)
    if isinstance(sent, Exception):
        raise sent


async def _send_parts(messages: AsyncIterator[Message], send: Send) -> None:
    started = False
    try:
        async for message in messages:
            part = cast("HttpBody", message)
            if not started:
                started = True
                await send_head(send, 200, _headers(part))
            await send({"type": "http.response.body", "body": part.data, "more_body": True})
    except Refused:
        if started:
            return
        raise
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _headers(first: HttpBody) -> dict[str, str]:
    headers = {"content-type": first.content_type}
    told = statement_pb2.StatementFile()
    for extension in first.extensions:
        if extension.Unpack(told):
            headers["content-disposition"] = f'attachment; filename="{told.name}"'
    return headers
