"""Domain objects to messages of the contract."""

import functools
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from balance_service._generated.balance.v1 import (
    account_pb2,
    auth_pb2,
    deposit_pb2,
    exchange_pb2,
    purchase_pb2,
    rate_pb2,
    transfer_pb2,
    user_pb2,
    withdrawal_pb2,
)
from balance_service.auth.keys import Jwk
from balance_service.auth.tokens import IssuedToken
from balance_service.domain.accounts import AccountProfile
from balance_service.domain.catalogue import Service
from balance_service.domain.money import MINOR_MAX, convert_minor, format_minor
from balance_service.domain.movements import Entry, Movement
from balance_service.domain.pricing import Rate, Shown
from balance_service.domain.quotes import Quote
from balance_service.domain.users import User

Settlement = TypeVar("Settlement", deposit_pb2.Deposit, withdrawal_pb2.Withdrawal)


# All movements of a commit have one date, so that its callers are answered with one message.
@functools.lru_cache(maxsize=64)
def timestamp(moment: datetime) -> Timestamp:
    """A moment as a message. It is cached and shared: never mutate it."""
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def token(issued: IssuedToken) -> auth_pb2.Token:
    refresh_expires_at = issued.refresh_expires_at
    return auth_pb2.Token(
        token=issued.access_token,
        token_type="Bearer",  # noqa: S106 - RFC 6750's name for the kind of token
        expire_time=timestamp(issued.expires_at),
        refresh_token=issued.refresh_token,
        refresh_expire_time=timestamp(refresh_expires_at) if refresh_expires_at else None,
        expires_in_seconds=int(issued.life.total_seconds()),
    )


def jwks(keys: Iterable[Jwk]) -> auth_pb2.Jwks:
    return auth_pb2.Jwks(keys=[auth_pb2.Jwk(**key._asdict()) for key in keys])


def user(profile: User) -> user_pb2.User:
    return user_pb2.User(
        id=str(profile.user_id),
        email=profile.email,
        username=profile.username,
        first_name=profile.first_name,
        last_name=profile.last_name,
        bio=profile.bio,
        role=user_pb2.Role.ValueType(profile.role),
        create_time=timestamp(profile.created_at),
        update_time=timestamp(profile.updated_at),
        etag=str(profile.version),
    )


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


class _Amounts(NamedTuple):
    """An account's amounts, in one currency.

    Args:
        currency: The currency.
        minors: Minor units, by the message's field.
        conversion: How they were converted, if they were.
        obstacle: Why they could not be converted to the currency asked for.
    """

    currency: str
    minors: Mapping[str, int]
    conversion: account_pb2.Conversion | None = None
    obstacle: account_pb2.ConversionObstacle.ValueType | None = None


def account(
    profile: AccountProfile,
    target: str = "",
    shown: Shown | None = None,
    past: tuple[datetime, int] | None = None,
) -> account_pb2.Account:
    """An account as its owner sees it: in another currency if that is asked for and can be.

    Args:
        profile: The account.
        target: The currency asked for; empty for the account's own.
        shown: The rate from its own currency to that one; None if none is known.
        past: A moment, and the balance in minor units that the account had then; None for now.
    """
    own = profile.account
    minors = {
        "balance": own.balance_minor,
        "limit": own.limit_minor,
        "held": own.held_minor,
        "available": own.available_minor,
    }
    if past:
        minors = {"balance": past[1]}
    amounts = _Amounts(own.currency, minors)
    if target not in ("", own.currency):
        amounts = _converted(amounts, target, shown)
    return account_pb2.Account(
        id=str(own.account_id),
        number=str(profile.number),
        user=str(own.owner_id),
        currency=amounts.currency,
        **{name: format_minor(minor, amounts.currency) for name, minor in amounts.minors.items()},
        status=account_pb2.AccountStatus.ValueType(0 if past else own.status),
        date=timestamp(profile.created_at),
        conversion=amounts.conversion,
        conversion_obstacle=amounts.obstacle,
        as_of=timestamp(past[0]) if past else None,
    )


