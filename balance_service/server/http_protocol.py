"""HTTP/1.1 as uvicorn speaks it, with bounds on what a connection may send before it is a request.

uvicorn bounds neither the size of a head nor the time that it may take; a head is not yet anybody's
request, so the application cannot. What is refused here is answered in the contract's form, and its
connection is closed.
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from balance_service.calls import http
from balance_service.domain import errors, retry_after
from balance_service.gateway import answers, refusals

HEAD_BYTES_MAX = 1 << 16
FIELDS_MAX = 100
HEAD_TIMEOUT_SECONDS = 10.0
CONNECTIONS_MAX = 10_000
# Requests whose heads came while an earlier one is being answered.
PIPELINED_MAX = 100
# Of a body, what is not the body: sizes of chunks, their extensions, trailers.
FRAMING_BYTES_MAX = 1 << 20
# How long a caller may go on sending what is not read, so that it comes to read why.
LINGER_SECONDS = 2.0
_SLICE_BYTES = 1 << 14


class BoundedHttp(HttpToolsProtocol):
    """A connection of a caller, of whom nothing is known yet."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._in_head = True
        # Whether no more is read, and whether no more is answered either.
        self._deaf = self._left = False
        self._refusal: errors.Refusal | None = None
        self._timer: asyncio.TimerHandle | None = None
        # Of the message that is being read: its fields, their bytes, and the bytes that came of
        # its head and of what surrounds its body.
        self._heads = self._fields = self._field_bytes = 0
        self._head_bytes = self._framing_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast("asyncio.Transport", transport))
        self._await_head()
        if len(self.connections) > CONNECTIONS_MAX:
            self._refuse(errors.Overloaded(retry_after.OVERLOADED_SECONDS))

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parses data in slices, so that what is too much is not parsed at once."""
        for start in range(0, len(data), _SLICE_BYTES):
            if self._deaf:
                if not self._left:
                    self.flow.pause_reading()
                return
            if self._in_head:
                self._await_head()
            self._parse(data[start : start + _SLICE_BYTES])

    def _parse(self, data: bytes) -> None:
        heads, in_head = self._heads, self._in_head
        super().data_received(data)
        if heads == self._heads and in_head == self._in_head:
            if in_head:
                self._head_bytes += len(data)
            else:
                self._framing_bytes += len(data)
        if self._deaf:
            return
        if self._head_bytes > HEAD_BYTES_MAX:
            self._refuse(_head_too_large())
        elif self._framing_bytes > FRAMING_BYTES_MAX:
            self._refuse(http.malformed("body", "must be sent in larger chunks"))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_head()
        self._heads += 1
        self._fields = self._field_bytes = self._head_bytes = self._framing_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        # What trails a body is no head: by then the request was judged.
        if self._in_head:
            self._fields += 1
            self._count(len(name) + len(value) + len(": \r\n"))
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= PIPELINED_MAX:
            raise self._refusing(_head_too_large())
        self._in_head = False
        self._stop_waiting()
        if not self.url.startswith(b"/"):
            self.url = _origin_form(self.url)
        if not (self.url.startswith(b"/") and self.url.isascii()):
            rule = 'must be a path, such as "/api/v1/accounts"'
            raise self._refusing(http.malformed("target", rule))
        super().on_headers_complete()
        # What follows in another protocol is not read as a request.
        if self.parser.should_upgrade():
            self.cycle.keep_alive = False
        self.cycle.transport = cast("asyncio.Transport", _Leaving(self.transport, self._leave))

    def on_body(self, body: bytes) -> None:
        if not self.cycle.response_complete:
            self._framing_bytes -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if self.cycle.response_complete and self.cycle.more_body:
            self._leave()
        if not self._left:
            super().on_response_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own
        """Answers what the parser or one of the bounds refused."""
        self._refuse(self._refusal or http.malformed("head" if self._in_head else "body", _NO_HTTP))

    def _unsupported_upgrade_warning(self) -> None:
        """Nothing: a request to speak something else is answered in HTTP, which is no event."""

    def _count(self, size: int) -> None:
        self._field_bytes += size
        if self._field_bytes > HEAD_BYTES_MAX or self._fields > FIELDS_MAX:
            raise self._refusing(_head_too_large())

    def _refusing(self, refusal: errors.Refusal) -> errors.Refusal:
        self._refusal = refusal
        return refusal

    def _await_head(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(HEAD_TIMEOUT_SECONDS, self._head_is_late)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _head_is_late(self) -> None:
        self._refuse(http.RequestTimeout())

    def _refuse(self, refusal: errors.Refusal) -> None:
        """Answers with a refusal if it is its turn, and reads no more of the connection."""
        self._refusal = refusal
        self._deaf = True
        self._stop_waiting()
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            if self._in_head or cycle.response_started or self.pipeline:
                # Earlier requests are owed their answers, which a refusal must not interrupt.
                cycle.keep_alive = False
                return
            cycle.disconnected = True
            cycle.message_event.set()
        if not self.transport.is_closing():
            self.transport.write(_encoded(refusal))
        self._leave()

    def _leave(self) -> None:
        """Closes: at once if everything was read, else when the caller had time to read why.

        A socket closed with something unread is reset, and its caller never sees the answer.
        """
        self._deaf = self._left = True
        self._stop_waiting()
        self._unset_keepalive_if_required()
        if self.transport.is_closing():
            return
        if self._in_head and not self._head_bytes and self._refusal is None:
            self.transport.close()
            seconds: float = self.timeout_keep_alive
        else:
            self.transport.write_eof()
            self.flow.resume_reading()
            seconds = LINGER_SECONDS
        self._timer = self.loop.call_later(seconds, self.transport.abort)

    def timeout_keep_alive_handler(self) -> None:
        """Ends an idle connection, also one whose caller has not read its answers."""
        self.transport.abort()


class _Leaving:
    """A transport for answers, whose close is the connection's own way of leaving."""

    def __init__(self, transport: asyncio.Transport, leave: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = leave


_NO_HTTP = "must be HTTP/1.1"


def _head_too_large() -> errors.Refusal:
    rule = f"must have at most {FIELDS_MAX} fields and {HEAD_BYTES_MAX >> 10} KiB"
    return http.HeadTooLarge((errors.Violation("head", rule),))


def _origin_form(target: bytes) -> bytes:
    """The path of a target that is a URL (RFC 9112, 3.2.2); any other is left, to be refused."""
    if not target.lower().startswith((b"http://", b"https://")):
        return target
    url = httptools.parse_url(target)
    return (url.path or b"/") + (b"?" + url.query if url.query else b"")


def _encoded(refusal: errors.Refusal) -> bytes:
    answer = refusals.of_refusal(refusal, "en")
    phrase = HTTPStatus(answer.status).phrase
    told = {
        **answers.ALWAYS,
        "content-type": answers.JSON,
        "content-length": str(len(answer.body)),
        **answer.headers,
        **http.CLOSE,
    }
    lines = [f"HTTP/1.1 {answer.status} {phrase}", *(f"{name}: {told[name]}" for name in told)]
    return "\r\n".join([*lines, "", ""]).encode() + answer.body
