"""The newest movements of an account as they come: the page asks again every few seconds."""

from datetime import UTC, datetime

from starlette.responses import Response

from balance_service._generated.balance.v1 import account_pb2
from balance_service.console import accounts
from balance_service.console.visits import Visit

SHOWN_MAX = 20
POLL_SECONDS = 5


async def show(visit: Visit) -> Response:
    """The page, which asks for `entries` by itself unless it is paused."""
    account = visit.part("account")
    return visit.page(
        "live.html",
        account=await accounts.read(visit, account),
        tab="live",
        entries=await _newest(visit, account),
        now=_now(),
        paused="paused" in visit.query,
        seconds=POLL_SECONDS,
    )


async def entries(visit: Visit) -> Response:
    """The newest movements alone."""
    newest = await _newest(visit, visit.part("account"))
    return visit.part_of_page("live_entries.html", entries=newest, now=_now())


async def _newest(visit: Visit, account: str) -> list[account_pb2.Entry]:
    request = account_pb2.ListEntriesRequest(account=account, page_size=SHOWN_MAX)
    listed = await visit.ask(visit.service.accounts.ListEntries, request)
    return list(listed.entries)


def _now() -> str:
    return datetime.now(UTC).strftime("%H:%M:%S")
