"""Composes the HTTP side: calls, health and documentation, behind one check of heads."""

from collections.abc import Collection, Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from balance_service.calls import http
from balance_service.calls.methods import load_contract
from balance_service.calls.security_headers import SecurityHeaders
from balance_service.calls.strangers import HEALTH
from balance_service.domain import errors
from balance_service.gateway import documentation, routes
from balance_service.gateway.heads import RequestHead
from balance_service.gateway.refusals import correlated_response, refuse
from balance_service.gateway.responses import JSON, SECURITY_HEADERS
from balance_service.gateway.transcoder import RequestLimits, Transcoder
from balance_service.gateway.upstream import Upstream

HEALTH_PATH = "/healthz"
_ALLOWED_HEADERS = (
    "authorization", "content-type", "idempotency-key", "x-request-id", "balance-max-staleness",
    "balance-at-least",
)  # fmt: skip
# What pages of another origin may read; of other headers, browsers show them only a few.
_EXPOSED_HEADERS = (
    "x-request-id", "idempotency-replayed", "retry-after", "ratelimit", "ratelimit-policy",
    "balance-read-from", "balance-as-of", "balance-position",
)  # fmt: skip


def build(
    upstream: Upstream,
    limits: RequestLimits,
    cors_origins: Sequence[str] = (),
    public_url: str = "",
) -> ASGIApp:
    """Builds the ASGI application.

    Args:
        upstream: Answers the calls.
        limits: What one request may cost.
        cors_origins: Origins whose pages may call; none by default, `*` for any.
        public_url: The start of links to other pages of a list; if empty, links are paths.
    """
    bindings = tuple(routes.read_bindings(load_contract()))
    page_routes = [_health_route(upstream), *documentation.routes(bindings)]
    pages = Starlette(routes=page_routes, exception_handlers={HTTPException: _refuse_page})
    # Starlette would redirect to the host that the request names, which may be any.
    pages.router.redirect_slashes = False
    calls = Transcoder(routes.Routes(bindings), upstream, limits, public_url)
    segments = {_first_segment(route.path) for route in page_routes}
    application = Dispatcher(calls, SecurityHeaders(pages, SECURITY_HEADERS), segments, upstream)
    if not cors_origins:
        return application
    # Around all of it, since CORSMiddleware answers preflight requests by itself.
    return SecurityHeaders(_allow_origins(application, cors_origins), SECURITY_HEADERS)


class Dispatcher:
    """Refuses requests with a malformed head, and passes the others to the calls or the pages.

    Calls do not go through the layers that only pages need, for each costs every call some time.

    Args:
        calls: Answers calls, and any path that is not a page's.
        pages: Answers the health check and the documentation.
        page_segments: The first segments of the pages' paths.
        upstream: Counts requests for pages.
    """

    def __init__(
        self,
        calls: ASGIApp,
        pages: ASGIApp,
        page_segments: Collection[str],
        upstream: Upstream,
    ) -> None:
        self._upstream = upstream
        self._calls = calls
        self._pages = pages
        self._page_segments = page_segments

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = RequestHead(scope)
        try:
            head.check()
            is_page = _first_segment(scope["path"]) in self._page_segments
            if is_page:
                forwarded_for = head.headers.get("x-forwarded-for", "")
                purpose = HEALTH if scope["path"] == HEALTH_PATH else ""
                self._upstream.count_stranger(head.peer, forwarded_for, purpose)
        except errors.Refusal as refusal:
            await refuse(head, refusal, send)
            return
        await (self._pages if is_page else self._calls)(scope, receive, send)


async def _refuse_page(request: Request, error: Exception) -> Response:
    """Answers in the contract's form what is no page, or no verb of one."""
    allowed = getattr(error, "headers", None) or {}
    refusal = (
        http.MethodNotAllowed(allowed["Allow"]) if "Allow" in allowed else http.RouteNotFound()
    )
    response = correlated_response(RequestHead(request.scope), refusal)
    return Response(response.body, response.status, response.headers, JSON)


def _first_segment(path: str) -> str:
    return path.split("/", 2)[1]


def _health_route(upstream: Upstream) -> Route:
    async def report_health(_: Request) -> Response:
        serving = await upstream.serves()
        return JSONResponse(
            {"status": "SERVING" if serving else "NOT_SERVING"},
            200 if serving else 503,
            {"cache-control": "no-store"},
        )

    return Route(HEALTH_PATH, report_health)


def _allow_origins(application: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    return CORSMiddleware(
        application,
        allow_origins=list(origins),
        allow_methods=["GET", "POST", "PATCH", "DELETE"],
        allow_headers=_ALLOWED_HEADERS,
        expose_headers=_EXPOSED_HEADERS,
    )
