"""Requests for reports with one wrong field each, which operators and services may make."""

from collections.abc import Iterator

from google.protobuf.timestamp_pb2 import Timestamp

from balance_client import v1
from tests.bad_requests import Case


def reports() -> Iterator[Case]:
    """Of methods that operators and services may call."""
    never, soon = Timestamp(seconds=10**15), Timestamp(seconds=250_000_000_000)
    balances, moved = v1.ListBalancesRequest, v1.SearchMovementsRequest
    sold, month = v1.SalesByServiceRequest, "2026-01"
    start, end = Timestamp(seconds=1), Timestamp(seconds=2)
    for method, request, field in (
        ("ListBalances", balances(as_of=never), "as_of"),
        ("ListBalances", balances(as_of=soon), "as_of"),
        ("ListBalances", balances(currency="rub"), "currency"),
        ("ListBalances", balances(page_size=-1), "page_size"),
        ("SearchMovements", moved(), "start_time"),
        ("SearchMovements", moved(start_time=soon), "start_time"),
        ("SearchMovements", moved(start_time=never), "start_time"),
        ("SearchMovements", moved(start_time=start), "start_time"),
        ("SearchMovements", moved(start_time=end, end_time=end), "end_time"),
        ("SearchMovements", moved(start_time=start, end_time=never), "end_time"),
        ("SearchMovements", moved(start_time=start, currency="€"), "currency"),
        ("SearchMovements", moved(start_time=start, min_amount="1"), "min_amount"),
        ("SearchMovements", moved(start_time=start, currency="RUB", max_amount="-1"), "max_amount"),
        ("SalesByService", sold(end_month=month), "start_month"),
        ("SalesByService", sold(start_month=month), "end_month"),
        ("SalesByService", sold(start_month="2026-13", end_month="2027-01"), "start_month"),
        ("SalesByService", sold(start_month=month, end_month="2026-1"), "end_month"),
        ("SalesByService", sold(start_month=month, end_month="2025-12"), "end_month"),
        ("SalesByService", sold(start_month=month, end_month="2036-01"), "end_month"),
        ("SalesByService", sold(start_month=month, end_month=month, service="x"), "service"),
        ("SalesByService", sold(start_month=month, end_month=month, page_size=-1), "page_size"),
    ):
        yield f"ReportService/{method}", request, field
