"""Lists of movements, a page at a time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from balance_service._generated.balance.v1 import account_pb2
from balance_service.calls.call import Call
from balance_service.database.pool import Pool
from balance_service.domain import errors
from balance_service.domain.accounts import AccountProfile
from balance_service.domain.archived import Archived
from balance_service.domain.movements import Followed, Kind, Line, Movement
from balance_service.domain.paging import AmountPosition, Direction, Filter, Order, Part, Position
from balance_service.messages import account_access, convert, fields, page_bytes
from balance_service.messages.page_tokens import PageTokens, position_from_bytes, position_to_bytes
from balance_service.reading.balances import AccountReads
from balance_service.reading.past import settled
from balance_service.reading.statements import StatementReads
from balance_service.repositories import entries, horizon, journal

# A statement is read again if entries of it were archived or restored meanwhile.
READS_MAX = 3


class ListRequest(Protocol):
    """What every list of movements is asked with."""

    page_size: int
    page_token: str
    skip: int
    count_total: bool
    order_by: str

    @property
    def filter(self) -> account_pb2.MovementFilter: ...


@dataclass(frozen=True, slots=True)
class Query:
    """Which movements are listed, in which order, and which page of them.

    Args:
        account_id: The account they are on; None for all the caller's own.
        order: How they are ordered.
        filter: Which to keep, but for their amounts.
        amounts: The message that limits their amounts. What these mean depends on the currency,
            which is known once the accounts are.
        page_size: How many a page holds.
        page_token: Where the page starts; empty for the first.
        skip: How many to leave out before the page.
        count_total: Whether to count the movements of all pages.
    """

    account_id: UUID | None
    order: Order
    filter: Filter
    amounts: account_pb2.MovementFilter
    page_size: int
    page_token: str
    skip: int
    count_total: bool


@dataclass(frozen=True, slots=True)
class Page:
    """One page of movements.

    Args:
        lines: What it shows.
        next_page_token: Where the next one starts; empty if there is none.
        total_size: The total of all pages; 0 unless it was asked for.
        archived_before: Before when entries are archived, if the list meets them on this page.
        followed: The movements with what followed each, in a list of one kind.
    """

    lines: Sequence[Line]
    next_page_token: str
    total_size: int
    archived_before: Timestamp | None
    followed: Sequence[Followed] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    """What was read for a page.

    Args:
        lines: Its lines and one more, which tells that there is another page.
        total: Of all pages, if it was asked for.
        archived: What is archived of the accounts, unless this page does not depend on that.
    """

    lines: Sequence[Line]
    total: int
    archived: Archived | None


def read_query(
    checks: fields.Checks,
    request: ListRequest,
    account_id: UUID | None,
    kind: Kind | None = None,
    direction: Direction | None = None,
) -> Query:
    """Reads what is to be listed; not to be used before `checks` has finished.

    Args:
        checks: Knows what is wrong with the request so far. Nothing is to be read after this.
        request: The rest of it is read here.
        account_id: Already read.
        kind: The only kind to list, already read; None for all.
        direction: The only direction to list; None for both.
    """
    query = Query(
        account_id=account_id,
        page_size=checks(fields.page_size, request.page_size),
        order=checks(fields.order, request.order_by),
        skip=checks(fields.skip, request.skip),
        filter=fields.movement_filter(checks, request.filter, kind, direction),
        amounts=request.filter,
        page_token=request.page_token,
        count_total=request.count_total,
    )
    if checks.failed:
        # The request is refused whatever the currency is, so it is not looked up.
        fields.check_amounts(checks, request.filter)
    return query


class Listing:
    """Lists movements.

    Args:
        pool: For what is not gathered: several accounts, filters, orders by amount.
        page_tokens: Signs where a list goes on.
        accounts: Reads the accounts of many callers at once.
        statements: Reads the statements of many callers at once.
    """

    def __init__(
        self,
        pool: Pool,
        page_tokens: PageTokens,
        accounts: AccountReads,
        statements: StatementReads,
    ) -> None:
        self._pool = pool
        self._page_tokens = page_tokens
        self._accounts = accounts
        self._statements = statements

    async def page(self, query: Query, call: Call) -> Page:
        """One page of a list.

        Raises:
            AccountNotFound: The caller may not read the account.
            InvalidFields: The amounts do not fit the accounts' currencies, or the page is too large
                and cannot be followed by another.
            PageTokenInvalid: The token was made for another list.
            PeriodArchived: Entries of the time that is asked for are archived.
            DeadlinePassed, Unavailable: The list ends at a moment that is not over in time.
        Unavailable: A standby does not show yet what the page's token stands for.
        """
        profiles = await account_access.get_listed_accounts(
            self._pool, self._accounts, call, query.account_id
        )
        wanted = _filter_with_amounts(query, profiles)
        signed = (query.account_id, query.order, wanted)
        currencies = {p.account.account_id: p.account.currency for p in profiles}
        place = self._page_tokens.read(signed, call, query.page_token)
        if wanted.end_time and not place:
            # The first page fixes what the list holds, so later ones need not wait.
            past = await settled(
                self._pool, list(currencies), wanted.end_time, call.timeout_seconds
            )
            profiles = past.accounts
        position = position_from_bytes(place, currencies) if place else _start(profiles)
        if any(p.account.sequence < position.ends.get(p.account.account_id, 0) for p in profiles):
            # A standby that does not show yet what the first page, read elsewhere, fixed.
            raise errors.Unavailable
        size, skip = query.page_size, query.skip
        found = await self._read(query, position, wanted)
        listed, total = found.lines, found.total
        shown = page_bytes.fit(listed[:size], lambda line: movement_texts(line.movement))
        # By date, a position has a place on each account's statement. Skipping across several
        # accounts does not tell how far it went on each, so such a page has none after it.
        place_unknown = skip and query.order.by_date and len(profiles) > 1
        if place_unknown and len(shown) < min(size, len(listed)):
            raise page_bytes.too_large(len(shown))
        followed = await self._followed(query, shown)
        last = len(listed) == len(shown)
        before = _archived_before(found.archived, query.order, position, last=last)
        if last or place_unknown:
            return Page(shown, "", total, before, followed)
        end = position_to_bytes(_after(position, shown, query.order, skip), currencies)
        return Page(shown, self._page_tokens.write(signed, call, end), total, before, followed)

    async def _followed(self, query: Query, shown: Sequence[Line]) -> Sequence[Followed]:
        if query.filter.kind is None or not shown:
            return ()
        async with self._pool.connection() as conn:
            return await journal.all_followed(conn, [line.movement for line in shown])

    async def _read(self, query: Query, position: Position, wanted: Filter) -> _Found:
        limit = query.page_size + 1
        whole = wanted == Filter()
        if query.order.by_date and whole and len(position.ends) == 1:
            return await self._read_part(query, position, limit)
        async with self._pool.connection() as conn:
            total = await entries.count(conn, position, wanted) if query.count_total else 0
            lines = await entries.page(conn, query.order, position, wanted, limit, query.skip)
            # Read after the entries: what is missing among them is known by then.
            archived = None
            if _depends_on_archives(query, wanted, last=len(lines) < limit):
                archived = await horizon.of_accounts(conn, list(position.ends))
        if archived is None:
            return _Found(lines, total, None)
        archived.check(wanted)
        if query.count_total and whole:
            total -= archived.count(position)
        return _Found(lines, total, archived if archived.is_met_by(wanted) else None)

    async def _read_part(self, query: Query, position: Position, limit: int) -> _Found:
        """A page of one account's whole statement, which has no gaps but for what is archived."""
        archived = None
        if query.skip or query.count_total:
            archived = await self._archived(position)
        for _ in range(READS_MAX):
            start = archived.begin_after(position) if archived else position
            part = _part(start, query.order, query.skip, limit)
            lines = (await self._statements.get(part) or []) if part.length > 0 else []
            if len(lines) >= part.length:
                break
            archived = await self._archived(position)
        else:
            raise errors.Unavailable
        total = 0
        if query.count_total:
            total = entries.count_all(position) - (archived.count(position) if archived else 0)
        return _Found(lines[::-1] if query.order.descending else lines, total, archived)

    async def _archived(self, position: Position) -> Archived | None:
        async with self._pool.connection() as conn:
            return await horizon.of_accounts(conn, list(position.ends))


