"""The documentation over HTTP: the OpenAPI documents, Swagger UI and Redoc, and their assets."""

import asyncio
import gzip
import hashlib
import mimetypes
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

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

    def document(*, numbered: bool) -> Route:
        path = "/openapi-pages.json" if numbered else "/openapi.json"

        def make() -> bytes:
            return to_json(openapi.document(bindings, numbered=numbered))

        return Route(path, StaticContent(make, JSON).respond)

    return [
        Route("/", lambda _: RedirectResponse("/swagger/")),
        document(numbered=False),
        document(numbered=True),
        *_page_routes("swagger"),
        *_page_routes("redoc"),
        *(_asset_route(path) for path in ASSETS.rglob("*.*")),
    ]


class _Made(NamedTuple):
    body: bytes
    compressed: bytes
    etag: str


class StaticContent:
    """Bytes that are the same for every caller, made and compressed when somebody asks for them.

    Args:
        make: Makes the bytes, in a thread: those of the contract take a fifth of a second.
        media_type: Their Content-Type.
        headers: Headers besides.
    """

    def __init__(
        self,
        make: Callable[[], bytes],
        media_type: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._make = make
        self._made: _Made | None = None
        self._making = asyncio.Lock()
        self._headers = {
            "content-type": media_type,
            "vary": "accept-encoding",
            **(headers or {}),
        }

    async def respond(self, request: Request) -> Response:
        """Answers a GET or a HEAD."""
        async with self._making:
            if self._made is None:
                self._made = await asyncio.to_thread(self._make_forms)
        made = self._made
        headers = {**self._headers, "etag": made.etag}
        if request.headers.get("if-none-match") == made.etag:
            return Response(None, 304, headers)
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(made.body, headers=headers)
        return Response(made.compressed, headers={**headers, "content-encoding": "gzip"})

    def _make_forms(self) -> _Made:
        body = self._make()
        digest = hashlib.sha256(body).hexdigest()[:16]
        # Weak, since it stands for the compressed body, too (RFC 9110, 8.8.1).
        return _Made(body, gzip.compress(body, mtime=0), f'W/"{digest}"')


def _page_routes(name: str) -> list[Route]:
    """The routes of a page, with and without a slash at the end."""
    html = ASSETS / f"{name}.html"
    page = StaticContent(html.read_bytes, "text/html; charset=utf-8", _PAGE_HEADERS)
    return [Route(f"/{name}", page.respond), Route(f"/{name}/", page.respond)]


def _asset_route(path: Path) -> Route:
    media_type = mimetypes.guess_type(path.name)[0] or "text/plain"
    name = path.relative_to(ASSETS).as_posix()
    content = StaticContent(path.read_bytes, f"{media_type}; charset=utf-8")
    return Route(f"/assets/{name}", content.respond)
