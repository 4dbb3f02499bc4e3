"""ReportService: what all accounts had at a moment, what moved between two, and what was sold."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from balance_service._generated.balance.v1 import report_pb2
from balance_service.calls.call import Call
from balance_service.database.pool import Connection, Pool
from balance_service.domain import errors, money
from balance_service.domain.money import format_minor
from balance_service.domain.movements import Movement
from balance_service.domain.paging import REACH_MAX
from balance_service.domain.reports import BalanceThen, MonthlySales, MovementSearch
from balance_service.domain.statements import Basis
from balance_service.messages import convert, field_limits, fields, page_bytes, time_places
from balance_service.messages.listing import movement_texts
from balance_service.messages.page_tokens import PageTokens
from balance_service.reading.past import MICROSECOND, lately, settled_everywhere
from balance_service.reading.trial_balance import check_built
from balance_service.repositories import accounts, events, horizon, journal, reports, sales
from balance_service.repositories.sales import Place

# Longer than a transaction of the service stays open: by then, what it dated has been numbered.
NUMBERED_WITHIN = timedelta(minutes=2)
MONTHS_MAX = 120
_SALES_REQUEST = report_pb2.SalesByServiceRequest.DESCRIPTOR
_MONTH = field_limits.compile_pattern(field_limits.find(_SALES_REQUEST, "start_month"))


class ReportServicer:
    """Answers reports.

    Args:
        pool: Where everything is.
        page_tokens: Signs where a list goes on.
    """

    service = report_pb2.DESCRIPTOR.services_by_name["ReportService"]

    def __init__(self, pool: Pool, page_tokens: PageTokens) -> None:
        self._pool = pool
        self._page_tokens = page_tokens

    async def ListBalances(
        self, request: report_pb2.ListBalancesRequest, call: Call
    ) -> report_pb2.ListBalancesResponse:
        checks = fields.Checks()
        size = checks(fields.page_size, request.page_size)
        currency = request.currency and checks(money.parse_currency, request.currency, "currency")
        asked = checks(_read_as_of, request)
        checks.finish()

        query = (asked, currency)
        place = self._page_tokens.read(query, call, request.page_token)
        as_of, after = time_places.read(place) if place else (asked, UUID(int=0))
        as_of = await self._past(as_of, call)
        async with self._pool.connection() as conn:
            found = await reports.balances(conn, as_of, currency, after, REACH_MAX, size + 1)
            if kept := await horizon.read(conn):
                kept.check(as_of + MICROSECOND, Basis.BOOKING_DATE)
            last = found[size - 1].account_id if len(found) > size else None
            if last is None:
                last = await accounts.end_of_reach(conn, after, REACH_MAX)

        answer = report_pb2.ListBalancesResponse(
            balances=map(_balance, found[:size]), as_of=convert.timestamp(as_of)
        )
        if last:
            token = self._page_tokens.write(query, call, time_places.write(as_of, last))
            answer.next_page_token = token
        return answer

    async def SearchMovements(
        self, request: report_pb2.SearchMovementsRequest, call: Call
    ) -> report_pb2.SearchMovementsResponse:
        checks = fields.Checks()
        size = checks(fields.page_size, request.page_size)
        wanted = _read_search(checks, request)

        place = self._page_tokens.read(wanted, call, request.page_token)
        async with self._pool.connection() as conn:
            after = await _place(conn, wanted, int.from_bytes(place, "big") if place else None)
            newest = (await events.newest(conn)).sequence
            if after > newest:
                # A standby that does not show yet what an earlier page, read elsewhere, showed.
                raise errors.Unavailable
            until = min(after + REACH_MAX, newest)
            found = await reports.movements(conn, wanted, after, until, size + 1)
            movements = await journal.movements(conn, [one for _, one in found])
            over = wanted.end_time is not None and await reports.passes(
                conn, after, until, wanted.end_time + NUMBERED_WITHIN
            )

        listed: list[Movement] = [movements[one] for _, one in found[:size]]
        shown = page_bytes.fit(listed, movement_texts)
        answer = report_pb2.SearchMovementsResponse(movements=map(convert.movement, shown))
        if len(shown) < len(found):
            end, over = found[len(shown) - 1][0], False
        else:
            end, over = until, over or until == newest
        if not over:
            token = self._page_tokens.write(wanted, call, end.to_bytes(8, "big"))
            answer.next_page_token = token
        return answer

    async def SalesByService(
        self, request: report_pb2.SalesByServiceRequest, call: Call
    ) -> report_pb2.SalesByServiceResponse:
        checks = fields.Checks()
        size = checks(fields.page_size, request.page_size)
        service_id = checks(fields.optional_identifier, request.service, "service")
        start = checks(_read_month, request.start_month, "start_month")
        end = checks(_read_month, request.end_month, "end_month")
        checks.finish()
        _check_months(start, end)

        query = (start, end, service_id)
        token = self._page_tokens.read(query, call, request.page_token)
        place = _read_sales_place(token) if token else Place(start)
        async with self._pool.connection() as conn:
            await check_built(conn)
            found = await sales.page(conn, place, end, service_id, size + 1)

        answer = report_pb2.SalesByServiceResponse(sales=map(_sales, found[:size]))
        if len(found) > size:
            shown = _write_sales_place(found[size - 1])
            answer.next_page_token = self._page_tokens.write(query, call, shown)
        return answer

    async def _past(self, as_of: datetime | None, call: Call) -> datetime:
        """The moment that is asked for, or one just now, once it is over for all accounts."""
        as_of = as_of or await lately(self._pool)
        end = as_of + MICROSECOND
        if await settled_everywhere(self._pool, end, call.timeout_seconds) < end:
            # It was past by this worker's clock, and is not by that of Postgres.
            raise errors.invalid("as_of", fields.IN_THE_FUTURE)
        return as_of


async def _place(conn: Connection, wanted: MovementSearch, after: int | None) -> int:
    """The number of the event after which a page begins.

    Raises:
        InvalidFields: Events from its beginning on are not kept.
        EventsExpired: Those after a page token's place are not any more.
    """
    kept = await events.oldest(conn)
    if after is not None:
        if after < kept:
            raise errors.EventsExpired(str(kept + 1))
        return after
    since = await reports.oldest(conn)
    if wanted.start_time < since:
        rule = f"must not be before {since:%Y-%m-%dT%H:%M:%S.%fZ}, from when on events are kept"
        raise errors.invalid("start_time", f"{rule}: the view reports.movements has all movements")
    return await events.before_time(conn, wanted.start_time)


def _read_search(
    checks: fields.Checks, request: report_pb2.SearchMovementsRequest
) -> MovementSearch:
    """Reads which movements are listed, and finishes the checks."""
    start = checks(_read_start, request)
    end = None
    if request.HasField("end_time"):
        end = checks(fields.bound, request.end_time, "end_time")
    kind = checks(fields.kind, request.kind)
    currency = request.currency and checks(money.parse_currency, request.currency, "currency")
    known = bool(request.currency) and "currency" not in checks.refused
    minors: dict[str, int] = {}
    for name, text in {"min_amount": request.min_amount, "max_amount": request.max_amount}.items():
        if text and known:
            minors[name] = checks(_minor_units, text, currency, name)
        elif text:
            checks(money.parse_number, text, name, zero=True)
            if not request.currency and name not in checks.refused:
                checks.refuse(name, "must come with a currency")
    checks.finish()
    if end is not None and end <= start:
        raise errors.invalid("end_time", "must be after start_time")
    return MovementSearch(
        start, end, kind, currency, minors.get("min_amount"), minors.get("max_amount")
    )


def _minor_units(text: str, currency: str, field: str) -> int:
    return money.parse_amount(text, currency, field, minimum_minor=0).minor


def _read_start(request: report_pb2.SearchMovementsRequest) -> datetime:
    if not request.HasField("start_time"):
        raise errors.invalid("start_time", "is required")
    start = fields.bound(request.start_time, "start_time")
    if start > datetime.now(UTC):
        raise errors.invalid("start_time", fields.IN_THE_FUTURE)
    return start


def _read_as_of(request: report_pb2.ListBalancesRequest) -> datetime | None:
    return fields.past_moment(request.as_of, "as_of") if request.HasField("as_of") else None


def _balance(then: BalanceThen) -> report_pb2.AccountBalance:
    return report_pb2.AccountBalance(
        account=str(then.account_id),
        number=str(then.number),
        user=str(then.owner_id),
        currency=then.currency,
        balance=format_minor(then.balance_minor, then.currency),
        sequence=then.sequence,
    )


def _read_month(value: str, field: str) -> date:
    if not _MONTH.fullmatch(value):
        raise errors.invalid(field, "must be a month, such as 2026-11")
    return date.fromisoformat(f"{value}-01")


def _check_months(start: date, end: date) -> None:
    months = 12 * (end.year - start.year) + end.month - start.month + 1
    if months < 1:
        raise errors.invalid("end_month", "must not be before start_month")
    if months > MONTHS_MAX:
        raise errors.invalid("end_month", f"must be at most the {MONTHS_MAX}th month")


def _write_sales_place(last: MonthlySales) -> bytes:
    month, currencies = f"{last.month:%Y%m%d}", f"{last.currency}{last.price_currency}"
    return last.service_id.bytes + f"{month}{currencies}".encode()


def _read_sales_place(token: bytes) -> Place:
    text = token[16:].decode()
    return Place(date.fromisoformat(text[:8]), UUID(bytes=token[:16]), text[8:11], text[11:])


def _sales(sold: MonthlySales) -> report_pb2.ServiceSales:
    paid, price = sold.currency, sold.price_currency
    return report_pb2.ServiceSales(
        month=f"{sold.month:%Y-%m}",
        service=str(sold.service_id),
        currency=paid,
        purchases=sold.purchases,
        quantity=sold.quantity,
        gross=format_minor(sold.gross_minor, paid),
        refunds=sold.refunds,
        refunded=format_minor(sold.refunded_minor, paid),
        net=format_minor(sold.net_minor, paid),
        price_currency=price,
        gross_price=format_minor(sold.gross_price_minor, price),
        refunded_price=format_minor(sold.refunded_price_minor, price),
        net_price=format_minor(sold.net_price_minor, price),
    )
