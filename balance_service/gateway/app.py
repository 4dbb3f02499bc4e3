"""The gateway: JSON over HTTP in front of the same calls that gRPC reaches."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from starlette.types import Receive, Scope, Send

from balance_service.calls import http
from balance_service.calls.call import correlation_id
from balance_service.calls.dispatch import Refused
from balance_service.calls.refusals import internal
from balance_service.domain import errors
from balance_service.gateway import answers, numbered_pages, refusals
from balance_service.gateway.heads import Request, refusal_unless_json
from balance_service.gateway.refusals import HttpAnswer
from balance_service.gateway.requests import request_of
from balance_service.gateway.routes import Binding, RouteMissing, Routes, VerbNotAllowed
from balance_service.gateway.streams import Streaming
from balance_service.gateway.upstream import Upstream

BODY_TIMEOUT_SECONDS = 15.0
# For a code, a secret or a refresh token there and back: what strangers may make a worker hold.
PUBLIC_BODY_BYTES_MAX = 1 << 14
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may ask for.

    Args:
        body_bytes_max: The size of its body.
        timeout_seconds: How long its answer may take.
    """

    body_bytes_max: int
    timeout_seconds: float


class Gateway:
    """Answers HTTP requests for the bindings of the contract: an ASGI application.

    Args:
        routes: What can be called.
        upstream: What answers.
        limits: How much a request may ask for.
        public_url: What links to other pages of a list begin with; if nothing, they are paths.
    """

    def __init__(
        self, routes: Routes, upstream: Upstream, limits: Limits, public_url: str = ""
    ) -> None:
        self._routes = routes
        self._upstream = upstream
        self._limits = limits
        self._public_url = public_url.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        try:
            await self._answer(request, receive, send)
        except errors.Refusal as refusal:
            await refuse(request, refusal, send)
        except Refused as refused:
            answer = refusals.of_status(refused.status)
            answer.headers.update(answers.headers(refused.trailers))
            await _refuse(request, answer, send)
        except Exception:  # noqa: BLE001 - a fault of ours, told in the contract's form
            _log.exception("gateway_failed", path=request.path)
            await _refuse(request, refusals.of_status(internal()), send)

    async def _answer(self, request: Request, receive: Receive, send: Send) -> None:
        try:
            binding, variables = self._find(request)
        except VerbNotAllowed as error:
            allowed = ", ".join([*error.allowed, "OPTIONS"])
            if request.verb != "OPTIONS":
                raise http.MethodNotAllowed(allowed) from None
            headers = {"allow": allowed, **(http.CLOSE if request.has_body else {})}
            await answers.whole(send, 204, headers, b"", request.headers)
            return
        await self._admit(binding, request)
        body = await self._body(request, binding, receive)
        paged = numbered_pages.asked(binding, request.query)
        key = request.headers.get("idempotency-key")
        message = request_of(binding, variables, paged.query, body, key)
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
            raise http.AnswerTimeout from None
        data = paged.answer(self._public_url + request.path, answers.as_dict(answer.message))
        status = answers.status(binding.method, answer.trailers)
        headers = {"content-type": answers.JSON, **answers.headers(answer.trailers)}
        await answers.whole(send, status, headers, answers.encoded(data), request.headers)

    async def _admit(self, binding: Binding, request: Request) -> None:
        """Raises Refused or errors.Refusal if it is not known who calls and must be."""
        try:
            async with asyncio.timeout(self._limits.timeout_seconds):
                await self._upstream.admit(binding.method, request.metadata)
        except TimeoutError:
            raise http.AnswerTimeout from None

    def _find(self, request: Request) -> tuple[Binding, Mapping[str, str]]:
        """What a request calls; a HEAD is a GET of something that only reads."""
        try:
            binding, variables = self._routes.find(
                "GET" if request.verb == "HEAD" else request.verb, request.path
            )
        except RouteMissing:
            raise http.RouteNotFound from None
        except UnicodeDecodeError:
            raise http.RequestMalformed from None
        if request.verb == "HEAD" and not binding.method.reads:
            return self._routes.find(request.verb, request.path)
        return binding, variables

    async def _body(self, request: Request, binding: Binding, receive: Receive) -> bytes:
        """All of a body, which must be JSON, of bounded size, and arrive in time."""
        if not request.has_body:
            return b""
        bytes_max = self._limits.body_bytes_max
        if binding.method.public:
            bytes_max = min(bytes_max, PUBLIC_BODY_BYTES_MAX)
        if int(request.headers.get("content-length", "0")) > bytes_max:
            raise http.BodyTooLarge
        try:
            async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
                body = await _read(receive, bytes_max)
        except TimeoutError:
            raise http.RequestTimeout from None
        request.body_read = True
        if body and (refusal := refusal_unless_json(request, answers.JSON)):
            raise refusal
        return body


async def refuse(request: Request, refusal: errors.Refusal, send: Send) -> None:
    """Answers with one of the gateway's own refusals."""
    call_id = correlation_id(request.headers.get("x-request-id", ""))
    answer = refusals.of_refusal(refusal, request.language, call_id)
    answer.headers["x-request-id"] = call_id
    await _refuse(request, answer, send)


async def _read(receive: Receive, bytes_max: int) -> bytes:
    body = bytearray()
    more = True
    while more:
        part = await receive()
        if part["type"] == "http.disconnect":
            # Half a request is none, and nobody hears the answer.
            raise http.RequestMalformed
        body += part.get("body", b"")
        if len(body) > bytes_max:
            raise http.BodyTooLarge
        more = part.get("more_body", False)
    return bytes(body)


async def _refuse(request: Request, answer: HttpAnswer, send: Send) -> None:
    headers = {"content-type": answers.JSON, "vary": "accept-language", **answer.headers}
    if request.has_body and not request.body_read:
        headers |= http.CLOSE
    await answers.whole(send, answer.status, headers, answer.body, request.headers)
