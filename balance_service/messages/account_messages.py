"""Accounts, and what operators changed on them, to messages of the contract."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from balance_service._generated.balance.v1 import account_pb2
from balance_service.domain.account_changes import AccountChange, Rules
from balance_service.domain.accounts import AccountProfile
from balance_service.domain.limits import Allowance
from balance_service.domain.money import MINOR_MAX, convert_minor, format_minor
from balance_service.domain.pricing import Shown
from balance_service.messages.convert import conversion, timestamp


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


def account_message(
    profile: AccountProfile,
    allowance: Allowance,
    target: str = "",
    shown: Shown | None = None,
    *,
    in_full: bool = False,
) -> account_pb2.Account:
    """An account as it is now: in another currency if that is asked for and can be.

    Args:
        profile: The account.
        allowance: What may be debited from it today.
        target: The currency asked for; empty for the account's own.
        shown: The rate from its own currency to that one; None if none is known.
        in_full: Whether what its owner is not told is told, too.
    """
    own = profile.merged
    minors = {
        "balance": own.balance_minor,
        "limit": own.limit_minor,
        "held": own.held_minor,
        "available": own.available_minor,
        "debit_limit": allowance.debit_minor,
        "daily_limit": allowance.daily_minor,
        "spent_today": allowance.spent_minor,
        "left_today": allowance.left_minor,
    }
    known = {name: minor for name, minor in minors.items() if minor is not None}
    message = _message(profile, known, target, shown)
    message.status = account_pb2.AccountStatus.ValueType(own.status)
    message.debit_limit_is_own = own.debit_limit_minor is not None
    message.daily_limit_is_own = own.daily_limit_minor is not None
    message.etag = own.etag
    message.day_end.CopyFrom(timestamp(allowance.day.end))
    if in_full and own.sub_account_count:
        message.sub_accounts = own.sub_account_count
    return message


def past_account_message(
    profile: AccountProfile, past: tuple[datetime, int], target: str, shown: Shown | None
) -> account_pb2.Account:
    """An account as it was.

    Args:
        profile: The account.
        past: A moment, and the balance in minor units that the account had then.
        target: As for `account_message`.
        shown: As for `account_message`.
    """
    moment, balance_minor = past
    message = _message(profile, {"balance": balance_minor}, target, shown)
    message.as_of.CopyFrom(timestamp(moment))
    return message


def _message(
    profile: AccountProfile, minors: Mapping[str, int], target: str, shown: Shown | None
) -> account_pb2.Account:
    own = profile.account
    amounts = _Amounts(own.currency, minors)
    if target not in ("", own.currency):
        amounts = _converted(amounts, target, shown)
    message = account_pb2.Account(
        id=str(own.account_id),
        number=str(profile.number),
        user=str(own.owner_id),
        currency=amounts.currency,
        date=timestamp(profile.created_at),
        conversion=amounts.conversion,
        conversion_obstacle=amounts.obstacle,
    )
    for name, minor in amounts.minors.items():
        setattr(message, name, format_minor(minor, amounts.currency))
    return message


def change_message(
    change: AccountChange, profile: AccountProfile, *, in_full: bool
) -> account_pb2.AccountChange:
    """A change that an operator made.

    Args:
        change: The change.
        profile: The account that it was made to.
        in_full: Whether who made it and why is told, too.
    """
    currency = profile.account.currency
    return account_pb2.AccountChange(
        id=str(change.change_id),
        account=str(change.account_id),
        kind=account_pb2.AccountChangeKind.ValueType(change.kind),
        before=_rules(change.before, currency),
        after=_rules(change.after, currency),
        reason=change.reason if in_full else "",
        principal=change.principal if in_full else "",
        date=timestamp(change.created_at),
    )


def _rules(rules: Rules, currency: str) -> account_pb2.AccountRules:
    own = {"debit_limit": rules.debit_limit_minor, "daily_limit": rules.daily_limit_minor}
    message = account_pb2.AccountRules(
        status=account_pb2.AccountStatus.ValueType(rules.status),
        overdraft=format_minor(rules.limit_minor, currency),
    )
    for name, minor in own.items():
        if minor is not None:
            setattr(message, name, format_minor(minor, currency))
    return message


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
