"""gRPC's headers and trailers: those of a request are read, those of an answer made."""

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

import grpc

from balance_service.calls.call import Metadata
from balance_service.calls.refusals import DETAILS_KEY
from balance_service.server.wire.frames import ACCEPTED, ENCODINGS, Failure

Headers = list[tuple[bytes, bytes]]

MEDIA_TYPE = b"application/grpc"
_TIMEOUT = re.compile(rb"(\d{1,8})([HMSmun])", re.ASCII)
_SECONDS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
# Printable ASCII stands for itself, but for the escape.
_PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")
# These belong to the transport and are no metadata.
_TRANSPORT = {b"te", b"content-type", b"content-length", b"grpc-timeout", b"grpc-encoding"}


@dataclass(slots=True)
class Head:
    """A request's head.

    Args:
        media_type: `application/grpc`, perhaps with a codec's name behind a plus.
        timeout_seconds: How long the caller waits; None for ever.
        encoding: How its messages may be compressed.
        metadata: The other headers, without those that end in `-bin`, which no method reads.
        peer: The address of the connection.
    """

    media_type: bytes = b""
    timeout_seconds: float | None = None
    encoding: str = "identity"
    metadata: Metadata = ()
    peer: str = ""

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
            head.timeout_seconds = _read_timeout(value)
        elif name == b"grpc-encoding":
            head.encoding = value.decode("latin-1")
        elif name == b"content-type" and _is_grpc(value):
            head.media_type = value.partition(b";")[0].strip().lower()
    if head.encoding not in ENCODINGS and head.encoding != "identity":
        # Shortened, so that a long header does not make a long answer.
        raise Failure(grpc.StatusCode.UNIMPLEMENTED, f"Unknown encoding {head.encoding[:40]!r}.")
    head.metadata = metadata
    return head


def _read_timeout(value: bytes) -> float:
    timeout = _TIMEOUT.fullmatch(value)
    if timeout is None:
        raise Failure(grpc.StatusCode.INTERNAL, "grpc-timeout is malformed.")
    return int(timeout[1]) * _SECONDS[timeout[2]]


def open_answer(media_type: bytes) -> Headers:
    """The headers of an answer."""
    return [(b"content-type", media_type), (b"grpc-accept-encoding", ACCEPTED.encode())]


OK = (b"grpc-status", b"0")


def to_headers(trailers: Mapping[str, str]) -> Headers:
    """Encodes metadata as headers."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in trailers.items()]


def failure_to_headers(failure: Failure) -> Headers:
    """The trailers of an answer that is a refusal."""
    headers = [
        (b"grpc-status", str(failure.code).encode()),
        (b"grpc-message", quote(failure.message, safe=_PLAIN).encode()),
    ]
    if failure.details:
        encoded = base64.b64encode(failure.details).rstrip(b"=")
        headers.append((DETAILS_KEY.encode(), encoded))
    return headers + to_headers(failure.trailers)
