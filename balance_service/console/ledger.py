"""The page of the trial balance: what was posted to every account of the chart, by currency."""

from starlette.responses import Response

from balance_service._generated.balance.v1 import ledger_pb2
from balance_service.console import queries
from balance_service.console.visits import Visit

PATH = "/ledger"


async def show(visit: Visit) -> Response:
    """The trial balance of now, or of the beginning of a day of UTC."""
    asked = visit.query
    request = ledger_pb2.GetTrialBalanceRequest(time=queries.start_of(asked.get("day", "")))
    told = await visit.ask(visit.service.ledger.GetTrialBalance, request)
    return visit.page("ledger.html", told=told, asked=asked)
