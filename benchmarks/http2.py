"""A gRPC client that costs next to nothing: prepared frames over plain sockets (RFC 9113).

A client library spends as much on a call as the server does, so it would measure itself. This one
writes whole frames, reads no header and knows only what a benchmark needs: a call succeeded if its
answer had a message, for a refused unary call has none.
"""

import selectors
import socket
import time
from array import array
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
WINDOW = 2**31 - 1
FRAME_BYTES_MAX = 16_384
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
INITIAL_WINDOW_SIZE = 4
# A caller that is refused comes again after what RetryInfo says.
RETRY_AFTER_SECONDS = 0.1
END_STREAM, END_HEADERS, ACK = 0x1, 0x4, 0x1

Body = Callable[[], tuple[str, bytes]]


def _seconds() -> "array[float]":
    return array("d")


@dataclass
class Measured:
    """What a load was answered.

    Args:
        seconds: How long it lasted.
        took: Seconds of each call that succeeded.
        refused: Seconds of each call that was refused or lost.
    """

    seconds: float
    took: "array[float]" = field(default_factory=_seconds)
    refused: "array[float]" = field(default_factory=_seconds)


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload


def _text(value: bytes) -> bytes:
    """A string of HPACK, not compressed (RFC 7541, 5.2)."""
    if len(value) < 127:
        return bytes((len(value),)) + value
    rest, digits = len(value) - 127, b"\x7f"
    while rest >= 128:
        digits += bytes((rest % 128 + 128,))
        rest //= 128
    return digits + bytes((rest,)) + value


class Headers:
    """Header blocks: a field is spelt out the first time, and then named by its place (RFC 7541).

    Args:
        common: Fields of every call, each as its literal with incremental indexing.
    """

    def __init__(self, common: list[bytes]) -> None:
        self._common = common
        self._places: dict[bytes, int] = {}

    def block(self, path: str) -> bytes:
        """The block of a call: POST, http, its path, and the common fields."""
        fields = [b"\x44" + _text(path.encode()), *self._common]
        return b"\x83\x86" + b"".join(map(self._field, fields))

    def _field(self, literal: bytes) -> bytes:
        place = self._places.get(literal)
        if place is None:
            self._places[literal] = len(self._places)
            return literal
        # The newest entry is 62, after the static table.
        return bytes((0x80 | (61 + len(self._places) - place),))


