"""The whole HTTP side: calls, health, the OpenAPI document and the pages that show it."""

from collections.abc import Collection, Sequence
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from balance_service.gateway import openapi, routes, streams
from balance_service.gateway.app import Gateway, Limits
from balance_service.gateway.upstream import Upstream

ASSETS = Path(__file__).parent / "assets"
GZIP_BYTES_MIN = 1024
# The readers are large scripts that write styles; they load nothing from elsewhere.
_PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; connect-src 'self'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "worker-src blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_EXPOSED = ("x-request-id", "idempotency-replayed", "retry-after", "ratelimit", "ratelimit-policy")


def build(
    upstream: Upstream, public: Collection[str], limits: Limits, cors_origins: Sequence[str] = ()
) -> Starlette:
    """The ASGI application.

    Args:
        upstream: What answers calls.
        public: Full names of the methods that need no token.
        limits: How much a request may ask for.
        cors_origins: Origins whose pages may call; none by default, `*` for any.
    """
    bindings = tuple(routes.bindings(routes.contract()))
    document = openapi.document(bindings, public)

    async def health(_: Request) -> Response:
        serving = await upstream.serves()
        state = "SERVING" if serving else "NOT_SERVING"
        return JSONResponse(
            {"status": state}, 200 if serving else 503, {"cache-control": "no-store"}
        )

    async def description(_: Request) -> Response:
        return JSONResponse(document)

    middleware = [
        Middleware(
            GZipMiddleware,
            minimum_size=GZIP_BYTES_MIN,
            compresslevel=5,
            exclude_content_types=(*DEFAULT_EXCLUDED_CONTENT_TYPES, streams.NDJSON),
        )
    ]
    if cors_origins:
        middleware.insert(0, _cors(cors_origins))
    pages: list[BaseRoute] = [
        Route("/healthz", health),
        Route("/openapi.json", description),
        Mount("/assets", StaticFiles(directory=ASSETS)),
        *_page("swagger"),
        *_page("redoc"),
        Route("/", lambda _: RedirectResponse("/swagger/")),
    ]
    site = Starlette(routes=pages, middleware=middleware)
    site.router.redirect_slashes = False
    site.router.default = Gateway(routes.Routes(bindings), upstream, public, limits)
    return site


def _page(name: str) -> list[BaseRoute]:
    """A page of ours, with and without its slash."""
    text = (ASSETS / f"{name}.html").read_text(encoding="utf-8")

    async def page(_: Request) -> Response:
        return HTMLResponse(text, headers=_PAGE_HEADERS)

    return [Route(f"/{name}{slash}", page) for slash in ("", "/")]


def _cors(origins: Sequence[str]) -> Middleware:
    return Middleware(
        CORSMiddleware,
        allow_origins=list(origins),
        allow_methods=["GET", "POST", "PATCH", "DELETE"],
        allow_headers=["authorization", "content-type", "idempotency-key", "x-request-id"],
        expose_headers=_EXPOSED,
    )
