"""Sends HTTP requests to where somebody else chose: within bounds, and to checked addresses.

The addresses of a host are looked up once, all of them are checked, and the connection is made to
one of these: a name that changes in between leads nowhere else. Redirects are not followed.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import TypeAlias

import httptools

from balance_service.domain import errors, webhook_urls
from balance_service.domain.webhook_urls import Address, Rules, Target
from balance_service.domain.webhooks import Answer

# Of an attempt: looking the host up, connecting, sending and reading the answer.
ATTEMPT_SECONDS_MAX = 15.0
# Of an endpoint that is added, whose host may be unknown yet.
LOOK_UP_SECONDS_MAX = 3.0
# Of an answer, head and body; what comes after does not matter.
ANSWER_BYTES_MAX = 1 << 16
_READ_BYTES = 1 << 14
# A look-up holds a thread for as long as the resolver waits.
_LOOK_UPS_MAX = 16

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[Address]]]


class NotAllowed(Exception):  # noqa: N818 - it is what it says
    """An address that nothing may be sent to."""


class Sender:
    """Sends requests.

    Args:
        rules: Where to.
        resolve: Looks up the addresses of a host; by default, as the machine does.
        context: By what TLS certificates are trusted; by default, as the machine does.
    """

    def __init__(
        self, rules: Rules, resolve: Resolve | None = None, context: ssl.SSLContext | None = None
    ) -> None:
        self._rules = rules
        self._context = context
        self._threads = ThreadPoolExecutor(_LOOK_UPS_MAX, "webhook-look-up")
        self._resolve = resolve or self._look_up

    def parse(self, url: str, field: str) -> Target:
        """Reads a URL; raises InvalidFields if nothing may be sent there, as far as it tells."""
        return webhook_urls.parse(url, self._rules, field)

    async def leads_inside(self, url: str) -> bool:
        """Whether a host has addresses that nothing may be sent to, as far as it has any yet."""
        try:
            async with asyncio.timeout(LOOK_UP_SECONDS_MAX):
                await self._addresses(self.parse(url, "url"))
        except NotAllowed:
            return True
        except (OSError, UnicodeError):
            return False
        return False

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Sends a JSON body to a URL; whatever fails is told in the answer, in words of our own."""
        try:
            target = self.parse(url, "url")
            async with asyncio.timeout(ATTEMPT_SECONDS_MAX):
                return await self._post(target, headers, body)
        except errors.InvalidFields:
            return Answer(error="the URL is not allowed")
        except NotAllowed:
            return Answer(error="the host has an address that is not public")
        except TimeoutError:
            return Answer(error=f"no answer within {ATTEMPT_SECONDS_MAX:.0f} seconds")
        except (socket.gaierror, UnicodeError):
            return Answer(error="the host was not found")
        except ssl.SSLCertVerificationError:
            return Answer(error="the certificate is not valid")
        except ssl.SSLError:
            return Answer(error="TLS failed")
        except ConnectionRefusedError:
            return Answer(error="the connection was refused")
        except OSError:
            return Answer(error="the connection failed")
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            return Answer(error="the answer is no HTTP")

    def close(self) -> None:
        """Waits for no look-up."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _post(self, target: Target, headers: Mapping[str, str], body: bytes) -> Answer:
        reader, writer = await self._connect(target)
        try:
            writer.write(_head(target, headers, body) + body)
            await writer.drain()
            return await _read(reader)
        finally:
            # At once: TLS would wait for the other side's farewell.
            writer.transport.abort()

    async def _connect(self, target: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to one of the host's addresses, the first that takes it."""
        context = self._trusted() if target.secure else None
        name = target.host if target.secure else None
        refused: OSError | None = None
        for address in await self._addresses(target):
            try:
                return await asyncio.open_connection(
                    str(address), target.port, ssl=context, server_hostname=name, limit=_READ_BYTES
                )
            except ssl.SSLError:
                raise
            except OSError as error:
                refused = error
        raise refused or socket.gaierror

    def _trusted(self) -> ssl.SSLContext:
        # Made when it is first needed: to read all authorities takes a while.
        if self._context is None:
            self._context = ssl.create_default_context()
        return self._context

    async def _addresses(self, target: Target) -> Sequence[Address]:
        """The addresses of a host; raises NotAllowed if nothing may be sent to one of them."""
        if (address := target.address) is not None:
            addresses: Sequence[Address] = [address]
        else:
            addresses = await self._resolve(target.host, target.port)
        if not all(map(self._rules.allow, addresses)):
            raise NotAllowed
        return addresses

    async def _look_up(self, host: str, port: int) -> Sequence[Address]:
        found = await asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        # A scope, after "%", is of a link: its address is not public.
        return [ip_address(str(where[0]).partition("%")[0]) for *_, where in found]


class _Response:
    """What is of interest in an HTTP answer."""

    def __init__(self) -> None:
        self.retry_after: timedelta | None = None
        self.status = 0
        self.ended = False
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            # Whatever comes after the answer's end is no matter.
            if not self.ended:
                raise

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"retry-after":
            self.retry_after = read_retry_after(value.decode("latin-1"), datetime.now(UTC))

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()

    def on_message_complete(self) -> None:
        # One below 200 is followed by the real one (RFC 9110, 15.2).
        self.ended = self.status >= 200


async def _read(reader: asyncio.StreamReader) -> Answer:
    response, size = _Response(), 0
    while not response.ended and size < ANSWER_BYTES_MAX:
        data = await reader.read(_READ_BYTES)
        if not data:
            break
        size += len(data)
        response.feed(data)
    status = response.status
    if status < 200:
        return Answer(error="the connection was closed without an answer")
    error = "" if status < 300 else f"HTTP {status}"
    return Answer(status, error, response.retry_after)


def _head(target: Target, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [
        f"POST {target.path} HTTP/1.1",
        f"host: {target.authority}",
        "user-agent: balance-service",
        "content-type: application/json",
        f"content-length: {len(body)}",
        "connection: close",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def read_retry_after(text: str, now: datetime) -> timedelta | None:
    """How long an answer asks to wait (RFC 9110, 10.2.3); None if it is not understood."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=int(text[:9]))
    try:
        moment = parsedate_to_datetime(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return max(moment - now, timedelta())
