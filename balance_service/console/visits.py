"""A visit: one request of a browser, in its session, and what it is answered."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar
from urllib.parse import quote, urlencode

import grpc
from google.protobuf.message import Message
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from balance_service.console import calls, texts
from balance_service.console.calls import Refused, Service
from balance_service.console.protection import PAGE_HEADERS, within_console
from balance_service.console.rendering import Renderer, values_by_key
from balance_service.console.sessions import Operator, Session

Asked = TypeVar("Asked", bound=Message)
Answer = TypeVar("Answer", bound=Message)

# gRPC's codes as HTTP's (google.rpc.Code).
STATUSES = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.FAILED_PRECONDITION: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
INTERNAL_ERROR = 500


@dataclass
class Visit:
    """One request of a browser.

    Args:
        request: The request.
        session: What is remembered of the browser; what a page changes in it is kept.
        language: What it reads.
        languages: What it could.
        request_id: Names its calls in the service's log.
        service: What is asked.
        renderer: Makes its page.
        form: What was sent by POST.
    """

    request: Request
    session: Session
    language: str
    languages: tuple[str, ...]
    request_id: str
    service: Service
    renderer: Renderer
    form: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def operator(self) -> Operator:
        """Who is signed in, which the pages of operators can rely on."""
        assert self.session.operator
        return self.session.operator

    @property
    def is_admin(self) -> bool:
        """Whether an admin is signed in."""
        return self.session.operator is not None and self.session.operator.is_admin

    @property
    def query(self) -> Mapping[str, str]:
        """What the address asks, without spaces around."""
        return {name: value.strip() for name, value in self.request.query_params.items()}

    def part(self, name: str) -> str:
        """A part of the path."""
        return str(self.request.path_params[name])

    async def ask(
        self, method: "grpc.aio.UnaryUnaryMultiCallable[Asked, Answer]", request: Asked
    ) -> Answer:
        """Calls the service as whoever is signed in.

        Raises:
            Refused: The call was refused, or failed.
        """
        return await calls.send(method, request, self._credentials())

    def receive(
        self, method: "grpc.aio.UnaryStreamMultiCallable[Asked, Answer]", request: Asked
    ) -> AsyncIterator[Answer]:
        """Calls the service as `ask` does, for many answers."""
        return calls.receive(method, request, self._credentials())

    async def ask_as_anybody(
        self, method: "grpc.aio.UnaryUnaryMultiCallable[Asked, Answer]", request: Asked
    ) -> Answer:
        """Calls the service without a token; raises as `ask` does."""
        return await calls.send(method, request, self._metadata())

    def text(self, key: str, **values: object) -> str:
        """A text of the catalogue."""
        return texts.text(key, self.language, **values)

    @property
    def here(self) -> str:
        """This page within the console, for a form that comes back to it."""
        url, root = self.request.url, str(self.request.scope.get("root_path", ""))
        path = within_console(quote(url.path.removeprefix(root)))
        return f"{path}?{url.query}" if url.query else path

    def keys(self, enum: str) -> list[str]:
        """The keys of an enum's values, for a choice of them."""
        return list(values_by_key(enum))

    def knows(self, key: str) -> bool:
        """Whether the catalogue has a text of a key."""
        return texts.knows(key)

    def link(self, path: str, /, **query: object) -> str:
        """The address of another page of the console; what is empty in the query is left out."""
        asked = urlencode({name: value for name, value in query.items() if value})
        address = f"{self.request.scope.get('root_path', '')}{path}"
        return f"{address}?{asked}" if asked else address

    def page(self, template: str, status: int = 200, /, **values: object) -> Response:
        """A page."""
        notice, self.session.notice = self.session.notice, ""
        shown = {"notice": notice, **values}
        return self._html(template, status, shown)

    def part_of_page(self, template: str, /, **values: object) -> Response:
        """What is put into a page that is open."""
        return self._html(template, 200, values)

    def refusal(self, refused: Refused) -> Response:
        """The page that says why the service refused."""
        status = STATUSES.get(refused.code, INTERNAL_ERROR)
        return self.page("refusal.html", status, refused=refused)

    def problem(self, key: str, status: int) -> Response:
        """A page that says what is wrong, by the key of its title."""
        return self.page("problem.html", status, key=key)

    def redirect(self, path: str, notice: str = "", **query: object) -> Response:
        """Goes on to another page.

        Args:
            path: Within the console.
            notice: The key of a text to show there once.
            query: What that page is asked.
        """
        self.session.notice = notice
        return RedirectResponse(self.link(path, **query), 303, PAGE_HEADERS)

    def _html(self, template: str, status: int, values: Mapping[str, object]) -> Response:
        return HTMLResponse(self.renderer.render(template, self, values), status, PAGE_HEADERS)

    def _credentials(self) -> list[tuple[str, str]]:
        metadata = self._metadata()
        if self.session.operator:
            token = self.session.operator.access_token
            metadata.append(("authorization", f"Bearer {token}"))
        return metadata

    def _metadata(self) -> list[tuple[str, str]]:
        headers, client = self.request.headers, self.request.client
        # One entry, with the browser's address last: as of any proxy that extends the header.
        hops = [*headers.getlist("x-forwarded-for"), client.host if client else "unknown"]
        return [
            ("accept-language", self.language),
            ("x-request-id", self.request_id),
            ("x-forwarded-for", ", ".join(hops)),
        ]


Handler: TypeAlias = Callable[[Visit], Awaitable[Response]]
