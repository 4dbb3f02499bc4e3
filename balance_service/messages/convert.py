"""Domain objects to messages of the contract."""

import functools
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TypedDict, TypeVar
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from balance_service._generated.balance.v1 import (
    account_pb2,
    deposit_pb2,
    exchange_pb2,
    hold_pb2,
    movement_pb2,
    purchase_pb2,
    rate_pb2,
    reversal_pb2,
    transfer_pb2,
    withdrawal_pb2,
)
from balance_service.domain.catalogue import Service
from balance_service.domain.follow_up_commands import held_for
from balance_service.domain.holds import Hold
from balance_service.domain.money import format_minor
from balance_service.domain.movements import (
    BETWEEN_USERS,
    PAYING_IN,
    Followed,
    Kind,
    Line,
    Movement,
)
from balance_service.domain.pricing import Rate
from balance_service.domain.principals import shown_name
from balance_service.domain.quotes import Quote
from balance_service.domain.splits import Part
from balance_service.domain.state import Done
from balance_service.messages.answer_room import AnswerRoom

_UNIX_EPOCH = datetime.fromtimestamp(0, UTC)

# Messages are not given an empty `metadata`: that would be a sixth of what a transfer costs here.
Settlement = TypeVar("Settlement", deposit_pb2.Deposit, withdrawal_pb2.Withdrawal)


# All movements of a commit have one date, so that its callers are answered with one message.
@functools.lru_cache(maxsize=64)
def timestamp(moment: datetime) -> Timestamp:
    """A moment as a message. It is cached and shared: never mutate it."""
    # A page of a statement has a moment a line, and FromDatetime takes three times as long.
    since = moment - _UNIX_EPOCH
    return Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1_000)


def conversion(minor: int, rate: Rate, *, stale: bool = False) -> account_pb2.Conversion:
    """How an amount was converted.

    Args:
        minor: Minor units of the rate's currency, before conversion.
        rate: What converted them.
        stale: Whether the rate was too old to charge by.
    """
    return account_pb2.Conversion(
        amount=format_minor(minor, rate.currency),
        currency=rate.currency,
        rate=format(rate.value, "f"),
        source=rate.source,
        time=timestamp(rate.as_of),
        stale=stale,
    )


class _Follow(TypedDict):
    effective_time: Timestamp | None
    reversed_amount: str
    reversals: Iterable[str]


def entry(line: Line) -> account_pb2.Entry:
    own, movement = line
    currency = movement.currency_of(own.account_id)
    return account_pb2.Entry(
        sequence=own.sequence,
        movement=str(own.movement_id),
        kind=account_pb2.MovementKind.ValueType(own.kind),
        amount=format_minor(own.amount_minor, currency),
        currency=currency,
        balance_after=format_minor(own.balance_after_minor, currency),
        counterparty=str(own.counterparty_id),
        description=movement.description,
        metadata=movement.metadata or None,
        principal=shown_name(movement.principal),
        date=timestamp(own.created_at),
        effective_time=_effective_time(movement),
        original=str(movement.original_id) if movement.original_id else "",
    )


def _effective_time(movement: Movement) -> Timestamp | None:
    return timestamp(movement.effective_at) if movement.effective_at else None


def _follow(followed: Followed) -> _Follow:
    """What every movement that can be reversed says of itself and of its reversals."""
    movement, reversed_minor, reversals = followed
    reversed_amount = format_minor(reversed_minor, movement.currency) if reversed_minor else ""
    return {
        "effective_time": _effective_time(movement),
        "reversed_amount": reversed_amount,
        "reversals": map(str, reversals),
    }


def _hold_id(movement: Movement) -> str:
    return str(movement.original_id) if movement.original_id else ""


def settlement(kind: type[Settlement], followed: Followed) -> Settlement:
    """A deposit or a withdrawal: their messages have the same fields."""
    movement = followed.movement
    message = kind(
        id=str(movement.movement_id),
        account=str(movement.account_id),
        amount=format_minor(movement.amount_minor, movement.currency),
        currency=movement.currency,
        balance=format_minor(movement.balance_after_minor, movement.currency),
        description=movement.description,
        metadata=movement.metadata or None,
        source=movement.source or "",
        reference=movement.reference or "",
        principal=movement.principal,
        date=timestamp(movement.created_at),
        **_follow(followed),
    )
    if isinstance(message, withdrawal_pb2.Withdrawal):
        message.hold = _hold_id(movement)
    return message


