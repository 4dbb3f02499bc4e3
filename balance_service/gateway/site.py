"""The whole HTTP side: calls, health, the OpenAPI document and the pages that show it."""

from collections.abc import Sequence
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from balance_service.calls.methods import contract
from balance_service.gateway import answers, openapi, routes
from balance_service.gateway.app import Gateway, Limits
from balance_service.gateway.upstream import Upstream

ASSETS = Path(__file__).parent / "assets"
# What the first part of a page's path is.
PAGES = {"", "healthz", "openapi.json", "assets", "swagger", "redoc"}
# The readers are large scripts that write styles; they load nothing from elsewhere.
_PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; connect-src 'self'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "worker-src blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    **answers.GUARDED,
}
_EXPOSED = ("x-request-id", "idempotency-replayed", "retry-after", "ratelimit", "ratelimit-policy")


class Site:
    """Calls go to the gateway at once; only what is a page passes the layers that pages need.

    Args:
        gateway: Answers calls, and whatever is no page.
        pages: Answers the rest.
    """

    def __init__(self, gateway: ASGIApp, pages: ASGIApp) -> None:
        self._gateway = gateway
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        first = scope["path"].split("/", 2)[1]
        await (self._pages if first in PAGES else self._gateway)(scope, receive, send)


def build(upstream: Upstream, limits: Limits, cors_origins: Sequence[str] = ()) -> ASGIApp:
    """The ASGI application.

    Args:
        upstream: What answers calls.
        limits: How much a request may ask for.
        cors_origins: Origins whose pages may call; none by default, `*` for any.
    """
    bindings = tuple(routes.bindings(contract()))
    document = openapi.document(bindings)

    async def health(_: Request) -> Response:
        serving = await upstream.serves()
        state = "SERVING" if serving else "NOT_SERVING"
        return JSONResponse(
            {"status": state}, 200 if serving else 503, {"cache-control": "no-store"}
        )

    async def description(_: Request) -> Response:
        return JSONResponse(document)

    pages: list[BaseRoute] = [
        Route("/healthz", health),
        Route("/openapi.json", description),
        Mount("/assets", StaticFiles(directory=ASSETS)),
        *_page("swagger"),
        *_page("redoc"),
        Route("/", lambda _: RedirectResponse("/swagger/")),
    ]
    site = Site(
        Gateway(routes.Routes(bindings), upstream, limits),
        Starlette(
            routes=pages,
            middleware=[Middleware(GZipMiddleware, minimum_size=answers.GZIP_BYTES_MIN)],
        ),
    )
    return _cors(site, cors_origins) if cors_origins else site


def _page(name: str) -> list[BaseRoute]:
    """A page of ours, with and without its slash."""
    text = (ASSETS / f"{name}.html").read_text(encoding="utf-8")

    async def page(_: Request) -> Response:
        return HTMLResponse(text, headers=_PAGE_HEADERS)

    return [Route(f"/{name}{slash}", page) for slash in ("", "/")]


def _cors(site: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    return CORSMiddleware(
        site,
        allow_origins=list(origins),
        allow_methods=["GET", "POST", "PATCH", "DELETE"],
        allow_headers=["authorization", "content-type", "idempotency-key", "x-request-id"],
        expose_headers=_EXPOSED,
    )
