"""What all services that move money share: submitting commands and listing what came of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol
from uuid import UUID

from balance_service._generated.balance.v1 import account_pb2
from balance_service.calls.call import Call
from balance_service.database.pool import Pool
from balance_service.domain import errors
from balance_service.domain.accounts import AccountProfile
from balance_service.domain.commands import Command, Origin, Request
from balance_service.domain.ledger import Done, How, Outcome
from balance_service.domain.movements import Entry, Kind, Movement
from balance_service.domain.paging import AmountPosition, Direction, Filter, Order, Position
from balance_service.ledger.queue import Answer, CommitQueue
from balance_service.messages import access, fields
from balance_service.messages.page_tokens import PageTokens, position_from_bytes, position_to_bytes
from balance_service.reading.past import settled
from balance_service.repositories import entries, journal


class MovingRequest(Protocol):
    """What every request that moves money has."""

    request_id: str

    @property
    def metadata(self) -> Mapping[str, str]: ...


class MovementsRequest(Protocol):
    """What every list of movements is asked with."""

    account: str
    page_size: int
    page_token: str
    skip: int
    count_total: bool
    order_by: str

    @property
    def filter(self) -> account_pb2.MovementFilter: ...


@dataclass(frozen=True, slots=True)
class Line:
    """An entry, the movement it belongs to, and the account it is on."""

    entry: Entry
    movement: Movement
    account: AccountProfile


@dataclass(frozen=True, slots=True)
class Page:
    """One page of movements; the total of all pages is 0 unless it was asked for."""

    lines: Sequence[Line]
    next_page_token: str
    total_size: int


class SentId(NamedTuple):
    """A request id, and the text by which its caller knows it."""

    request_id: UUID
    text: str


class Movements:
    """Submits commands and lists movements.

    Args:
        pool: For reads.
        queue: For commands.
        page_tokens: Signs where lists go on.
    """

    def __init__(self, pool: Pool, queue: CommitQueue, page_tokens: PageTokens) -> None:
        self.pool = pool
        self._queue = queue
        self._page_tokens = page_tokens

    async def submit_one(self, command: Command, call: Call) -> Done:
        """Carries out a command.

        Raises:
            Refusal: It was refused.
        """
        outcome = (await self.submit(Request((command,)), call))[0]
        if isinstance(outcome, errors.Refusal):
            raise outcome
        if outcome.how == How.REPLAYED:
            call.mark_replayed()
        return outcome

    def check_room(self, commands: int) -> None:
        """Raises what `submit` would for want of room, before a large request is read."""
        self._queue.check_room(commands)

    async def submit(self, request: Request, call: Call) -> Sequence[Outcome]:
        """Carries out the commands of a request; an outcome for each of its items."""
        return await self._queue.submit(request, call.timeout_seconds)

    def begin(self, command: Command, call: Call) -> Answer:
        """Starts to carry out a command, whose one outcome comes later."""
        return self._queue.enqueue(Request((command,)), call.timeout_seconds)

    async def page(
        self,
        request: MovementsRequest,
        call: Call,
        kind: Kind | None = None,
        direction: Direction | None = None,
    ) -> Page:
        """One page of movements of the named account, or of all the caller's own.

        Args:
            request: Which accounts, and which part of their movements.
            call: Who asks.
            kind: The only kind to list.
            direction: The only direction to list.
        """
        checks = fields.Checks()
        principal = call.principal
        account_id = checks(access.named, principal, request.account, "account")
        return await self.page_of(request, call, checks, account_id, kind, direction)

    async def page_of(
        self,
        request: MovementsRequest,
        call: Call,
        checks: fields.Checks,
        account_id: UUID | None,
        kind: Kind | None = None,
        direction: Direction | None = None,
    ) -> Page:
        """As `page`, with the account read already, and what is wrong with the request so far."""
        principal = call.principal
        size = checks(fields.page_size, request.page_size)
        order = checks(fields.order, request.order_by)
        skip = checks(fields.skip, request.skip)
        kept = fields.movement_filter(checks, request.filter, kind, direction)
        if checks.failed:
            # In which currency is not looked up for a request that is refused in any case.
            fields.check_amounts(checks, request.filter)
        checks.finish()
        async with self.pool.connection() as conn:
            profiles = await access.listed(conn, principal, account_id)
        kept = _compared(request, order, kept, profiles)
        asked = (account_id, order, kept)
        currencies = {p.account.account_id: p.account.currency for p in profiles}
        place = self._page_tokens.read(asked, call, request.page_token)
        if kept.end_time and not place:
            timeout_seconds = call.timeout_seconds
            past = await settled(self.pool, list(currencies), kept.end_time, timeout_seconds)
            profiles = past.accounts
        by_id = {profile.account.account_id: profile for profile in profiles}
        position = position_from_bytes(place, currencies) if place else _start(profiles)
        async with self.pool.connection() as conn:
            total = await entries.count(conn, position, kept) if request.count_total else 0
            found = await entries.page(conn, order, position, kept, size + 1, skip)
            shown = found[:size]
            movements = await journal.movements(conn, [entry.movement_id for entry in shown])
        lines = [Line(e, movements[e.movement_id], by_id[e.account_id]) for e in shown]
        # What was skipped by date of several accounts is not known, so nor is where each goes on.
        lost = skip and order.by_date and len(profiles) > 1
        if len(found) <= size or lost:
            return Page(lines, "", total)
        following = position_to_bytes(_after(position, shown, order, skip), currencies)
        return Page(lines, self._page_tokens.write(asked, call, following), total)


def _compared(
    request: MovementsRequest, order: Order, kept: Filter, profiles: Sequence[AccountProfile]
) -> Filter:
    """The filter with its amounts; refuses to compare amounts of several currencies."""
    checks = fields.Checks()
    currencies = {profile.account.currency for profile in profiles}
    if len(currencies) > 1 and not order.by_date:
        checks.refuse("order_by", fields.SEVERAL_CURRENCIES)
    if currencies:
        currency = currencies.pop() if len(currencies) == 1 else ""
        kept = fields.with_amounts(checks, kept, request.filter, currency)
    else:
        fields.check_amounts(checks, request.filter)
    checks.finish()
    return kept


def _start(profiles: Sequence[AccountProfile]) -> Position:
    return Position(ends={p.account.account_id: p.account.sequence for p in profiles})


def _after(position: Position, shown: Sequence[Entry], order: Order, skip: int) -> Position:
    reached = {entry.account_id: entry.sequence for entry in shown}
    if order == Order.DATE_DESC:
        before = {account_id: sequence - 1 for account_id, sequence in reached.items()}
        return Position({**position.ends, **before}, passed=position.passed + skip + len(shown))
    if order == Order.DATE:
        return Position(position.ends, {**position.after, **reached})
    last = shown[-1]
    size_minor = abs(last.amount_minor)
    return Position(
        position.ends, after_amount=AmountPosition(size_minor, last.account_id, last.sequence)
    )


def origin(
    request: MovingRequest,
    call: Call,
    checks: fields.Checks,
    owner_id: UUID | None,
    description: str = "",
    default_id: SentId | None = None,
) -> Origin:
    """Who asks for a movement, and why; not to be used before `checks` has finished.

    Args:
        request: Its request id and metadata are read here.
        call: Who asks.
        checks: Collects what is wrong with them.
        owner_id: The user who must own the account that is changed; None for any.
        description: Already read.
        default_id: What stands in for a request id that was not sent.
    """
    request_id, text = checks(fields.request_id, request.request_id), request.request_id
    if default_id and not text:
        request_id, text = default_id
    metadata = checks(fields.metadata, request.metadata)
    principal = call.principal
    return Origin(
        principal=principal.name,
        owner_id=owner_id,
        reads_all=principal.reads_all,
        request_id=request_id,
        request_text=text,
        description=description,
        metadata=metadata,
    )
