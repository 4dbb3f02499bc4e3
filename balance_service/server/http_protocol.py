"""HTTP/1.1 as uvicorn speaks it, with bounds on what a connection may send before it is a request.

uvicorn bounds neither the size of a request's head nor the time that it may take, and the
application cannot: it is called once the head is complete. What is refused here is answered in the
contract's form, and its connection is closed.
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
from balance_service.domain import errors
from balance_service.gateway import answers, refusals
from balance_service.ledger.queue import RETRY_AFTER_SECONDS

HEAD_BYTES_MAX = 1 << 16
FIELDS_MAX = 100
HEAD_TIMEOUT_SECONDS = 10.0
CONNECTIONS_MAX = 10_000
# Requests of a connection that wait while an earlier one is being answered.
PIPELINED_MAX = 100
# What surrounds a chunked body: sizes of chunks, their extensions, trailers.
FRAMING_BYTES_MAX = 1 << 20
# How long a refused caller may go on sending, which is not read, until it reads why.
LINGER_SECONDS = 2.0
_SLICE_BYTES = 1 << 14
_NOT_HTTP = "must be HTTP/1.1"


class BoundedHttp(HttpToolsProtocol):
    """A connection of a caller, of whom nothing is known until a head is complete."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._in_head = True
        # Whether reading has ended, and whether answering has as well.
        self._reading_ended = self._leaving = False
        self._refusal: errors.Refusal | None = None
        self._timer: asyncio.TimerHandle | None = None
        # Heads that began on this connection.
        self._heads = 0
        # Of the request that is being read: the fields of its head and their bytes as parsed; bytes
        # received for its head; bytes received that surround its body.
        self._fields = self._field_bytes = self._head_bytes = self._framing_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast("asyncio.Transport", transport))
        self._await_head()
        if len(self.connections) > CONNECTIONS_MAX:
            self._refuse(errors.Overloaded(RETRY_AFTER_SECONDS))

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parses data in slices, so that the bounds are checked before all of it is parsed."""
        for start in range(0, len(data), _SLICE_BYTES):
            if self._reading_ended:
                if not self._leaving:
                    self.flow.pause_reading()
                return
            if self._in_head:
                self._await_head()
            self._parse(data[start : start + _SLICE_BYTES])

    def _parse(self, data: bytes) -> None:
        heads, in_head = self._heads, self._in_head
        super().data_received(data)
        # A slice in which a head began or ended is not of one part alone, and counts for none.
        if heads == self._heads and in_head == self._in_head:
            if in_head:
                self._head_bytes += len(data)
            else:
                self._framing_bytes += len(data)
        if self._reading_ended:
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
        # Fields after a body (trailers) are ignored: the request was admitted without them.
        if self._in_head:
            self._fields += 1
            self._count(len(name) + len(value) + len(": \r\n"))
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= PIPELINED_MAX:
            raise self._note_refusal(_head_too_large())
        self._in_head = False
        self._stop_waiting()
        if not self.url.startswith(b"/"):
            self.url = _origin_form(self.url)
        if not (self.url.startswith(b"/") and self.url.isascii()):
            rule = 'must be a path, such as "/api/v1/accounts"'
            raise self._note_refusal(http.malformed("target", rule))
        super().on_headers_complete()
        # After a request to speak another protocol, what follows is not read as HTTP.
        if self.parser.should_upgrade():
            self.cycle.keep_alive = False
        self.cycle.transport = cast(
            "asyncio.Transport", _LeavingTransport(self.transport, self._leave)
        )

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
        if not self._leaving:
            super().on_response_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own
        """Answers with the refusal of a bound or, for what the parser gave up on, our own."""
        self._refuse(
            self._refusal or http.malformed("head" if self._in_head else "body", _NOT_HTTP)
        )

    def _unsupported_upgrade_warning(self) -> None:
        """Logs nothing: a request to speak another protocol is answered in HTTP."""

    def _count(self, size: int) -> None:
        self._field_bytes += size
        if self._field_bytes > HEAD_BYTES_MAX or self._fields > FIELDS_MAX:
            raise self._note_refusal(_head_too_large())

    def _note_refusal(self, refusal: errors.Refusal) -> errors.Refusal:
        """Notes why the parser is stopped, for `send_400_response`; the caller raises it."""
        self._refusal = refusal
        return refusal

    def _await_head(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(HEAD_TIMEOUT_SECONDS, self._refuse_late_head)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse_late_head(self) -> None:
        self._refuse(http.RequestTimeout())

    def _refuse(self, refusal: errors.Refusal) -> None:
        """Answers with a refusal, unless earlier answers are still owed, and reads no more."""
        self._refusal = refusal
        self._reading_ended = True
        self._stop_waiting()
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            if self._in_head or cycle.response_started or self.pipeline:
                # A refusal must not interrupt the answers that earlier requests are owed. The
                # connection closes after them, without this one.
                cycle.keep_alive = False
                return
            cycle.disconnected = True
            cycle.message_event.set()
        if not self.transport.is_closing():
            self.transport.write(_encode(refusal))
        self._leave()

    def _leave(self) -> None:
        """Closes: at once if everything was read, or else once the caller has had time to read why.

        A socket that is closed with something unread is reset, and the caller may lose the answer.
        """
        self._reading_ended = self._leaving = True
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
        """Ends an idle connection, even if its caller has not read the answers."""
        self.transport.abort()


class _LeavingTransport:
    """A transport for answers that closes by the connection's `_leave`."""

    def __init__(self, transport: asyncio.Transport, leave: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = leave


def _head_too_large() -> errors.Refusal:
    rule = f"must have at most {FIELDS_MAX} fields and {HEAD_BYTES_MAX >> 10} KiB"
    return http.HeadTooLarge((errors.Violation("head", rule),))


def _origin_form(target: bytes) -> bytes:
    """The path and query of a target that is a URL (RFC 9112, 3.2.2).

    Any other target is returned as it is, and refused by its caller.
    """
    if not target.lower().startswith((b"http://", b"https://")):
        return target
    url = httptools.parse_url(target)
    return (url.path or b"/") + (b"?" + url.query if url.query else b"")


def _encode(refusal: errors.Refusal) -> bytes:
    answer = refusals.of_refusal(refusal, "en")
    phrase = HTTPStatus(answer.status).phrase
    headers = {
        **answers.ALWAYS,
        "content-type": answers.JSON,
        "content-length": str(len(answer.body)),
        **answer.headers,
        **http.CLOSE,
    }
    lines = [
        f"HTTP/1.1 {answer.status} {phrase}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + answer.body