def transfer(followed: Followed, *, for_sender: bool) -> transfer_pb2.Transfer:
    """A transfer; only its sender sees the sender's balance."""
    movement = followed.movement
    balance = format_minor(movement.balance_after_minor, movement.currency) if for_sender else ""
    received_amount, received_currency = _received(movement)
    return transfer_pb2.Transfer(
        id=str(movement.movement_id),
        from_account=str(movement.from_account_id),
        to_account=str(movement.to_account_id),
        amount=format_minor(movement.amount_minor, movement.currency),
        currency=movement.currency,
        balance=balance,
        description=movement.description,
        metadata=movement.metadata or None,
        principal=movement.principal,
        date=timestamp(movement.created_at),
        quote=str(movement.quote_id or ""),
        received_amount=received_amount,
        received_currency=received_currency,
        rate=rate(movement.rate) if movement.rate else None,
        hold=_hold_id(movement),
        **_follow(followed),
    )


def split(done: Sequence[Done], parts: Sequence[Part]) -> transfer_pb2.CreateSplitResponse:
    """The transfers of a split, each with what of the remainder is in it."""
    currency, room = done[0].movement.currency, AnswerRoom()
    return transfer_pb2.CreateSplitResponse(
        parts=[
            transfer_pb2.SplitPart(
                transfer=room.fit(transfer(Followed(made.movement), for_sender=True)),
                remainder=format_minor(part.remainder_minor, currency)
                if part.remainder_minor
                else "",
            )
            for made, part in zip(done, parts, strict=True)
        ],
        remainder=format_minor(sum(part.remainder_minor for part in parts), currency),
    )


def exchange(followed: Followed) -> exchange_pb2.Exchange:
    movement = followed.movement
    to_amount, to_currency = _received(movement)
    return exchange_pb2.Exchange(
        id=str(movement.movement_id),
        quote=str(movement.quote_id),
        from_account=str(movement.from_account_id),
        from_amount=format_minor(movement.amount_minor, movement.currency),
        from_currency=movement.currency,
        to_account=str(movement.to_account_id),
        to_amount=to_amount,
        to_currency=to_currency,
        rate=rate(movement.rate) if movement.rate else None,
        balance=format_minor(movement.balance_after_minor, movement.currency),
        description=movement.description,
        metadata=movement.metadata,
        principal=movement.principal,
        date=timestamp(movement.created_at),
        **_follow(followed),
    )


def _received(movement: Movement) -> tuple[str, str]:
    """What a movement by quote gave its receiver, or its reversal takes; empty of others."""
    minor, currency = movement.price_minor, movement.price_currency
    if movement.kind not in BETWEEN_USERS or minor is None or currency is None:
        return "", ""
    return format_minor(minor, currency), currency


def rate(used: Rate, *, stale: bool = False) -> rate_pb2.Rate:
    return rate_pb2.Rate(
        from_currency=used.currency,
        to_currency=used.target,
        value=format(used.value, "f"),
        source=used.source,
        time=timestamp(used.as_of),
        stale=stale,
    )


def movement(made: Movement) -> movement_pb2.Movement:
    """A movement of any kind."""
    received_amount, received_currency = _received(made)
    return movement_pb2.Movement(
        id=str(made.movement_id),
        kind=account_pb2.MovementKind.ValueType(made.kind),
        from_account=str(made.from_account_id),
        to_account=str(made.to_account_id),
        amount=format_minor(made.amount_minor, made.currency),
        currency=made.currency,
        received_amount=received_amount,
        received_currency=received_currency,
        description=made.description,
        metadata=made.metadata,
        source=made.source or "",
        reference=made.reference or "",
        principal=shown_name(made.principal),
        date=timestamp(made.created_at),
        effective_time=_effective_time(made),
        original=str(made.original_id) if made.original_id else "",
    )


def quote(agreed: Quote) -> exchange_pb2.Quote:
    return exchange_pb2.Quote(
        id=str(agreed.quote_id),
        from_account=str(agreed.account_id),
        from_amount=str(agreed.paid),
        from_currency=agreed.paid.currency,
        to_amount=str(agreed.received),
        to_currency=agreed.received.currency,
        rate=rate(agreed.rate),
        rounding=exchange_pb2.Rounding.ValueType(agreed.rounding),
        principal=agreed.principal,
        create_time=timestamp(agreed.created_at),
        expire_time=timestamp(agreed.expires_at),
    )


