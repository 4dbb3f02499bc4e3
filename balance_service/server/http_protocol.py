"""HTTP/1.1 as uvicorn speaks it, with bounds on what a connection may send.

uvicorn bounds neither the size of a head nor the time that it may take, nor how many requests wait
on a connection. The application cannot bound them either: before its head is complete, there is no
request to hand to it. What is refused here is answered in the contract's form, and its connection
is closed. h11, uvicorn's other parser, bounds a head's size at several times the cost of a call.

A connection goes through these states:

    reading a head <--> reading a body
          |                   |
          +---------+---------+
                    v
    reading stopped: something was refused; earlier requests still get their answers
                    v
    leaving: the last answer is written; what still comes is dropped, until the caller closes or
    its time is over
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
from balance_service.gateway.refusals import refusal_to_response
from balance_service.gateway.responses import ANSWER_HEADERS, JSON

# Without these two, 20 MB of header lines on one connection take 440 MB.
HEAD_BYTES_MAX = 1 << 16
FIELDS_MAX = 100
# From connecting, or from the first byte of a later head, to the end of the head. Between two
# requests a connection may be silent for as long as uvicorn keeps it alive.
HEAD_TIMEOUT_SECONDS = 10.0
CONNECTIONS_MAX = 10_000
# Requests of one connection that wait for the answer to an earlier one (RFC 9112, 9.3.2).
PIPELINED_MAX = 100
# What surrounds a body: sizes of chunks, their extensions, and trailers (RFC 9112, 7.1). The
# application bounds the body itself, but never sees these.
FRAMING_BYTES_MAX = 1 << 20
# How long a refused caller may go on sending, so that it comes to read why.
LINGER_SECONDS = 2.0
# How much is parsed before the bounds are looked at again.
_SLICE_BYTES = 1 << 14


class BoundedHttp(HttpToolsProtocol):
    """A connection of a caller, of whom nothing is known yet.

    The methods without an underscore are called by the transport (connection_*, data_received), by
    httptools' parser (on_*), or by uvicorn.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        # Whether a head is read or awaited, else a body.
        self._in_head = True
        # Whether what still comes is not read, and whether nothing more is answered either.
        self._reading_stopped = False
        self._leaving = False
        self._refusal: errors.Refusal | None = None
        # Runs while a head is awaited, and while the caller is given time to leave.
        self._timer: asyncio.TimerHandle | None = None
        # Heads since the connection was made.
        self._heads = 0
        # Of the current head: its fields and their bytes, as the parser reports them.
        self._fields = 0
        self._field_bytes = 0
        # Of the current message: bytes of the slices within its head, which bound what the parser
        # does not report, such as a field without end; and bytes around its body.
        self._head_bytes = 0
        self._framing_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast("asyncio.Transport", transport))
        self._start_head_timer()
        if len(self.connections) > CONNECTIONS_MAX:
            self._refuse(errors.Overloaded(retry_after.OVERLOADED_SECONDS))

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parses data in slices, so that little is parsed beyond a bound."""
        for start in range(0, len(data), _SLICE_BYTES):
            if self._reading_stopped:
                # While answers are owed, the caller is made to wait. A caller that is to leave is
                # read from, and what it sends is dropped.
                if not self._leaving:
                    self.flow.pause_reading()
                return
            if self._in_head:
                self._start_head_timer()
            self._parse(data[start : start + _SLICE_BYTES])

    def _parse(self, data: bytes) -> None:
        heads_before, in_head_before = self._heads, self._in_head
        super().data_received(data)
        # A slice in which a head begins or ends has bytes of two kinds. It is not counted: its size
        # is a bound by itself, and on_url and on_header have counted the fields in it.
        if self._heads == heads_before and self._in_head == in_head_before:
            if self._in_head:
                self._head_bytes += len(data)
            else:
                # Less the bytes of the body itself, which on_body takes off.
                self._framing_bytes += len(data)
        if self._reading_stopped:
            return
        if self._head_bytes > HEAD_BYTES_MAX:
            self._refuse(_head_too_large())
        elif self._framing_bytes > FRAMING_BYTES_MAX:
            self._refuse(http.malformed("body", "must be sent in larger chunks"))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._start_head_timer()
        self._heads += 1
        self._fields = self._field_bytes = self._head_bytes = self._framing_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._count_field_bytes(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        # The parser reports trailers here, too. They are dropped: the request was judged by its
        # head, and a trailer must not become a header (RFC 9110, 6.5.1).
        if self._in_head:
            self._fields += 1
            self._count_field_bytes(len(name) + len(value) + len(": \r\n"))
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        # uvicorn queues any number of them, each with its head.
        if len(self.pipeline) >= PIPELINED_MAX:
            raise self._set_refusal(_head_too_large())
        self._in_head = False
        self._stop_timer()
        if not self.url.startswith(b"/"):
            self.url = _to_origin_form(self.url)
        if not (self.url.startswith(b"/") and self.url.isascii()):
            rule = 'must be a path, such as "/api/v1/accounts"'
            raise self._set_refusal(http.malformed("target", rule))
        super().on_headers_complete()
        # After an Upgrade or a CONNECT the parser stops. The request is answered in HTTP, and what
        # follows, perhaps in another protocol, must not be read as another request.
        if self.parser.should_upgrade():
            self.cycle.keep_alive = False
        # uvicorn closes the transport after a last answer; this makes it leave instead.
        self.cycle.transport = cast(
            "asyncio.Transport", _AnswerTransport(self.transport, self._leave)
        )

    def on_body(self, body: bytes) -> None:
        # A body that comes after its answer is read by nobody, so it counts as framing.
        if not self.cycle.response_complete:
            self._framing_bytes -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        # The rest of a body that was answered early would have to be read before another request.
        if self.cycle.response_complete and self.cycle.more_body:
            self._leave()
        if not self._leaving:
            super().on_response_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's signature
        """Answers what the parser refused, or one of the callbacks above by raising."""
        place = "head" if self._in_head else "body"
        self._refuse(self._refusal or http.malformed(place, "must be HTTP/1.1"))

    def timeout_keep_alive_handler(self) -> None:
        """Ends an idle connection, even if its caller has not read its answers."""
        self.transport.abort()

    def _leave(self) -> None:
        """Closes once the caller has had time to read the last answer.

        A socket that is closed with something unread is reset, and its caller may never see the
        answer (RFC 9112, 9.6). So the sending side alone is closed first, and what comes is read
        and dropped.
        """
        self._reading_stopped = self._leaving = True
        self._stop_timer()
        self._unset_keepalive_if_required()
        if self.transport.is_closing():
            return
        everything_read = self._in_head and not self._head_bytes and self._refusal is None
        if everything_read:
            self.transport.close()
            # close() writes what is buffered first, and waits as long as the caller reads nothing.
            seconds: float = self.timeout_keep_alive
        else:
            self.transport.write_eof()
            self.flow.resume_reading()
            seconds = LINGER_SECONDS
        self._timer = self.loop.call_later(seconds, self.transport.abort)

    def _unsupported_upgrade_warning(self) -> None:
        """Logs nothing: that a caller asks for another protocol is no event."""

    def _count_field_bytes(self, size: int) -> None:
        self._field_bytes += size
        if self._field_bytes > HEAD_BYTES_MAX or self._fields > FIELDS_MAX:
            raise self._set_refusal(_head_too_large())

    def _set_refusal(self, refusal: errors.Refusal) -> errors.Refusal:
        """Keeps a refusal that a callback raises: the parser raises an error of its own instead."""
        self._refusal = refusal
        return refusal

    def _start_head_timer(self) -> None:
        # Not started anew by more of the same head: dripping it would take for ever.
        if self._timer is None:
            self._timer = self.loop.call_later(HEAD_TIMEOUT_SECONDS, self._refuse_late_head)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse_late_head(self) -> None:
        self._refuse(http.RequestTimeout())

    def _refuse(self, refusal: errors.Refusal) -> None:
        """Reads no more of the connection, and answers with the refusal if it is its turn."""
        self._refusal = refusal
        self._reading_stopped = True
        self._stop_timer()
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            if self._in_head or cycle.response_started or self.pipeline:
                # Earlier requests are owed their answers, which a refusal must not interrupt. The
                # connection is left after the last of them, without the refusal.
                cycle.keep_alive = False
                return
            # The body of the request being answered is at fault: its answer is the refusal, and
            # the application hears that its caller is gone.
            cycle.disconnected = True
            cycle.message_event.set()
        if not self.transport.is_closing():
            self.transport.write(_to_bytes(refusal))
        self._leave()


class _AnswerTransport:
    """A connection's transport as answers see it: closing it is the connection's own leaving."""

    def __init__(self, transport: asyncio.Transport, leave: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = leave


def _head_too_large() -> errors.Refusal:
    rule = f"must have at most {FIELDS_MAX} fields and {HEAD_BYTES_MAX >> 10} KiB"
    return http.HeadTooLarge((errors.Violation("head", rule),))


def _to_origin_form(target: bytes) -> bytes:
    """The path and query of a target that is a URL, which servers must take (RFC 9112, 3.2.2).

    Any other target is returned as it is, to be refused.
    """
    if not target.lower().startswith((b"http://", b"https://")):
        return target
    try:
        url = httptools.parse_url(target)
    except httptools.HttpParserInvalidURLError:
        return target
    return (url.path or b"/") + (b"?" + url.query if url.query else b"")


def _to_bytes(refusal: errors.Refusal) -> bytes:
    """A refusal as it is written to the connection: there is no request for uvicorn to answer."""
    response = refusal_to_response(refusal, "en")
    phrase = HTTPStatus(response.status).phrase
    headers = {
        **ANSWER_HEADERS,
        "content-type": JSON,
        "content-length": str(len(response.body)),
        **response.headers,
        **http.CLOSE,
    }
    lines = [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join([f"HTTP/1.1 {response.status} {phrase}", *lines, "", ""])
    return head.encode() + response.body
