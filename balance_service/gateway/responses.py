"""Responses over HTTP: the status and headers of answered calls, and how they are sent."""

import gzip
from collections.abc import Mapping

from starlette.types import Send

from balance_service.calls.methods import Method

JSON = "application/json"
GZIP_BYTES_MIN = 1024
GZIP_LEVEL = 5
# The trailer of a call that found what it was to create; HTTP says so by 200 instead of 201.
_EXISTED_TRAILER = "resource-existed"
# The strictest policy, for a browser that opens an answer as a page. The documentation's pages
# have a policy of their own, since they load scripts.
SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
# A balance in a cache would be shown after it has changed, perhaps to somebody else.
ANSWER_HEADERS = {"cache-control": "no-store", **SECURITY_HEADERS}


def http_status_of(method: Method, trailers: Mapping[str, str]) -> int:
    """201 where the call made a resource, else 200."""
    return 201 if method.creates and _EXISTED_TRAILER not in trailers else 200


def headers_of(trailers: Mapping[str, str]) -> dict[str, str]:
    """A call's trailers as headers, such as its id and whether it is a replay."""
    return {
        name: value
        for name, value in trailers.items()
        if name != _EXISTED_TRAILER and not name.startswith("grpc-")
    }


async def send_head(send: Send, status: int, headers: Mapping[str, str]) -> None:
    """Sends the status and headers of a response, with those that every answer has."""
    merged = {**ANSWER_HEADERS, **headers}
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in merged.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})


async def send_response(
    send: Send,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    request_headers: Mapping[str, str],
) -> None:
    """Sends a whole response, compressed if it is large and the caller accepts gzip.

    Args:
        send: The ASGI channel to the caller.
        status: The HTTP status.
        headers: Headers beside those that every answer has.
        body: The body, also in answer to a HEAD: the server leaves it out.
        request_headers: The request's headers, by name in lower case.
    """
    headers = dict(headers)
    if len(body) >= GZIP_BYTES_MIN:
        # Said also of a body sent as it is, or a cache would give it to callers of either kind.
        vary = headers.get("vary")
        headers["vary"] = f"{vary}, accept-encoding" if vary else "accept-encoding"
        if "gzip" in request_headers.get("accept-encoding", ""):
            body = gzip.compress(body, GZIP_LEVEL, mtime=0)
            headers["content-encoding"] = "gzip"
    if status != 204:
        # A response without content has no length either (RFC 9110, 8.6).
        headers["content-length"] = str(len(body))
    await send_head(send, status, headers)
    await send({"type": "http.response.body", "body": body})
