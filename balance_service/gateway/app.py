"""The gateway: JSON over HTTP in front of the same calls that gRPC reaches."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import parse_qsl

import structlog
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from starlette.types import Receive, Scope, Send

from balance_service.calls import languages
from balance_service.calls.call import Metadata, correlation_id
from balance_service.calls.dispatch import Refused
from balance_service.calls.methods import Method
from balance_service.gateway import answers, pages, refusals
from balance_service.gateway.refusals import GatewayRefusal, HttpRefusal
from balance_service.gateway.requests import request_of
from balance_service.gateway.routes import Binding, RouteMissing, Routes, VerbNotAllowed
from balance_service.gateway.streams import Streaming
from balance_service.gateway.upstream import Upstream

FORWARDED = ("authorization", "x-request-id", "accept-language", "traceparent")
QUERY_FIELDS_MAX = 100
BODY_TIMEOUT_SECONDS = 15.0
_log = structlog.get_logger()
# What is left of the body is not worth reading.
_CLOSE = {"connection": "close"}


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may ask for.

    Args:
        body_bytes_max: The size of its body.
        timeout_seconds: How long its answer may take.
    """

    body_bytes_max: int
    timeout_seconds: float


@dataclass(frozen=True)
class Request:
    """What of an HTTP request matters here."""

    scope: Scope

    @cached_property
    def headers(self) -> Mapping[str, str]:
        return {
            name.decode("latin-1"): text.decode("latin-1") for name, text in self.scope["headers"]
        }

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
        """Raises GatewayRefusal if it is no query."""
        text = self.scope["query_string"].decode("latin-1")
        try:
            return parse_qsl(
                text, keep_blank_values=True, errors="strict", max_num_fields=QUERY_FIELDS_MAX
            )
        except ValueError:
            raise GatewayRefusal("MALFORMED_REQUEST") from None

    @property
    def url(self) -> str:
        """Where it went, without its query, as its caller sees it."""
        host = self.headers.get("host", "localhost")
        return f"{self.scope['scheme']}://{host}{self.path}"

    @property
    def language(self) -> str:
        return languages.preferred(self.headers.get("accept-language", ""))

    @property
    def metadata(self) -> Metadata:
        """What a call's metadata take over."""
        return [(name, self.headers[name]) for name in FORWARDED if name in self.headers]


class Gateway:
    """Answers HTTP requests for the bindings of the contract: an ASGI application.

    Args:
        routes: What can be called.
        upstream: What answers.
        limits: How much a request may ask for.
    """

    def __init__(self, routes: Routes, upstream: Upstream, limits: Limits) -> None:
        self._routes = routes
        self._upstream = upstream
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        try:
            await self._answer(request, receive, send)
        except GatewayRefusal as refusal:
            call_id = correlation_id(request.headers.get("x-request-id", ""))
            answer = refusals.of_gateway(refusal, request.language, call_id)
            answer.headers["x-request-id"] = call_id
            await _refuse(request, answer, send)
        except Refused as refused:
            answer = refusals.of_status(refused.status)
            answer.headers.update(answers.headers(refused.trailers))
            await _refuse(request, answer, send)
        except Exception:  # noqa: BLE001 - a fault of ours, told in the contract's form
            _log.exception("gateway_failed", path=request.path)
            await _refuse(request, refusals.of_status(refusals.INTERNAL), send)

    async def _answer(self, request: Request, receive: Receive, send: Send) -> None:
        try:
            binding, variables = self._find(request)
        except VerbNotAllowed as error:
            allowed = ", ".join({*error.allowed, "OPTIONS"})
            if request.verb != "OPTIONS":
                raise GatewayRefusal("METHOD_NOT_ALLOWED", headers={"allow": allowed}) from None
            await answers.whole(send, 204, {"allow": allowed}, b"", request.headers)
            return
        body = await self._body(request, receive)
        try:
            paged = pages.asked(binding, request.query)
            key = request.headers.get("idempotency-key")
            message = request_of(binding, variables, paged.query, body, key)
        except GatewayRefusal:
            await self._refuse_stranger(binding.method, request)
            raise
        if binding.method.descriptor.server_streaming:
            streaming = Streaming(request.headers.get("accept", ""), send)
            messages = self._upstream.stream(binding.method, message, request.metadata)
            await streaming.run(messages, receive)
            return
        seconds = self._limits.timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                answer = await self._upstream.unary(
                    binding.method, message, request.metadata, seconds
                )
        except TimeoutError:
            raise GatewayRefusal("ANSWER_TIMEOUT") from None
        data = paged.answer(request.url, answers.as_dict(answer.message))
        status = answers.status(binding.method, answer.trailers)
        headers = {"content-type": answers.JSON, **answers.headers(answer.trailers)}
        await answers.whole(send, status, headers, answers.encoded(data), request.headers)

    async def _refuse_stranger(self, method: Method, request: Request) -> None:
        """Lets whoever must be known and says nothing of themselves hear that first."""
        if not method.public and "authorization" not in request.headers:
            nothing: Message = GetMessageClass(method.input)()
            await self._upstream.unary(
                method, nothing, request.metadata, self._limits.timeout_seconds
            )

    def _find(self, request: Request) -> tuple[Binding, Mapping[str, str]]:
        """What a request calls; a HEAD is a GET of something that only reads."""
        try:
            binding, variables = self._routes.find(
                "GET" if request.verb == "HEAD" else request.verb, request.path
            )
        except RouteMissing:
            raise GatewayRefusal("ROUTE_NOT_FOUND") from None
        except UnicodeDecodeError:
            raise GatewayRefusal("MALFORMED_REQUEST") from None
        if request.verb == "HEAD" and not binding.method.reads:
            raise VerbNotAllowed([binding.verb])
        return binding, variables

    async def _body(self, request: Request, receive: Receive) -> bytes:
        """All of a body, which must be JSON, of bounded size, and arrive in time."""
        # HTTP/2 and chunked bodies need not say how long they are; none ends at once.
        length = request.headers.get("content-length")
        if length == "0":
            return b""
        if length and (not length.isdecimal() or int(length) > self._limits.body_bytes_max):
            raise GatewayRefusal("BODY_TOO_LARGE", headers=_CLOSE)
        try:
            async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
                body = await _read(receive, self._limits.body_bytes_max)
        except TimeoutError:
            raise GatewayRefusal("REQUEST_TIMEOUT", headers=_CLOSE) from None
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if body and media_type != answers.JSON:
            raise GatewayRefusal("MEDIA_TYPE_UNSUPPORTED", headers={"accept": answers.JSON})
        return body


async def _read(receive: Receive, bytes_max: int) -> bytes:
    body = bytearray()
    more = True
    while more:
        part = await receive()
        if part["type"] == "http.disconnect":
            # Half a request is none, and nobody hears the answer.
            raise GatewayRefusal("MALFORMED_REQUEST")
        body += part.get("body", b"")
        if len(body) > bytes_max:
            raise GatewayRefusal("BODY_TOO_LARGE", headers=_CLOSE)
        more = part.get("more_body", False)
    return bytes(body)


async def _refuse(request: Request, answer: HttpRefusal, send: Send) -> None:
    headers = {"content-type": answers.JSON, "vary": "accept-language", **answer.headers}
    await answers.whole(send, answer.status, headers, answer.body, request.headers)
