"""The whole HTTP side: calls, health, the OpenAPI documents and the pages that show them."""

import gzip
import hashlib
import mimetypes
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from balance_service.calls.methods import load_contract
from balance_service.domain import errors
from balance_service.gateway import answers, heads, openapi, routes
from balance_service.gateway.app import Gateway, Limits, refuse
from balance_service.gateway.upstream import Upstream

ASSETS = Path(__file__).parent / "assets"
# What the first part of a page's path is.
PAGES = {"", "healthz", "openapi.json", "openapi-pages.json", "assets", "swagger", "redoc"}
# The readers are large scripts that write styles; they load nothing from elsewhere.
_PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; connect-src 'self'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "worker-src blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
}
_EXPOSED = ("x-request-id", "idempotency-replayed", "retry-after", "ratelimit", "ratelimit-policy")


class Site:
    """Refuses what is no request, whatever it is for.

    Calls go to the gateway at once; only what is a page passes the layers that pages need.

    Args:
        gateway: Answers calls, and whatever is no page.
        pages: Answers the rest.
    """

    def __init__(self, gateway: ASGIApp, pages: ASGIApp) -> None:
        self._gateway = gateway
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = heads.Request(scope)
        try:
            request.check()
        except errors.Refusal as refusal:
            await refuse(request, refusal, send)
            return
        first = scope["path"].split("/", 2)[1]
        await (self._pages if first in PAGES else self._gateway)(scope, receive, send)


class Guarded:
    """Adds what every answer tells a browser, where an answer says nothing of it itself."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                for name, value in answers.GUARDED.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._application(scope, receive, guarded)


def build(
    upstream: Upstream,
    limits: Limits,
    cors_origins: Sequence[str] = (),
    public_url: str = "",
) -> ASGIApp:
    """The ASGI application.

    Args:
        upstream: What answers calls.
        limits: How much a request may ask for.
        cors_origins: Origins whose pages may call; none by default, `*` for any.
        public_url: What links to other pages of a list begin with; if nothing, they are paths.
    """
    bindings = tuple(routes.bindings(load_contract()))

    async def health(_: Request) -> Response:
        serving = await upstream.serves()
        state = "SERVING" if serving else "NOT_SERVING"
        return JSONResponse(
            {"status": state}, 200 if serving else 503, {"cache-control": "no-store"}
        )

    pages = Starlette(
        routes=[
            Route("/healthz", health),
            Route("/", lambda _: RedirectResponse("/swagger/")),
            _document("/openapi.json", openapi.document(bindings)),
            _document("/openapi-pages.json", openapi.document(bindings, numbered=True)),
            *(_asset(path) for path in ASSETS.rglob("*.*")),
            *_page("swagger"),
            *_page("redoc"),
        ]
    )
    # Such a redirect would lead to whatever host a request names.
    pages.router.redirect_slashes = False
    gateway = Gateway(routes.Routes(bindings), upstream, limits, public_url)
    site = Site(gateway, Guarded(pages))
    return Guarded(_cors(site, cors_origins)) if cors_origins else site


class Resource:
    """Bytes that are the same for everybody, and compressed once.

    Args:
        body: Them.
        media_type: Their type.
        headers: What is told besides.
    """

    def __init__(
        self, body: bytes, media_type: str, headers: Mapping[str, str] | None = None
    ) -> None:
        self._body = body
        tag = hashlib.sha256(body).hexdigest()[:16]
        self._headers = {
            "content-type": media_type,
            "etag": f'W/"{tag}"',
            "vary": "accept-encoding",
            **(headers or {}),
        }

    @cached_property
    def _compressed(self) -> bytes:
        return gzip.compress(self._body, mtime=0)

    async def answer(self, request: Request) -> Response:
        """Answers a GET."""
        if request.headers.get("if-none-match") == self._headers["etag"]:
            return Response(None, 304, self._headers)
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(self._body, headers=self._headers)
        return Response(self._compressed, headers={**self._headers, "content-encoding": "gzip"})


def _document(path: str, document: dict[str, object]) -> BaseRoute:
    return Route(path, Resource(answers.encoded(document), answers.JSON).answer)


def _asset(path: Path) -> BaseRoute:
    media_type = mimetypes.guess_type(path.name)[0] or "text/plain"
    name = path.relative_to(ASSETS).as_posix()
    resource = Resource(path.read_bytes(), f"{media_type}; charset=utf-8")
    return Route(f"/assets/{name}", resource.answer)


def _page(name: str) -> list[BaseRoute]:
    """A page of ours, with and without its slash."""
    body = (ASSETS / f"{name}.html").read_bytes()
    page = Resource(body, "text/html; charset=utf-8", _PAGE_HEADERS)
    return [Route(f"/{name}{slash}", page.answer) for slash in ("", "/")]


def _cors(site: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    return CORSMiddleware(
        site,
        allow_origins=list(origins),
        allow_methods=["GET", "POST", "PATCH", "DELETE"],
        allow_headers=["authorization", "content-type", "idempotency-key", "x-request-id"],
        expose_headers=_EXPOSED,
    )