def purchase(followed: Followed, *, already_purchased: bool = False) -> purchase_pb2.Purchase:
    movement = followed.movement
    return purchase_pb2.Purchase(
        id=str(movement.movement_id),
        account=str(movement.account_id),
        service=str(movement.service_id),
        amount=format_minor(movement.amount_minor, movement.currency),
        currency=movement.currency,
        conversion=_price(movement),
        balance=format_minor(movement.balance_after_minor, movement.currency),
        description=movement.description,
        metadata=movement.metadata or None,
        principal=movement.principal,
        date=timestamp(movement.created_at),
        already_purchased=already_purchased,
        quantity=movement.quantity or 1,
        hold=_hold_id(movement),
        **_follow(followed),
    )


def _price(movement: Movement) -> account_pb2.Conversion | None:
    """The price, or the part of it that a movement is about, and its rate if it has one."""
    if movement.rate is None or movement.price_minor is None or movement.kind in BETWEEN_USERS:
        return None
    return conversion(movement.price_minor, movement.rate)


def reversal(movement: Movement, *, for_account: bool = True) -> reversal_pb2.Reversal:
    """A reversal; only the owner of the account that pays or is paid sees its balance."""
    paying_in = movement.kind in PAYING_IN
    currency = movement.currency_of(movement.account_id)
    balance = format_minor(movement.balance_after_minor, currency) if for_account else ""
    returned_amount, returned_currency = _received(movement)
    return reversal_pb2.Reversal(
        id=str(movement.movement_id),
        kind=account_pb2.MovementKind.ValueType(movement.kind),
        original=str(movement.original_id),
        account=str(movement.account_id),
        counterparty=str(movement.from_account_id if paying_in else movement.to_account_id),
        amount=format_minor(movement.amount_minor, movement.currency),
        currency=movement.currency,
        conversion=_price(movement),
        returned_amount=returned_amount,
        returned_currency=returned_currency,
        rate=rate(movement.rate) if movement.rate and returned_currency else None,
        balance=balance,
        reason=movement.description,
        metadata=movement.metadata,
        principal=shown_name(movement.principal),
        date=timestamp(movement.created_at),
        effective_time=_effective_time(movement),
    )


def hold(placed: Movement, left: Hold, captures: Iterable[UUID] = ()) -> hold_pb2.Hold:
    """A hold.

    Args:
        placed: The movement that made it.
        left: What is left of it.
        captures: The movements by which it was captured.
    """
    kind = held_for(placed)
    return hold_pb2.Hold(
        id=str(placed.movement_id),
        account=str(placed.from_account_id),
        kind=account_pb2.MovementKind.ValueType(kind),
        to_account=str(placed.to_account_id) if kind == Kind.TRANSFER else "",
        service=str(placed.service_id) if placed.service_id else "",
        amount=format_minor(placed.amount_minor, placed.currency),
        currency=placed.currency,
        conversion=_price(placed),
        left=format_minor(left.left_minor, placed.currency),
        captured=format_minor(left.captured_minor, placed.currency),
        status=hold_pb2.HoldStatus.ValueType(left.status),
        expire_time=timestamp(left.expires_at),
        captures=map(str, captures),
        description=placed.description,
        metadata=placed.metadata,
        principal=placed.principal,
        date=timestamp(placed.created_at),
    )


def capture(movement: Movement) -> hold_pb2.Capture:
    return hold_pb2.Capture(
        id=str(movement.movement_id),
        hold=_hold_id(movement),
        kind=account_pb2.MovementKind.ValueType(movement.kind),
        account=str(movement.account_id),
        amount=format_minor(movement.amount_minor, movement.currency),
        currency=movement.currency,
        balance=format_minor(movement.balance_after_minor, movement.currency),
        final=movement.final,
        description=movement.description,
        metadata=movement.metadata,
        principal=movement.principal,
        date=timestamp(movement.created_at),
        effective_time=_effective_time(movement),
    )


def service(offer: Service) -> purchase_pb2.Service:
    return purchase_pb2.Service(
        id=str(offer.service_id),
        name=offer.name,
        description=offer.description,
        price=format_minor(offer.price.minor, offer.price.currency),
        currency=offer.price.currency,
        create_time=timestamp(offer.created_at),
        update_time=timestamp(offer.updated_at),
        etag=str(offer.version),
        repeatable=offer.repeatable,
    )
