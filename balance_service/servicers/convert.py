"""Domain objects to messages of the contract."""

import functools
from datetime import datetime
from typing import TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from balance_service._generated.balance.v1 import (
    account_pb2,
    auth_pb2,
    deposit_pb2,
    purchase_pb2,
    transfer_pb2,
    user_pb2,
    withdrawal_pb2,
)
from balance_service.auth.tokens import IssuedToken
from balance_service.domain.accounts import AccountProfile
from balance_service.domain.catalogue import Service
from balance_service.domain.money import convert_minor, format_minor
from balance_service.domain.movements import Entry, Movement
from balance_service.domain.pricing import Rate
from balance_service.domain.users import User

Settlement = TypeVar("Settlement", deposit_pb2.Deposit, withdrawal_pb2.Withdrawal)


@functools.lru_cache(maxsize=64)
def timestamp(moment: datetime) -> Timestamp:
    """A moment, to be copied and not changed: what one commit wrote shares one."""
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


def user(found: User) -> user_pb2.User:
    return user_pb2.User(
        id=str(found.user_id),
        email=found.email,
        username=found.username,
        first_name=found.first_name,
        last_name=found.last_name,
        bio=found.bio,
        role=user_pb2.Role.ValueType(found.role),
        create_time=timestamp(found.created_at),
        update_time=timestamp(found.updated_at),
        etag=str(found.version),
    )


def conversion(minor: int, rate: Rate) -> account_pb2.Conversion:
    """How an amount was converted.

    Args:
        minor: Minor units of the rate's currency, before conversion.
        rate: What converted them.
    """
    return account_pb2.Conversion(
        amount=format_minor(minor, rate.currency),
        currency=rate.currency,
        rate=format(rate.value, "f"),
        source=rate.source,
        time=timestamp(rate.as_of),
    )


def account(
    profile: AccountProfile,
    rate: Rate | None = None,
    past: tuple[datetime, int] | None = None,
) -> account_pb2.Account:
    """An account as its owner sees it.

    Args:
        profile: The account.
        rate: What converts its amounts; None shows its own currency.
        past: A moment, and the balance in minor units that it had then.
    """
    found = profile.account
    currency = rate.target if rate else found.currency

    def shown(minor: int) -> str:
        if rate:
            minor = convert_minor(minor, rate.currency, rate.target, rate.value)
        return format_minor(minor, currency)

    balance_minor = past[1] if past else found.balance_minor
    return account_pb2.Account(
        id=str(found.account_id),
        number=str(profile.number),
        user=str(found.owner_id),
        currency=currency,
        balance=shown(balance_minor),
        held="" if past else shown(found.held_minor),
        available="" if past else shown(found.available_minor),
        limit=shown(found.limit_minor),
        status=account_pb2.AccountStatus.ValueType(found.status),
        date=timestamp(profile.created_at),
        conversion=conversion(balance_minor, rate) if rate else None,
        as_of=timestamp(past[0]) if past else None,
    )


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
    """A deposit or a withdrawal, which read the same."""
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
    )


def purchase(movement: Movement, *, already_purchased: bool = False) -> purchase_pb2.Purchase:
    rate, price_minor = movement.rate, movement.price_minor
    return purchase_pb2.Purchase(
        id=str(movement.movement_id),
        account=str(movement.account_id),
        service=str(movement.service_id),
        amount=format_minor(movement.amount_minor, movement.currency),
        currency=movement.currency,
        conversion=conversion(price_minor, rate) if rate and price_minor else None,
        balance=format_minor(movement.balance_after_minor, movement.currency),
        description=movement.description,
        metadata=movement.metadata,
        principal=movement.principal,
        date=timestamp(movement.created_at),
        already_purchased=already_purchased,
    )


def service(found: Service) -> purchase_pb2.Service:
    return purchase_pb2.Service(
        id=str(found.service_id),
        name=found.name,
        description=found.description,
        price=format_minor(found.price.minor, found.price.currency),
        currency=found.price.currency,
        create_time=timestamp(found.created_at),
        update_time=timestamp(found.updated_at),
        etag=str(found.version),
    )
