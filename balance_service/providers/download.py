"""Downloads a rates file: bounded in size and time, from the host that was named and no other."""

import http.client
import io
import socket
import time
import urllib.request
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, urlsplit

TIMEOUT_SECONDS = 15
CONNECT_TIMEOUT_SECONDS = 5
BYTES_MAX = 1 << 20


class RatesError(Exception):
    """A source could not be reached, or its answer not be read."""


def get(url: str) -> bytes:
    """The document at a URL.

    Raises:
        RatesError: It cannot be had. The text names no more of the URL than its host: the rest may
            hold a key.
    """
    place = urlsplit(url).hostname
    request = urllib.request.Request(url, headers={"User-Agent": "balance-service"})  # noqa: S310
    try:
        with _OPENER.open(request, timeout=CONNECT_TIMEOUT_SECONDS) as answer:
            encoding = answer.headers.get("Content-Encoding", "identity")
            document: bytes = answer.read(BYTES_MAX + 1)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise RatesError(f"{place}: {_cause(error)}") from None
    if encoding.lower() != "identity":
        raise RatesError(f"{place}: a compressed answer, which nobody asked for")
    if len(document) > BYTES_MAX:
        raise RatesError(f"{place}: more than {BYTES_MAX} bytes")
    return document


def _cause(error: Exception) -> str:
    """What happened, without the words of the other side or of the URL."""
    if isinstance(error, HTTPError):
        return f"HTTP {error.code}"
    reason = error.reason if isinstance(error, URLError) else error
    if isinstance(reason, OSError):
        return str(reason)[:200]
    return type(error).__name__


class _InTime(io.RawIOBase):
    """A socket's bytes, all of them before a moment: its own timeout is for each read anew."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase) -> None:
        self._sock = sock
        self._raw = raw
        self._deadline = time.monotonic() + TIMEOUT_SECONDS

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 - a writable buffer
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_InTime(sock, self.fp.detach()))


class _HTTPConnection(http.client.HTTPConnection):
    response_class = _Answer


class _HTTPSConnection(http.client.HTTPSConnection):
    response_class = _Answer


class _HTTPHandler(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_HTTPConnection, req)


class _HTTPSHandler(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_HTTPSConnection, req)


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Follows redirects within a host, and from http to https."""

    max_redirections = 2

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        # Whoever follows reads the rest first, however much there is.
        fp.close()
        if not _within(urlsplit(req.full_url), urlsplit(newurl)):
            raise URLError(PermissionError("redirected to another host"))
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _within(before: SplitResult, after: SplitResult) -> bool:
    if (before.scheme, before.netloc) == (after.scheme, after.netloc):
        return True
    upgraded = (before.scheme, after.scheme) == ("http", "https")
    return upgraded and before.netloc == after.netloc == before.hostname


_OPENER = urllib.request.build_opener(_HTTPHandler, _HTTPSHandler, _SameHost)
