"""Heads of HTTP requests: what is read of them, and what makes one unfit to be read further."""

import re
from collections.abc import Mapping
from functools import cached_property
from urllib.parse import parse_qsl

from starlette.types import Scope

from balance_service.calls import http, languages
from balance_service.calls.call import Metadata

QUERY_FIELDS_MAX = 100
# The headers that a call takes over as its metadata, and how many characters of each: longer ones
# mean nothing to the service, and gRPC's metadata hold 8 KiB altogether.
FORWARDED_HEADERS = {
    "authorization": 5000,
    "x-request-id": 256,
    "x-forwarded-client-cert": 4096,
    "accept-language": 256,
    "traceparent": 256,
    # Ten ids or positions, and what is cut off is more than ten: see `calls.freshness`.
    "balance-at-least": 2048,
    "balance-max-staleness": 256,
}
# About ten addresses.
FORWARDED_FOR_LENGTH_MAX = 512
# Given twice, nobody knows which of these was meant, and a proxy in front may take the other one.
# The other headers that are read are lists, which may come in parts (RFC 9110, 5.3).
_SINGLE_HEADERS = (
    "authorization", "balance-max-staleness", "content-encoding", "content-length", "content-type",
    "expect", "host",
    "idempotency-key", "origin", "traceparent", "transfer-encoding", "x-request-id",
)  # fmt: skip
# Envoy joins these by a comma when they are repeated, and none of them may hold one.
_WITHOUT_COMMA = ("content-type", "expect", "host", "origin")
# The characters that gRPC's metadata can hold.
_PRINTABLE_ASCII = re.compile(r"[\x20-\x7e]*")
# RFC 3986, 3.2.2 and 3.2.3, loosely: nothing here depends on the host, so it may be any.
_HOST = re.compile(r"[\w.~%!$&'()*+,;=:\[\]-]*", re.ASCII)
# A Content-Length that fits into 64 bits.
_LENGTH = re.compile(r"[0-9]{1,19}")


class RequestHead:
    """The head of an HTTP request.

    Args:
        scope: The ASGI scope of the request.
    """

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.body_read = False
        self._repeated: set[str] = set()

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """Values by name in lower case; values of a repeated name are joined by commas."""
        headers: dict[str, str] = {}
        for raw_name, raw_value in self.scope["headers"]:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            if name in headers:
                self._repeated.add(name)
                value = f"{headers[name]}, {value}"
            headers[name] = value
        return headers

    @property
    def verb(self) -> str:
        return str(self.scope["method"])

    @property
    def path(self) -> str:
        """The path as it was sent, percent-encoded."""
        raw: bytes = self.scope.get("raw_path") or self.scope["path"].encode()
        return raw.partition(b"?")[0].decode("latin-1")

    @property
    def query(self) -> list[tuple[str, str]]:
        """Names and values of the query, decoded.

        Raises:
            Refusal: It is not percent-encoded UTF-8, or has too many names.
        """
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
        return languages.choose(self.headers.get("accept-language", ""))

    @property
    def metadata(self) -> Metadata:
        """The headers that a call takes over."""
        headers = self.headers
        taken = [
            (name, headers[name][:length])
            for name, length in FORWARDED_HEADERS.items()
            if name in headers
        ]
        # Its end, which the nearest proxies wrote.
        hops = headers.get("x-forwarded-for", "")[-FORWARDED_FOR_LENGTH_MAX:]
        if hops and _PRINTABLE_ASCII.fullmatch(hops):
            taken.append(("x-forwarded-for", hops))
        return taken

    @property
    def peer(self) -> str:
        """The address of the connection; empty where it has none."""
        host: str = (self.scope.get("client") or ("",))[0]
        return host

    @property
    def has_body(self) -> bool:
        """Whether the head says that a body follows."""
        return "transfer-encoding" in self.headers or self.headers.get("content-length", "0") != "0"

    @property
    def may_have_body(self) -> bool:
        """Whether a body has to be looked for.

        Above HTTP/1 none has to be announced (RFC 9113, 8.1), and Envoy takes the header of one in
        chunks away. One that is not there ends at once.
        """
        return self.has_body or "content-length" not in self.headers

    def check(self) -> None:
        """Checks that the head can be understood in one way only.

        Raises:
            Refusal: It cannot, or its version of HTTP is none that is answered.
        """
        headers = self.headers
        for name in _SINGLE_HEADERS:
            if name in self._repeated or (name in _WITHOUT_COMMA and "," in headers.get(name, "")):
                raise http.malformed(name, "must be given once")
        for name in FORWARDED_HEADERS:
            if name in headers and not _PRINTABLE_ASCII.fullmatch(headers[name]):
                raise http.malformed(name, "must be printable ASCII")
        if not self.path.startswith("/"):
            raise http.malformed("target", 'must be a path, such as "/api/v1/accounts"')
        version = self.scope["http_version"]
        # As ASGI writes them: "2.0" is what a request over HTTP/1 claims, and is refused.
        if version not in ("1.0", "1.1", "2", "3"):
            raise http.malformed("version", "must be HTTP/1.1 or HTTP/1.0")
        # HTTP/1.1 requires a host, which may be empty; "?" is none (RFC 9112, 3.2).
        host = headers.get("host", "?" if version == "1.1" else "")
        if not _HOST.fullmatch(host):
            raise http.malformed("host", "must be given once, and be a host")
        self._check_framing()

    def _check_framing(self) -> None:
        """Checks that there is no doubt where the body ends (RFC 9112, 6.3).

        A proxy in front that sees another end takes the rest for a request: request smuggling.
        """
        coding = self.headers.get("transfer-encoding")
        length = self.headers.get("content-length")
        if coding is not None and (
            coding.lower() != "chunked" or length is not None or self.scope["http_version"] == "1.0"
        ):
            rule = 'must be "chunked" of HTTP/1.1, without a Content-Length'
            raise http.malformed("transfer-encoding", rule)
        if length is not None and not _LENGTH.fullmatch(length):
            raise http.malformed("content-length", "must be a number of bytes")


def check_media_type(head: RequestHead, media_type: str) -> None:
    """Checks that a body is of a media type and not compressed.

    Raises:
        Refusal: It is not.
    """
    if head.headers.get("content-encoding", "identity").lower() != "identity":
        raise http.MediaTypeUnsupported("accept-encoding", "identity")
    content_type = head.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != media_type:
        raise http.MediaTypeUnsupported("accept", media_type)
