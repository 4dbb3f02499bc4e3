"""JSON over HTTP in front of the same calls that gRPC reaches."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from google.protobuf.message import Message
from starlette.types import Receive, Scope, Send

from balance_service.calls import http
from balance_service.calls.dispatch import Answer
from balance_service.calls.endings import Refused
from balance_service.calls.refusals import internal
from balance_service.domain import errors
from balance_service.gateway import files, numbered_pages, responses
from balance_service.gateway.heads import RequestHead, check_media_type
from balance_service.gateway.refusals import refuse, send_refusal, status_to_response
from balance_service.gateway.request_messages import read_request
from balance_service.gateway.responses import JSON
from balance_service.gateway.routes import Binding, RouteMissing, Routes, VerbNotAllowed
from balance_service.gateway.streams import ResponseStream
from balance_service.gateway.upstream import Upstream
from balance_service.messages import json_form

BODY_TIMEOUT_SECONDS = 15.0
# Room for a code, a secret or a refresh token: strangers make a worker hold no more than that.
PUBLIC_BODY_BYTES_MAX = 1 << 14
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What one request may cost.

    Args:
        body_bytes_max: The size of its body.
        timeout_seconds: How long its answer may take.
    """

    body_bytes_max: int
    timeout_seconds: float


class Transcoder:
    """Answers HTTP requests by the calls that their routes lead to: an ASGI application.

    Args:
        routes: The paths and verbs that can be called.
        upstream: Answers the calls.
        limits: What one request may cost.
        public_url: The start of links to other pages of a list; if empty, links are paths.
    """

    def __init__(
        self, routes: Routes, upstream: Upstream, limits: RequestLimits, public_url: str = ""
    ) -> None:
        self._routes = routes
        self._upstream = upstream
        self._limits = limits
        self._public_url = public_url.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = RequestHead(scope)
        try:
            await self._respond(head, receive, send)
        except errors.Refusal as refusal:
            await refuse(head, refusal, send)
        except Refused as refused:
            response = status_to_response(refused.status)
            response.headers.update(responses.headers_of(refused.trailers))
            await send_refusal(head, response, send)
        except Exception:  # noqa: BLE001 - a fault of ours, told in the contract's form
            _log.exception("gateway_failed", path=head.path)
            await send_refusal(head, status_to_response(internal()), send)

    async def _respond(self, head: RequestHead, receive: Receive, send: Send) -> None:
        try:
            binding, variables = self._find_binding(head)
        except VerbNotAllowed as error:
            await _respond_without_binding(head, error.allowed, send)
            return
        # Before the body, so that nobody unknown makes the worker read one.
        await self._admit(binding, head)
        body = await self._read_body(head, binding, receive)
        paging = numbered_pages.read_paging(binding, head.query)
        key = head.headers.get("idempotency-key")
        request = read_request(binding, variables, paging.query, body, key)
        if binding.method.descriptor.server_streaming:
            messages = self._upstream.stream(binding.method, request, head.metadata)
            if files.is_file(binding.method):
                await files.send_file(messages, receive, send)
                return
            stream = ResponseStream(head.headers.get("accept", ""), send)
            await stream.run(messages, receive)
            return
        answer = await self._call(binding, request, head)
        page = paging.to_page(self._public_url + head.path, json_form.to_dict(answer.message))
        status = responses.http_status_of(binding.method, answer.trailers)
        headers = {"content-type": JSON, **responses.headers_of(answer.trailers)}
        await responses.send_response(send, status, headers, json_form.to_json(page), head.headers)

    def _find_binding(self, head: RequestHead) -> tuple[Binding, Mapping[str, str]]:
        """Finds what a request calls; a HEAD is a GET of something that only reads.

        Raises:
            Refusal: Nothing has the path, or a variable of the path is not UTF-8.
            VerbNotAllowed: The path has other verbs.
        """
        verb = "GET" if head.verb == "HEAD" else head.verb
        try:
            binding, variables = self._routes.find(verb, head.path)
            if head.verb == "HEAD" and not binding.method.reads:
                # No binding has the verb HEAD, so this raises what the path's other verbs are.
                return self._routes.find("HEAD", head.path)
        except RouteMissing:
            raise http.RouteNotFound from None
        except UnicodeDecodeError:
            raise http.RequestMalformed from None
        return binding, variables

    async def _admit(self, binding: Binding, head: RequestHead) -> None:
        """Raises Refused or Refusal if the method needs a caller who is known, and this is none."""
        try:
            async with asyncio.timeout(self._limits.timeout_seconds):
                await self._upstream.admit(binding.method, head.metadata)
        except TimeoutError:
            raise http.AnswerTimeout from None

    async def _read_body(self, head: RequestHead, binding: Binding, receive: Receive) -> bytes:
        """Reads a whole body, which must be JSON, of bounded size, and arrive in time."""
        if not head.may_have_body:
            return b""
        bytes_max = self._limits.body_bytes_max
        if binding.method.public:
            bytes_max = min(bytes_max, PUBLIC_BODY_BYTES_MAX)
        if int(head.headers.get("content-length", "0")) > bytes_max:
            raise http.BodyTooLarge
        try:
            async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
                body = await _receive_body(receive, bytes_max)
        except TimeoutError:
            raise http.RequestTimeout from None
        head.body_read = True
        # A body in chunks may turn out to be empty, and then it needs no media type.
        if body:
            check_media_type(head, JSON)
        return body

    async def _call(self, binding: Binding, request: Message, head: RequestHead) -> Answer:
        seconds = self._limits.timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                return await self._upstream.unary(
                    binding.method, request, head.metadata, seconds, head.peer
                )
        except TimeoutError:
            raise http.AnswerTimeout from None


async def _respond_without_binding(head: RequestHead, verbs: list[str], send: Send) -> None:
    """Answers an OPTIONS with the verbs of its path, and refuses any other verb."""
    allowed = ", ".join([*verbs, "OPTIONS"])
    if head.verb != "OPTIONS":
        raise http.MethodNotAllowed(allowed)
    headers = {"allow": allowed, **(http.CLOSE if head.has_body else {})}
    await responses.send_response(send, 204, headers, b"", head.headers)


async def _receive_body(receive: Receive, bytes_max: int) -> bytes:
    body = bytearray()
    more = True
    while more:
        part = await receive()
        if part["type"] == "http.disconnect":
            # Half a request is none. Nobody is there to read this refusal; it ends the request.
            raise http.RequestMalformed
        body += part.get("body", b"")
        # Counted here also, for a body in chunks does not say its size.
        if len(body) > bytes_max:
            raise http.BodyTooLarge
        more = part.get("more_body", False)
    return bytes(body)
