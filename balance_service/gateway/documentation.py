"""The documentation over HTTP: the OpenAPI documents, Swagger UI and Redoc, and their assets."""

import gzip
import hashlib
import mimetypes
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from balance_service.gateway import openapi
from balance_service.gateway.responses import JSON
from balance_service.gateway.routes import Binding
from balance_service.messages.json_form import to_json

ASSETS = Path(__file__).parent / "assets"
# Swagger UI and Redoc are large scripts that write styles of their own, and load images and a
# worker from data and blobs. From elsewhere they load nothing.
_PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; connect-src 'self'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "worker-src blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
}


def routes(bindings: Sequence[Binding]) -> list[Route]:
    """The routes of the documentation.

    Args:
        bindings: What the OpenAPI documents describe.
    """
    numbered = openapi.document(bindings, numbered=True)
    return [
        Route("/", lambda _: RedirectResponse("/swagger/")),
        _document_route("/openapi.json", openapi.document(bindings)),
        _document_route("/openapi-pages.json", numbered),
        *_page_routes("swagger"),
        *_page_routes("redoc"),
        *(_asset_route(path) for path in ASSETS.rglob("*.*")),
    ]


class StaticContent:
    """Bytes that are the same for every caller, compressed once.

    Args:
        body: The bytes.
        media_type: Their Content-Type.
        headers: Headers besides.
    """

    def __init__(
        self, body: bytes, media_type: str, headers: Mapping[str, str] | None = None
    ) -> None:
        self._body = body
        digest = hashlib.sha256(body).hexdigest()[:16]
        self._headers = {
            "content-type": media_type,
            # Weak, since it stands for the compressed body, too (RFC 9110, 8.8.1).
            "etag": f'W/"{digest}"',
            "vary": "accept-encoding",
            **(headers or {}),
        }

    @cached_property
    def _compressed(self) -> bytes:
        return gzip.compress(self._body, mtime=0)

    async def respond(self, request: Request) -> Response:
        """Answers a GET or a HEAD."""
        if request.headers.get("if-none-match") == self._headers["etag"]:
            return Response(None, 304, self._headers)
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(self._body, headers=self._headers)
        return Response(self._compressed, headers={**self._headers, "content-encoding": "gzip"})


def _document_route(path: str, document: dict[str, object]) -> Route:
    return Route(path, StaticContent(to_json(document), JSON).respond)


def _page_routes(name: str) -> list[Route]:
    """The routes of a page, with and without a slash at the end."""
    html = (ASSETS / f"{name}.html").read_bytes()
    page = StaticContent(html, "text/html; charset=utf-8", _PAGE_HEADERS)
    return [Route(f"/{name}", page.respond), Route(f"/{name}/", page.respond)]


def _asset_route(path: Path) -> Route:
    media_type = mimetypes.guess_type(path.name)[0] or "text/plain"
    name = path.relative_to(ASSETS).as_posix()
    content = StaticContent(path.read_bytes(), f"{media_type}; charset=utf-8")
    return Route(f"/assets/{name}", content.respond)
