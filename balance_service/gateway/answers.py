"""Answers of calls as HTTP: their status, headers and JSON."""

import gzip
import json
from collections.abc import Mapping

from google.protobuf import json_format
from google.protobuf.message import Message
from starlette.types import Send

from balance_service.calls.methods import Method

JSON = "application/json"
GZIP_BYTES_MIN = 1024
GZIP_LEVEL = 5
# Says that what was to be created was there already, which HTTP tells by 200.
_EXISTED = "resource-existed"
# What every answer tells a browser, but that a page may load what is its own.
GUARDED = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
# Money is not for caches.
ALWAYS = {"cache-control": "no-store", **GUARDED}


def status(method: Method, trailers: Mapping[str, str]) -> int:
    """201 where the call made a resource, else 200."""
    return 201 if method.creates and _EXISTED not in trailers else 200


def headers(trailers: Mapping[str, str]) -> dict[str, str]:
    """What a call said besides its answer, such as its id and whether it is a replay."""
    return {
        name: value
        for name, value in trailers.items()
        if name != _EXISTED and not name.startswith("grpc-")
    }


def as_dict(message: Message) -> dict[str, object]:
    """A message as its JSON form: snake_case, with the fields that have nothing to say, too."""
    found: dict[str, object] = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return found


def encoded(data: object) -> bytes:
    """JSON without spaces, in UTF-8."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


async def start(send: Send, status: int, headers: Mapping[str, str]) -> None:
    """Sends the head of a response."""
    told = {**ALWAYS, **headers}
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in told.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})


async def whole(
    send: Send, status: int, headers: Mapping[str, str], body: bytes, request: Mapping[str, str]
) -> None:
    """Sends a response, compressed if it is large and the caller takes that.

    Args:
        send: Of ASGI.
        status: Its status.
        headers: What it says besides.
        body: Its body; a server keeps it back from a HEAD.
        request: The request's headers.
    """
    about = dict(headers)
    if len(body) >= GZIP_BYTES_MIN:
        about["vary"] = (
            f"{about['vary']}, accept-encoding" if "vary" in about else "accept-encoding"
        )
        if "gzip" in request.get("accept-encoding", ""):
            body = gzip.compress(body, GZIP_LEVEL, mtime=0)
            about["content-encoding"] = "gzip"
    if status != 204:
        about["content-length"] = str(len(body))
    await start(send, status, about)
    await send({"type": "http.response.body", "body": body})