def movement_texts(movement: Movement) -> Iterable[str]:
    """The texts of a movement that make a page large."""
    yield movement.description
    for pair in movement.metadata.items():
        yield from pair


def _filter_with_amounts(query: Query, profiles: Sequence[AccountProfile]) -> Filter:
    """The query's filter with its amounts, in the currency of the listed accounts.

    Raises:
        InvalidFields: They do not fit it, or amounts of several currencies would be compared.
    """
    checks = fields.Checks()
    wanted = query.filter
    currencies = {profile.account.currency for profile in profiles}
    if len(currencies) > 1 and not query.order.by_date:
        checks.refuse("order_by", fields.SEVERAL_CURRENCIES)
    if currencies:
        currency = currencies.pop() if len(currencies) == 1 else ""
        wanted = fields.with_amounts(checks, wanted, query.amounts, currency)
    else:
        fields.check_amounts(checks, query.amounts)
    checks.finish()
    return wanted


def _depends_on_archives(query: Query, wanted: Filter, *, last: bool) -> bool:
    """Whether a page has to be read with what is archived.

    Newest first and by amount, only the last page meets archived entries. One with bounds in time
    may be refused.
    """
    times = (wanted.start_time, wanted.end_time, wanted.start_effective_time)
    return last or query.count_total or query.order == Order.DATE or any(times)


def _archived_before(
    archived: Archived | None, order: Order, position: Position, *, last: bool
) -> Timestamp | None:
    """Before when entries are archived, for the page where a list meets them."""
    if archived is None:
        return None
    met = archived.lies_after(position) if order == Order.DATE else last
    return convert.timestamp(archived.horizon.booked) if met else None


def _start(profiles: Sequence[AccountProfile]) -> Position:
    """The start of a list: with every entry that there is now, and none that comes later."""
    return Position(ends={p.account.account_id: p.account.sequence for p in profiles})


def _part(position: Position, order: Order, skip: int, limit: int) -> Part:
    """The part of the one listed account's statement that a page by date shows."""
    ((account_id, end),) = position.ends.items()
    start = position.after.get(account_id, 0) + 1
    if order.descending:
        last = end - skip
        return Part(account_id, max(start, last - limit + 1), last)
    first = start + skip
    return Part(account_id, first, min(end, first + limit - 1))


def _after(position: Position, shown: Sequence[Line], order: Order, skip: int) -> Position:
    """The position after the lines of a page."""
    reached = {line.entry.account_id: line.entry.sequence for line in shown}
    if order == Order.DATE_DESC:
        before = {account_id: sequence - 1 for account_id, sequence in reached.items()}
        return Position({**position.ends, **before}, passed=position.passed + skip + len(shown))
    if order == Order.DATE:
        return Position(position.ends, {**position.after, **reached})
    last = shown[-1].entry
    size_minor = abs(last.amount_minor)
    return Position(
        position.ends, after_amount=AmountPosition(size_minor, last.account_id, last.sequence)
    )
