"""Heads of HTTP requests: what is read of them, and what makes one no request."""

import re
from collections.abc import Mapping
from functools import cached_property
from urllib.parse import parse_qsl

from starlette.types import Scope

from balance_service.calls import http, languages
from balance_service.calls.call import Metadata
from balance_service.domain import errors

QUERY_FIELDS_MAX = 100
# What a call's metadata take over, and how much of it: longer ones mean nothing to the service, and
# gRPC carries 8 KiB of metadata.
FORWARDED = {
    "authorization": 5000,
    "x-request-id": 256,
    "accept-language": 256,
    "traceparent": 256,
}
# Of two of these nobody knows which was meant. The others that are read are lists (RFC 9110, 5.3).
_SINGLE = (
    "authorization", "content-encoding", "content-length", "content-type", "expect", "host",
    "idempotency-key", "origin", "traceparent", "transfer-encoding", "x-request-id",
)  # fmt: skip
# What gRPC's metadata can hold.
_PRINTABLE = re.compile(r"[\x20-\x7e]*")
_HOST = re.compile(r"[\w.~%!$&'()*+,;=:\[\]-]*", re.ASCII)


class Request:
    """What of an HTTP request matters here.

    Args:
        scope: Of ASGI.
    """

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.body_read = False
        self._repeated: set[str] = set()

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """By name in lower case; those of one name as the list that they are."""
        found: dict[str, str] = {}
        for raw_name, raw in self.scope["headers"]:
            name, value = raw_name.decode("latin-1"), raw.decode("latin-1")
            if name in found:
                self._repeated.add(name)
                value = f"{found[name]}, {value}"
            found[name] = value
        return found

    @property
    def verb(self) -> str:
        return str(self.scope["method"])

    @property
    def path(self) -> str:
        """As it was sent, percent-encoded."""
        raw: bytes = self.scope.get("raw_path") or self.scope["path"].encode()
        return raw.partition(b"?")[0].decode("latin-1")

    @property
    def query(self) -> list[tuple[str, str]]:
        """Raises errors.Refusal if it is no query."""
        try:
            text = self.scope["query_string"].decode("ascii")
            return parse_qsl(
                text, keep_blank_values=True, errors="strict", max_num_fields=QUERY_FIELDS_MAX
            )
        except ValueError:
            rule = f"must be at most {QUERY_FIELDS_MAX} names with values, in percent-encoded UTF-8"
            raise http.malformed("query", rule) from None

    @property
    def language(self) -> str:
        return languages.preferred(self.headers.get("accept-language", ""))

    @property
    def metadata(self) -> Metadata:
        """What a call's metadata take over."""
        headers = self.headers
        return [(name, headers[name][:size]) for name, size in FORWARDED.items() if name in headers]

    @property
    def has_body(self) -> bool:
        """Whether something follows the head."""
        return "transfer-encoding" in self.headers or self.headers.get("content-length", "0") != "0"

    def check(self) -> None:
        """Raises errors.Refusal if the head is none that can be understood in one way alone."""
        headers = self.headers
        for name in _SINGLE:
            if name in self._repeated:
                raise http.malformed(name, "must be given once")
        for name in FORWARDED:
            if name in headers and not _PRINTABLE.fullmatch(headers[name]):
                raise http.malformed(name, "must be printable ASCII")
        if not self.path.startswith("/"):
            raise http.malformed("target", 'must be a path, such as "/api/v1/accounts"')
        version = self.scope["http_version"]
        if version not in ("1.0", "1.1"):
            raise http.malformed("version", "must be HTTP/1.1 or HTTP/1.0")
        # RFC 9112, 3.2
        if not _HOST.fullmatch(headers.get("host", "" if version == "1.0" else "?")):
            raise http.malformed("host", "must be given once, and be a host")
        self._check_framing()

    def _check_framing(self) -> None:
        """Raises errors.Refusal if it is in doubt where the request ends (RFC 9112, 6.3)."""
        coding = self.headers.get("transfer-encoding")
        length = self.headers.get("content-length")
        if coding is not None and (
            coding.lower() != "chunked" or length is not None or self.scope["http_version"] == "1.0"
        ):
            rule = 'must be "chunked" of HTTP/1.1, without a Content-Length'
            raise http.malformed("transfer-encoding", rule)
        if length is not None and not (length.isascii() and length.isdigit() and len(length) < 20):
            raise http.malformed("content-length", "must be a number of bytes")


def refusal_unless_json(request: Request, media_type: str) -> errors.Refusal | None:
    """Why a body cannot be read, by its head.

    Args:
        request: Its head.
        media_type: What it must be.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        return http.MediaTypeUnsupported("accept-encoding", "identity")
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != media_type:
        return http.MediaTypeUnsupported("accept", media_type)
    return None
