"""gRPC's messages as they travel: a byte of flags, a length, the message, perhaps compressed.

What is read is bounded by a message's limit, whatever a length or a compressed message claims.
"""

import zlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import grpc

Code = grpc.StatusCode
Receive: TypeAlias = Callable[[], Awaitable[Any]]

PREFIX_BYTES = 5
# zlib's number for each encoding's format: that of gzip, or its own.
ENCODINGS: Mapping[str, int] = {"gzip": 31, "deflate": 15}
ACCEPTED = ",".join(("identity", *ENCODINGS))


class Failure(Exception):  # noqa: N818 - the end of a call, which may be nobody's fault
    """A call ends with a status.

    Args:
        code: Its code.
        message: The reason, for programmers.
        details: A `google.rpc.Status`, serialized; empty if there is none.
        trailers: Further metadata to send.
    """

    def __init__(
        self,
        code: grpc.StatusCode | int,
        message: str = "",
        details: bytes = b"",
        trailers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code: int = code if isinstance(code, int) else code.value[0]
        self.message = message
        self.details = details
        self.trailers = trailers or {}


class Gone(Exception):  # noqa: N818 - as above
    """The caller has gone, and nobody waits for an answer."""


def frame(message: bytes) -> bytes:
    """Frames a message, uncompressed."""
    return b"\0" + len(message).to_bytes(4, "big") + message


class Requests:
    """The requests of a call, in the order they were sent.

    Args:
        receive: ASGI's.
        encoding: How messages are compressed that are flagged as compressed.
        bytes_max: The size of a message beyond which it is refused, as sent and as read.
    """

    def __init__(self, receive: Receive, encoding: str, bytes_max: int) -> None:
        self._receive = receive
        self._encoding = encoding
        self._bytes_max = bytes_max
        self._buffer = bytearray()
        self.ended = False

    async def read_one(self) -> bytes:
        """The request of a call that takes one.

        Raises:
            Failure: There is none, or more than one, or it is malformed or too large.
            Gone: The caller has gone.
        """
        request = await self.read_next()
        if request is None or await self.read_next() is not None:
            raise Failure(Code.UNIMPLEMENTED, "The method takes exactly one request.")
        return request

    async def read_next(self) -> bytes | None:
        """The next request; None when there are no more. Raises as `read_one` does."""
        buffer = self._buffer
        while len(buffer) < PREFIX_BYTES:
            if self.ended:
                if buffer:
                    raise Failure(Code.INTERNAL, "The stream ended within a message.")
                return None
            await self._read()
        size = int.from_bytes(buffer[1:PREFIX_BYTES], "big")
        if size > self._bytes_max:
            raise self._too_large(size)
        end = PREFIX_BYTES + size
        while len(buffer) < end:
            if self.ended:
                raise Failure(Code.INTERNAL, "The stream ended within a message.")
            await self._read()
        flags, message = buffer[0], bytes(memoryview(buffer)[PREFIX_BYTES:end])
        del buffer[:end]
        if flags > 1:
            raise Failure(Code.INTERNAL, "A message has unknown flags.")
        return self._decompress(message) if flags else message

    async def _read(self) -> None:
        part = await self._receive()
        if part["type"] != "http.request":
            raise Gone
        self._buffer += part.get("body", b"")
        self.ended = not part.get("more_body", False)

    def _decompress(self, message: bytes) -> bytes:
        window = ENCODINGS.get(self._encoding)
        if window is None:
            raise Failure(Code.INTERNAL, "A message is compressed, and no encoding was named.")
        reader = zlib.decompressobj(window)
        try:
            content = reader.decompress(message, self._bytes_max + 1)
        except zlib.error:
            raise Failure(Code.INTERNAL, "A message is not compressed as it says.") from None
        if len(content) > self._bytes_max:
            raise self._too_large(len(content))
        if not reader.eof or reader.unused_data:
            raise Failure(Code.INTERNAL, "A message is not compressed as it says.")
        return content

    def _too_large(self, size: int) -> Failure:
        return Failure(
            Code.RESOURCE_EXHAUSTED,
            f"Received message larger than max ({size} vs. {self._bytes_max})",
        )
