"""The page of the catalogue: what can be bought, and at what price."""

from starlette.responses import Response

from balance_service._generated.balance.v1 import purchase_pb2
from balance_service.console.visits import Visit

PAGE_SIZE = 50


async def read(visit: Visit, service: str) -> purchase_pb2.Service:
    """A service of the catalogue.

    Raises:
        Refused: There is none.
    """
    request = purchase_pb2.GetServiceRequest(service=service)
    return await visit.ask(visit.service.purchases.GetService, request)


async def show(visit: Visit) -> Response:
    """The services, oldest first."""
    asked = visit.query
    request = purchase_pb2.ListServicesRequest(
        currency=asked.get("currency", "").upper(),
        page_size=PAGE_SIZE,
        page_token=asked.get("page", ""),
    )
    listed = await visit.ask(visit.service.purchases.ListServices, request)
    return visit.page(
        "catalogue.html", services=listed.services, asked=asked, next_page=listed.next_page_token
    )
