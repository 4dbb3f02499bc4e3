"""HTTP/2 as an attacker writes it: frames with anything in them (RFC 9113), over a bare socket."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0, 1, 2, 3, 4
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 5, 6, 7, 8, 9
END_STREAM, END_HEADERS = 0x1, 0x4
CANCEL = struct.pack(">I", 8)


def frame(kind: int, stream: int = 0, payload: bytes = b"", flags: int = 0) -> bytes:
    """A frame; its length is the payload's."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def literal(name: bytes, value: bytes) -> bytes:
    """A field without indexing, its texts not compressed (RFC 7541, 6.2.2)."""
    return b"\x00" + _text(name) + _text(value)


def _text(value: bytes) -> bytes:
    """A string of HPACK: its length with a prefix of seven bits (RFC 7541, 5.1), then itself."""
    if len(value) < 127:
        return bytes([len(value)]) + value
    rest, length = b"", len(value) - 127
    while length >= 128:
        rest += bytes([length % 128 + 128])
        length //= 128
    return b"\x7f" + rest + bytes([length]) + value


def call_head(path: str = "/balance.v1.RateService/ListCurrencies") -> bytes:
    """The block of fields that begins a gRPC call."""
    return b"".join(
        literal(name, value)
        for name, value in (
            (b":method", b"POST"),
            (b":scheme", b"http"),
            (b":path", path.encode()),
            (b":authority", b"x"),
            (b"content-type", b"application/grpc"),
            (b"te", b"trailers"),
        )
    )


class Socket:
    """A connection that sends what it is told to, for as long as the other side takes it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self._writer = reader, writer

    async def send(self, data: bytes) -> None:
        """Sends, or gives up where the other side has hung up or does not read."""
        with suppress(OSError, TimeoutError):
            self._writer.write(data)
            async with asyncio.timeout(1):
                await self._writer.drain()

    async def received(self) -> bytes:
        """What comes within a moment, or until the other side hangs up."""
        data = b""
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(0.3):
                while part := await self.reader.read(1 << 16):
                    data += part
        return data


@asynccontextmanager
async def dial(target: str) -> AsyncIterator[Socket]:
    """A connection to a host and port."""
    host, _, port = target.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield Socket(reader, writer)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
