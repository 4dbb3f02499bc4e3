"""The pages of an account: its statement with a chart, its holds, and what operators changed."""

import asyncio

from starlette.responses import Response

from balance_service._generated.balance.v1 import account_pb2, hold_pb2
from balance_service.console import charts, queries
from balance_service.console.visits import Visit

PAGE_SIZE = 25
CHART_ENTRIES_MAX = 500
_ORDERS = {"": "date desc", "date": "date", "amount": "amount desc"}


async def read(visit: Visit, account: str) -> account_pb2.Account:
    """An account as it is now.

    Raises:
        Refused: There is none, or it cannot be read.
    """
    request = account_pb2.GetAccountRequest(account=account)
    return await visit.ask(visit.service.accounts.GetAccount, request)


async def statement(visit: Visit) -> Response:
    """What moved on an account, with filters, page by page."""
    account, asked = visit.part("account"), visit.query
    kind = queries.enum_value("movement_kind", asked.get("kind", ""))
    request = account_pb2.ListEntriesRequest(
        account=account,
        page_size=PAGE_SIZE,
        page_token=asked.get("page", ""),
        order_by=_ORDERS.get(asked.get("order", ""), "date desc"),
        filter=queries.movement_filter(visit),
        kind=account_pb2.MovementKind.ValueType(kind),
    )
    shown, listed = await asyncio.gather(
        read(visit, account), visit.ask(visit.service.accounts.ListEntries, request)
    )
    return visit.page(
        "statement.html",
        account=shown,
        tab="statement",
        entries=listed.entries,
        chart=await _chart(visit, account, listed),
        asked=asked,
        next_page=listed.next_page_token,
        archived=listed.archived_before if listed.HasField("archived_before") else None,
    )


async def holds(visit: Visit) -> Response:
    """The holds of an account, newest first."""
    account, asked = visit.part("account"), visit.query
    status = queries.enum_value("hold_status", asked.get("status", ""))
    request = hold_pb2.ListHoldsRequest(
        account=account,
        page_size=PAGE_SIZE,
        page_token=asked.get("page", ""),
        status=hold_pb2.HoldStatus.ValueType(status),
    )
    shown, listed = await asyncio.gather(
        read(visit, account), visit.ask(visit.service.holds.ListHolds, request)
    )
    return visit.page(
        "holds.html",
        account=shown,
        tab="holds",
        holds=listed.holds,
        asked=asked,
        next_page=listed.next_page_token,
    )


async def hold(visit: Visit) -> Response:
    """A hold, and what was captured of it."""
    request = hold_pb2.GetHoldRequest(hold=visit.part("hold"))
    shown = await visit.ask(visit.service.holds.GetHold, request)
    return visit.page("hold.html", hold=shown)


async def changes(visit: Visit) -> Response:
    """What operators changed on an account, newest first."""
    account, asked = visit.part("account"), visit.query
    request = account_pb2.ListAccountChangesRequest(
        account=account, page_size=PAGE_SIZE, page_token=asked.get("page", "")
    )
    shown, listed = await asyncio.gather(
        read(visit, account), visit.ask(visit.service.accounts.ListAccountChanges, request)
    )
    return visit.page(
        "changes.html",
        account=shown,
        tab="changes",
        changes=listed.changes,
        asked=asked,
        next_page=listed.next_page_token,
    )


async def _chart(
    visit: Visit, account: str, listed: account_pb2.ListEntriesResponse
) -> charts.Chart | None:
    """The balance from the earliest to the latest entry of a page, through all that lies between.

    Of more than CHART_ENTRIES_MAX, the latest.
    """
    if not listed.entries:
        return None
    dates = sorted((entry.date for entry in listed.entries), key=lambda date: date.ToNanoseconds())
    request = account_pb2.ListEntriesRequest(
        account=account,
        page_size=CHART_ENTRIES_MAX,
        filter=account_pb2.MovementFilter(
            start_time=dates[0], end_time=queries.just_after(dates[-1])
        ),
    )
    course = await visit.ask(visit.service.accounts.ListEntries, request)
    return charts.draw(course.entries[::-1])
