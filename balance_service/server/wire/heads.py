"""What gRPC says in headers and trailers: of a request, and of an answer."""

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

import grpc

from balance_service.calls.call import Metadata
from balance_service.server.wire.frames import ACCEPTED, ENCODINGS, Failure

Headers = list[tuple[bytes, bytes]]

MEDIA_TYPE = b"application/grpc"
_TIMEOUT = re.compile(rb"(\d{1,8})([HMSmun])", re.ASCII)
_SECONDS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
# Printable ASCII stands for itself, but for the escape.
_PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")
# Of the transport, and not the caller's.
_TRANSPORT = {b"te", b"content-type", b"content-length", b"grpc-timeout", b"grpc-encoding"}


@dataclass(slots=True)
class Head:
    """A request's head.

    Args:
        media_type: `application/grpc`, perhaps with a codec's name behind a plus.
        timeout_seconds: How long the caller waits; None for ever.
        encoding: How its messages may be compressed.
        metadata: What the caller said besides. What ends in `-bin` has no reader here.
    """

    media_type: bytes = b""
    timeout_seconds: float | None = None
    encoding: str = "identity"
    metadata: Metadata = ()

    @property
    def codec(self) -> str:
        """How messages are written: `proto`, or another's name."""
        return self.media_type.partition(b"+")[2].decode("latin-1") or "proto"


def is_grpc(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request's headers say that it is gRPC's."""
    return any(name == b"content-type" and _is_grpc(value) for name, value in headers)


def _is_grpc(media_type: bytes) -> bool:
    return media_type[:16].lower() == MEDIA_TYPE and media_type[16:17] in (b"", b"+", b";")


def read(headers: Iterable[tuple[bytes, bytes]]) -> Head:
    """Reads a request's head.

    Raises:
        Failure: It is malformed, or asks for what is not there.
    """
    head = Head()
    metadata: list[tuple[str, str]] = []
    for name, value in headers:
        if name not in _TRANSPORT:
            if not name.endswith(b"-bin"):
                metadata.append((name.decode("latin-1"), value.decode("latin-1")))
        elif name == b"grpc-timeout":
            head.timeout_seconds = _timeout(value)
        elif name == b"grpc-encoding":
            head.encoding = value.decode("latin-1")
        elif name == b"content-type" and _is_grpc(value):
            head.media_type = value.partition(b";")[0].strip().lower()
    if head.encoding not in ENCODINGS and head.encoding != "identity":
        # Cut, for what was sent is no measure of what is told.
        raise Failure(grpc.StatusCode.UNIMPLEMENTED, f"Unknown encoding {head.encoding[:40]!r}.")
    head.metadata = metadata
    return head


def _timeout(value: bytes) -> float:
    found = _TIMEOUT.fullmatch(value)
    if found is None:
        raise Failure(grpc.StatusCode.INTERNAL, "grpc-timeout is malformed.")
    return int(found[1]) * _SECONDS[found[2]]


def opening(media_type: bytes) -> Headers:
    """The headers of an answer."""
    return [(b"content-type", media_type), (b"grpc-accept-encoding", ACCEPTED.encode())]


OK = (b"grpc-status", b"0")


def metadata(trailers: Mapping[str, str]) -> Headers:
    """Metadata as headers."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in trailers.items()]


def failed(failure: Failure) -> Headers:
    """The trailers of an answer that is a refusal."""
    told = [
        (b"grpc-status", str(failure.code).encode()),
        (b"grpc-message", quote(failure.message, safe=_PLAIN).encode()),
    ]
    if failure.details:
        encoded = base64.b64encode(failure.details).rstrip(b"=")
        told.append((b"grpc-status-details-bin", encoded))
    return told + metadata(failure.trailers)
