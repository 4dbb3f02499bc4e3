"""An HTTP/1.1 client that costs next to nothing, for JSON, gRPC-Web and Connect (RFC 9112).

Each connection has one request under way, as a browser's or a proxy's has.
"""

import selectors
import socket
import time

from benchmarks.http2 import RETRY_AFTER_SECONDS, Body, Measured

# By protocol: the request's media type, and what it says besides.
MEDIA_TYPES = {
    "http": "application/json",
    "grpc-web": "application/grpc-web+proto",
    "connect": "application/proto\r\nconnect-protocol-version: 1",
}
FRAME_OF_MESSAGE = b"\0"


class Connection:
    """One connection, with at most one request under way.

    Args:
        host: Of the service.
        port: Of the service.
        token: Sent with every request.
        protocol: One of MEDIA_TYPES.
    """

    def __init__(self, host: str, port: int, token: str, protocol: str) -> None:
        self._socket = socket.create_connection((host, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._framed = protocol == "grpc-web"
        head = f"host: {host}\r\nauthorization: Bearer {token}\r\n"
        self._head = f"{head}content-type: {MEDIA_TYPES[protocol]}\r\n".encode()
        self._buffer = bytearray()
        self.began = 0.0
        self.free_from: float | None = 0.0

    def fileno(self) -> int:
        return self._socket.fileno()

    def call(self, path: str, message: bytes, now: float) -> None:
        """Sends a request: GET where there is no message, POST otherwise."""
        if self._framed:
            message = FRAME_OF_MESSAGE + len(message).to_bytes(4) + message
        verb = "POST" if message else "GET"
        length = b"content-length: %d\r\n\r\n" % len(message)
        self.began, self.free_from = now, None
        self._socket.sendall(f"{verb} {path} HTTP/1.1\r\n".encode() + self._head + length + message)

    def receive(self, measured: Measured) -> None:
        """Reads what has come, and notes the answer once it is whole."""
        chunk = self._socket.recv(1 << 16)
        if not chunk:
            raise ConnectionError("the server closed the connection")
        self._buffer += chunk
        head, ended, body = bytes(self._buffer).partition(b"\r\n\r\n")
        if not ended or not _whole(head.lower(), body):
            return
        self._buffer.clear()
        now = time.perf_counter()
        good = head[9:12] in (b"200", b"201") and (not self._framed or self._has_message(body))
        (measured.took if good else measured.refused).append(now - self.began)
        self.free_from = now if good else now + RETRY_AFTER_SECONDS

    @staticmethod
    def _has_message(body: bytes) -> bool:
        """Whether an answer of gRPC-Web begins with a message, and not with its status."""
        first_line, _, rest = body.partition(b"\r\n")
        # A chunked body begins with the chunk's size.
        return body.startswith(FRAME_OF_MESSAGE) or (
            first_line.isalnum() and rest.startswith(FRAME_OF_MESSAGE)
        )

    def close(self) -> None:
        self._socket.close()


def _whole(head: bytes, body: bytes) -> bool:
    """Whether a body has ended, by its length or its last chunk."""
    _, found, rest = head.partition(b"\r\ncontent-length:")
    if found:
        return len(body) >= int(rest.partition(b"\r\n")[0])
    return body.endswith(b"0\r\n\r\n")


def load(
    target: str, token: str, body: Body, protocol: str, *, seconds: float, in_flight: int
) -> Measured:
    """Sends requests to a server for some seconds, in a closed loop.

    Args:
        target: Host and port.
        token: Sent with every request.
        body: Makes a request's path and message.
        protocol: One of MEDIA_TYPES.
        seconds: How long.
        in_flight: Connections, each with a request under way.
    """
    host, _, port = target.rpartition(":")
    opened = [Connection(host, int(port), token, protocol) for _ in range(in_flight)]
    selector = selectors.DefaultSelector()
    for connection in opened:
        selector.register(connection, selectors.EVENT_READ, connection)
    measured, start = Measured(seconds), time.perf_counter()
    resting = list(opened)
    while (moment := time.perf_counter()) < start + seconds:
        waiting = []
        for connection in resting:
            if connection.free_from is not None and connection.free_from <= moment:
                connection.call(*body(), moment)
            else:
                waiting.append(connection)
        resting = waiting
        for key, _ in selector.select(0.05):
            key.data.receive(measured)
            if key.data.free_from is not None:
                resting.append(key.data)
    measured.seconds = time.perf_counter() - start
    for connection in opened:
        connection.close()
    return measured
