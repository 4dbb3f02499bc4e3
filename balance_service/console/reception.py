"""Receives every request: opens the session, checks the form and the sign-in, keeps the cookie."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import structlog
from starlette.requests import Request
from starlette.responses import Response

from balance_service.calls import languages
from balance_service.console import sign_in
from balance_service.console.calls import LazyService, Refused
from balance_service.console.protection import BadForm, Forbidden, check_form, is_https, read_form
from balance_service.console.rendering import Renderer
from balance_service.console.sessions import ABSOLUTE_SECONDS, SEEN_STEP_SECONDS, Seal, Session
from balance_service.console.visits import Handler, Visit
from balance_service.domain.ids import new_hex

COOKIE = "console_session"
_log = structlog.get_logger()


class Reception:
    """Receives requests.

    Args:
        service: What is asked.
        seal: Seals sessions into cookies.
        spoken: The languages that pages are written in.
        now: The time, in seconds of the epoch.
    """

    def __init__(
        self,
        service: LazyService,
        seal: Seal,
        spoken: Sequence[str],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._service = service
        self._seal = seal
        self._spoken = tuple(spoken)
        self._now = now
        self._renderer = Renderer()

    def endpoint(
        self, handler: Handler, *, public: bool = False, polls: bool = False
    ) -> Callable[[Request], Awaitable[Response]]:
        """The endpoint of a page.

        Args:
            handler: Makes the page.
            public: Whether it is shown to those who are not signed in, too.
            polls: Whether an open page asks for it by itself, which does not keep a session alive.
        """

        async def answer(request: Request) -> Response:
            visit, cookie = self._open(request)
            before = replace(visit.session)
            if not cookie and _came_from_elsewhere(request):
                return visit.page("arrival.html", address=visit.link(visit.here))
            response = await self._answer(visit, handler, public=public, polls=polls)
            if visit.session != before or not cookie:
                self._keep(visit, response)
            return response

        return answer

    def _open(self, request: Request) -> tuple[Visit, str]:
        """The visit of a request, and the cookie that it came with, if it is good."""
        cookie, now = request.cookies.get(COOKIE, ""), self._now()
        session = self._seal.open(cookie) if cookie else None
        if session is None:
            session, cookie = Session(now, now), ""
        session.secure = session.secure or is_https(request)
        preferred = languages.choose(request.headers.get("accept-language", ""))
        language = session.language or preferred
        if language not in self._spoken:
            language = self._spoken[0]
        visit = Visit(
            request, session, language, self._spoken, new_hex(), self._service(), self._renderer
        )
        return visit, cookie

    async def _answer(
        self, visit: Visit, handler: Handler, *, public: bool, polls: bool
    ) -> Response:
        try:
            stopped = await self._admit(visit, public=public)
            if not polls and self._now() - visit.session.seen > SEEN_STEP_SECONDS:
                visit.session.seen = self._now()
            return stopped or await handler(visit)
        except Refused as refused:
            if refused.is_lost_token and visit.session.operator:
                await sign_in.end(visit, self._now())
                return sign_in.ask(visit, "notice.session_over")
            return visit.refusal(refused)
        except Forbidden:
            return visit.problem("problem.forged", 403)
        except BadForm:
            return visit.problem("problem.bad_form", 400)
        except Exception:  # noqa: BLE001 - whatever it is, the operator gets a page
            _log.exception("console_failed", request_id=visit.request_id)
            return visit.problem("problem.internal", 500)

    async def _admit(self, visit: Visit, *, public: bool) -> Response | None:
        """Checks the session, the form and the sign-in; what is answered instead of the page."""
        if visit.session.is_over(self._now()):
            await sign_in.end(visit, self._now())
            return sign_in.ask(visit, "notice.session_over")
        if visit.request.method == "POST":
            visit.form = await read_form(visit.request)
            check_form(visit.request.headers, visit.form, visit.session.csrf)
        if visit.session.operator:
            await sign_in.renew(visit, self._now())
        elif not public:
            return sign_in.ask(visit)
        return None

    def _keep(self, visit: Visit, response: Response) -> None:
        response.set_cookie(
            COOKIE,
            self._seal.close(visit.session),
            max_age=ABSOLUTE_SECONDS,
            path=visit.request.scope.get("root_path") or "/",
            secure=visit.session.secure,
            httponly=True,
            samesite="strict",
        )


def _came_from_elsewhere(request: Request) -> bool:
    """Whether a link of another site was followed, which brings no cookie along (SameSite)."""
    return request.method == "GET" and request.headers.get("sec-fetch-site") == "cross-site"