def _converted(own: _Amounts, target: str, shown: Shown | None) -> _Amounts:
    """The amounts in another currency, or as they are with what stands in the way.

    Args:
        own: The amounts in the account's own currency.
        target: The other currency.
        shown: The rate between them; None if none is known.
    """
    if shown is None and any(own.minors.values()):
        return own._replace(obstacle=account_pb2.CONVERSION_OBSTACLE_RATE_UNAVAILABLE)
    # An account without money needs no rate: nothing is nothing in every currency.
    rate = shown.rate.value if shown else Decimal(0)
    minors = {
        name: convert_minor(minor, own.currency, target, rate) for name, minor in own.minors.items()
    }
    if any(abs(minor) > MINOR_MAX for minor in minors.values()):
        return own._replace(obstacle=account_pb2.CONVERSION_OBSTACLE_AMOUNT_TOO_LARGE)
    if shown:
        converted = conversion(own.minors["balance"], shown.rate, stale=shown.stale)
    else:
        zero = format_minor(0, own.currency)
        converted = account_pb2.Conversion(amount=zero, currency=own.currency)
    return _Amounts(target, minors, converted)


def entry(line: Entry, movement: Movement, currency: str) -> account_pb2.Entry:
    return account_pb2.Entry(
        sequence=line.sequence,
        movement=str(line.movement_id),
        kind=account_pb2.MovementKind.ValueType(line.kind),
        amount=format_minor(line.amount_minor, currency),
        currency=currency,
        balance_after=format_minor(line.balance_after_minor, currency),
        counterparty=str(line.counterparty_id),
        description=movement.description,
        metadata=movement.metadata,
        principal=movement.principal,
        date=timestamp(line.created_at),
    )


def settlement(kind: type[Settlement], movement: Movement) -> Settlement:
    """A deposit or a withdrawal: their messages have the same fields."""
    return kind(
        id=str(movement.movement_id),
        account=str(movement.account_id),
        amount=format_minor(movement.amount_minor, movement.currency),
        currency=movement.currency,
        balance=format_minor(movement.balance_after_minor, movement.currency),
        description=movement.description,
        metadata=movement.metadata,
        source=movement.source or "",
        reference=movement.reference or "",
        principal=movement.principal,
        date=timestamp(movement.created_at),
    )


def transfer(movement: Movement, *, for_sender: bool) -> transfer_pb2.Transfer:
    """A transfer; only its sender sees the sender's balance."""
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
        metadata=movement.metadata,
        principal=movement.principal,
        date=timestamp(movement.created_at),
        quote=str(movement.quote_id or ""),
        received_amount=received_amount,
        received_currency=received_currency,
        rate=rate(movement.rate) if movement.rate else None,
    )


def exchange(movement: Movement) -> exchange_pb2.Exchange:
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
    )


def _received(movement: Movement) -> tuple[str, str]:
    """The amount and currency that a movement by quote gave its receiver; empty without a quote."""
    minor, currency = movement.price_minor, movement.price_currency
    if movement.quote_id is None or minor is None or currency is None:
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


def purchase(movement: Movement, *, already_purchased: bool = False) -> purchase_pb2.Purchase:
    price_rate, price_minor = movement.rate, movement.price_minor
    return purchase_pb2.Purchase(
        id=str(movement.movement_id),
        account=str(movement.account_id),
        service=str(movement.service_id),
        amount=format_minor(movement.amount_minor, movement.currency),
        currency=movement.currency,
        conversion=conversion(price_minor, price_rate) if price_rate and price_minor else None,
        balance=format_minor(movement.balance_after_minor, movement.currency),
        description=movement.description,
        metadata=movement.metadata,
        principal=movement.principal,
        date=timestamp(movement.created_at),
        already_purchased=already_purchased,
        quantity=movement.quantity or 1,
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
