"""The operators' console as an ASGI application: a client of the service's own contract.

It keeps nothing, and asks the service for everything as whoever is signed in: what an operator may
do is decided there. Mount it where operators alone come.
"""

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import grpc
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from balance_service.calls import languages
from balance_service.calls.security_headers import SecurityHeaders
from balance_service.console import (
    accounts,
    acts,
    approvals,
    audit,
    catalogue,
    credentials,
    finding,
    ledger,
    live,
    movements,
    schedules,
    sign_in,
    statement_files,
    users,
    webhooks,
)
from balance_service.console.calls import LazyService
from balance_service.console.protection import HEADERS, within_console
from balance_service.console.reception import Reception
from balance_service.console.sessions import Seal
from balance_service.console.visits import Visit

ASSETS = Path(__file__).with_name("assets")


def build(
    connect: Callable[[], grpc.aio.Channel],
    secret: str,
    spoken: Sequence[str] = languages.LANGUAGES,
    now: Callable[[], float] = time.time,
) -> Starlette:
    """Builds the console.

    Args:
        connect: Opens a channel to the service, plain or by TLS.
        secret: Seals the cookies: at least 32 random characters, the same for all processes.
        spoken: The languages of its pages, of those of the catalogue; the first by default.
        now: The time, in seconds of the epoch.

    Raises:
        ValueError: The secret is too short.
    """
    service = LazyService(connect)
    reception = Reception(service, Seal(secret), spoken, now)

    @contextlib.asynccontextmanager
    async def run(_: Starlette) -> AsyncIterator[None]:
        yield
        await service.close()

    return Starlette(
        routes=[Mount("/assets", StaticFiles(directory=ASSETS)), *_routes(reception, now)],
        middleware=[Middleware(SecurityHeaders, headers=HEADERS)],
        lifespan=run,
    )


def _routes(reception: Reception, now: Callable[[], float]) -> list[Route]:
    page, signing = reception.endpoint, sign_in.SignInPages(now)
    return [
        Route("/sign-in", page(signing.show, public=True)),
        Route("/sign-in", page(signing.go_on, public=True), methods=["POST"]),
        Route("/sign-out", page(signing.leave), methods=["POST"]),
        Route("/language", page(_choose_language, public=True), methods=["POST"]),
        Route("/", page(finding.show)),
        Route("/find", page(finding.show)),
        Route("/find", page(finding.find), methods=["POST"]),
        Route("/users/{user}", page(users.show)),
        Route("/accounts/{account}", page(accounts.statement)),
        Route("/accounts/{account}/file", page(statement_files.send)),
        Route("/accounts/{account}/holds", page(accounts.holds)),
        Route("/accounts/{account}/changes", page(accounts.changes)),
        Route("/accounts/{account}/live", page(live.show)),
        Route("/accounts/{account}/live/entries", page(live.entries, polls=True)),
        Route("/movements/{movement}", page(movements.show)),
        Route("/holds/{hold}", page(accounts.hold)),
        Route("/acts/{act}/{target}", page(acts.show)),
        Route("/acts/{act}/{target}", page(acts.go_on), methods=["POST"]),
        Route("/approvals", page(approvals.show)),
        Route(schedules.PATH, page(schedules.show_all)),
        Route("/schedules/{schedule}", page(schedules.show)),
        Route(webhooks.PATH, page(webhooks.show_all)),
        Route("/webhooks/{endpoint}", page(webhooks.show)),
        Route("/catalogue", page(catalogue.show)),
        Route("/credentials", page(credentials.show)),
        Route(ledger.PATH, page(ledger.show)),
        Route("/audit", page(audit.show)),
        Route("/{path:path}", page(_not_found, public=True), methods=["GET", "POST"]),
    ]


async def _not_found(visit: Visit) -> Response:
    return visit.problem("problem.not_found", 404)


async def _choose_language(visit: Visit) -> Response:
    if (chosen := visit.form.get("language", "")) in visit.languages:
        visit.session.language = chosen
    return visit.redirect(within_console(visit.form.get("back", "")))