class Connection:
    """One connection, with as many calls under way as it is told to keep."""

    def __init__(self, host: str, port: int, token: str, source: str = "") -> None:
        self._socket = socket.create_connection((host, port), source_address=(source, 0))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)  # noqa: FBT003 - a name of the standard library
        self._headers = Headers(
            [
                b"\x41" + _text(f"{host}:{port}".encode()),
                b"\x5f" + _text(b"application/grpc"),
                b"\x40" + _text(b"te") + _text(b"trailers"),
                *([b"\x57" + _text(f"Bearer {token}".encode())] if token else []),
            ]
        )
        self._next, self._consumed = 1, 0
        self._window = self._stream_window = 65_535
        self._held: dict[int, tuple[bytes, int]] = {}
        self._unread, self._unsent = b"", bytearray(PREFACE)
        self.began: dict[int, float] = {}
        self._answered: set[int] = set()
        self._paused: deque[float] = deque()
        self._unsent += frame(SETTINGS, 0, 0, INITIAL_WINDOW_SIZE.to_bytes(2) + WINDOW.to_bytes(4))
        self._unsent += frame(WINDOW_UPDATE, 0, 0, (WINDOW - 65_535).to_bytes(4))

    def fileno(self) -> int:
        return self._socket.fileno()

    def may_call(self, depth: int, now: float) -> bool:
        """Whether one more call keeps within a depth; a refused one counts until its pause ends."""
        while self._paused and self._paused[0] <= now:
            self._paused.popleft()
        room = self._window > FRAME_BYTES_MAX or not self.began
        return room and len(self.began) + len(self._paused) < depth

    def call(self, path: str, message: bytes, now: float) -> None:
        """Starts a call; `flush` sends it."""
        stream, self._next = self._next, self._next + 2
        payload = b"\0" + len(message).to_bytes(4) + message
        self._unsent += frame(HEADERS, END_HEADERS, stream, self._headers.block(path))
        self.began[stream] = now
        self._send(stream, payload, self._stream_window)

    def _send(self, stream: int, payload: bytes, window: int) -> None:
        """Sends a message as far as the stream's window goes; the rest waits for the window."""
        while payload and window > 0 and self._window > 0:
            size = min(FRAME_BYTES_MAX, window, self._window)
            part, payload = payload[:size], payload[size:]
            self._unsent += frame(DATA, 0 if payload else END_STREAM, stream, part)
            window, self._window = window - len(part), self._window - len(part)
        if payload:
            self._held[stream] = (payload, window)

    def flush(self) -> bool:
        """Sends what waits; whether all of it went."""
        while self._unsent:
            try:
                sent = self._socket.send(self._unsent)
            except BlockingIOError:
                return False
            del self._unsent[:sent]
        return True

    def receive(self, measured: Measured) -> None:
        """Reads what has come and notes the calls that ended."""
        chunk = self._socket.recv(1 << 20)
        if not chunk:
            raise ConnectionError("the server closed the connection")
        buffer, place, now = self._unread + chunk, 0, time.perf_counter()
        while len(buffer) - place >= 9:
            end = place + 9 + int.from_bytes(buffer[place : place + 3])
            if len(buffer) < end:
                break
            stream = int.from_bytes(buffer[place + 5 : place + 9])
            kind, flags = buffer[place + 3], buffer[place + 4]
            if kind == WINDOW_UPDATE:
                self._widen(stream, int.from_bytes(buffer[place + 9 : end]))
            elif stream:
                self._of_call(kind, flags, stream, end - place - 9, measured, now)
            else:
                self._of_connection(kind, flags, buffer[place + 9 : end])
            place = end
        self._unread = buffer[place:]

    def _of_call(
        self, kind: int, flags: int, stream: int, size: int, measured: Measured, now: float
    ) -> None:
        if kind == DATA:
            self._answered.add(stream)
            self._consumed += size
            if self._consumed > 1 << 28:
                self._unsent += frame(WINDOW_UPDATE, 0, 0, self._consumed.to_bytes(4))
                self._consumed = 0
        ended = kind == RST_STREAM or (kind in (HEADERS, DATA) and flags & END_STREAM)
        if ended and stream in self.began:
            self._held.pop(stream, None)
            took = now - self.began.pop(stream)
            if stream in self._answered:
                measured.took.append(took)
            else:
                measured.refused.append(took)
                self._paused.append(now + RETRY_AFTER_SECONDS)
            self._answered.discard(stream)

    def _widen(self, stream: int, size: int) -> None:
        """More may be sent: of one call, or of the connection (stream 0)."""
        if stream == 0:
            self._window += size
        for held in list(self._held):
            payload, window = self._held.pop(held)
            self._send(held, payload, window + size if held == stream else window)

    def _of_connection(self, kind: int, flags: int, payload: bytes) -> None:
        if kind in (SETTINGS, PING) and not flags & ACK:
            self._unsent += frame(kind, ACK, 0, payload if kind == PING else b"")
            for place in range(0, len(payload), 6):
                if kind == SETTINGS and payload[place + 1] == INITIAL_WINDOW_SIZE:
                    before = self._stream_window
                    self._stream_window = int.from_bytes(payload[place + 2 : place + 6])
                    for held in list(self._held):
                        self._widen(held, self._stream_window - before)
        elif kind == GOAWAY:
            raise ConnectionError("the server says GOAWAY")

    def close(self) -> None:
        self._socket.close()


def load(
    target: str,
    token: str,
    body: Body,
    *,
    seconds: float,
    in_flight: int,
    connections: int = 4,
    rate: float = 0,
    source: str = "",
) -> Measured:
    """Calls a server for some seconds.

    Args:
        target: Host and port.
        token: Sent with every call; empty for none.
        body: Makes a call's path and message.
        seconds: How long.
        in_flight: Calls kept under way (closed loop); with a rate, at most.
        connections: Over which they are spread.
        rate: Calls a second (open loop), each timed from when it was due; 0 for a closed loop.
        source: The address to call from; empty for any.
    """
    host, _, port = target.rpartition(":")
    opened = [
        Connection(host, int(port), token, source) for _ in range(min(connections, in_flight))
    ]
    selector = selectors.DefaultSelector()
    for connection in opened:
        selector.register(connection, selectors.EVENT_READ, connection)
    measured, clock = Measured(seconds), time.perf_counter
    start = due = clock()
    turn, depth = 0, max(in_flight // len(opened), 1)
    while (moment := clock()) < start + seconds:
        if rate:
            while due <= moment and sum(len(c.began) for c in opened) < in_flight:
                opened[turn % len(opened)].call(*body(), due)
                turn, due = turn + 1, due + 1 / rate
        else:
            for connection in opened:
                while connection.may_call(depth, clock()):
                    connection.call(*body(), clock())
        sent = all([connection.flush() for connection in opened])  # noqa: C419 - each must flush
        wait = max(due - clock(), 0.0) if rate else 0.05
        for key, _ in selector.select(min(wait, 0.05) if sent else 0.0005):
            key.data.receive(measured)
    measured.seconds = clock() - start
    for connection in opened:
        connection.close()
    return measured
