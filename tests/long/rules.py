"""What the model allows and how it rounds: rules over its plain rows."""

import math
from collections.abc import Iterator
from datetime import timedelta, timezone
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

Row = dict[str, Any]

MAX = 9_223_372_036_854_775_807
ACTIVE, FROZEN, CLOSED, DEBITS_FROZEN = 1, 2, 3, 4
DECIMALS = {"RUB": 2, "USD": 2, "JPY": 0}
# Roubles for a unit: awkward, so that parts of converted prices do not come out even.
ROUBLES = {"RUB": Decimal(1), "USD": Decimal("78.9937"), "JPY": Decimal("0.5273")}
# What the service is configured with: the most at once, in a day of the zone, and below zero.
DEBIT_MAX = {"RUB": 60_000}
DAILY_MAX = {"RUB": 150_000, "JPY": 90_000}
OVERDRAFT_MAX = {"RUB": 1_500, "USD": 10_000}
ZONE = timezone(timedelta(hours=3))


class Refused(Exception):  # noqa: N818 - as the service's refusals are named
    """A refusal, by the name of its class."""


def chains(count: int, linked: frozenset[int], *, together: bool) -> Iterator[list[int]]:
    """The places of a request's items that stand or fall together."""
    chain: list[int] = []
    for place in range(count):
        chain.append(place)
        goes_on = together or place in linked
        if not goes_on or place == count - 1:
            yield chain
            chain = []


def etag(row: Row) -> str:
    names = ("sequence", "held", "limit", "status", "debit_limit", "daily_limit")
    return ".".join("" if row[name] is None else str(row[name]) for name in names)


def check_open(row: Row) -> None:
    """For what pays."""
    check_receives(row)
    if row["status"] == DEBITS_FROZEN:
        raise Refused("AccountFrozen")


def check_receives(row: Row, *, forced: bool = False) -> None:
    if row["status"] == CLOSED:
        raise Refused("AccountClosed")
    if row["status"] == FROZEN and not forced:
        raise Refused("AccountFrozen")


def check_room(row: Row, amount: int) -> None:
    if row["balance"] + amount > MAX:
        raise Refused("BalanceOverflow")


def check_funds(row: Row, amount: int, *, overdraft: bool = True) -> None:
    reach = row["limit"] if overdraft else 0
    if amount > row["balance"] - row["held"] + reach:
        raise Refused("InsufficientFunds")


def check_debit(row: Row, amount: int, spent: int) -> None:
    """Whether a debit is allowed beside what was debited today, and what open holds reserve."""
    once, daily = row["debit_limit"], row["daily_limit"]
    once = DEBIT_MAX.get(row["currency"]) if once is None else once
    daily = DAILY_MAX.get(row["currency"]) if daily is None else daily
    if once is not None and amount > once:
        raise Refused("DebitLimitExceeded")
    if daily is not None and spent + row["held"] + amount > daily:
        raise Refused("DailyLimitExceeded")


def exact(amount: int, currency: str, target: str) -> Fraction:
    """What an amount is worth in another currency, at a rate of twelve digits."""
    with localcontext(prec=12):
        rate = ROUBLES[currency] / ROUBLES[target]
    units = Fraction(amount, 10 ** DECIMALS[currency])
    return units * Fraction(rate) * Fraction(10) ** DECIMALS[target]


def charge(amount: int, currency: str, target: str) -> int:
    """What a price costs in another currency, half to even."""
    if currency == target:
        return amount
    cost: int = round(exact(amount, currency, target))
    if cost < 1:
        raise Refused("ChargeTooSmall")
    return cost


def quote(amount: int, currency: str, target: str, *, paid: bool) -> Row:
    """What is paid and received where one of the two is fixed, against the customer.

    Args:
        amount: What is fixed.
        currency: What is paid in.
        target: What is received in.
        paid: Whether what is paid is fixed.
    """
    if paid:
        pays, gets = amount, math.floor(exact(amount, currency, target))
    else:
        pays, gets = math.ceil(amount / exact(1, currency, target)), amount
    if gets < 1:
        raise Refused("ChargeTooSmall")
    worth = round(exact(pays, currency, target))
    return {
        "amount": pays,
        "currency": currency,
        "price": {"amount": gets, "currency": target},
        "worth": worth,
    }


def part(whole: int, row: Row, amount: int, *, up: bool = False) -> int:
    """What a part of a movement's amount has of something, after the parts before."""

    def until(taken: int) -> int:
        share = Fraction(whole * taken, row["amount"])
        return math.ceil(share) if up else round(share)

    return until(row["followed"] + amount) - until(row["followed"])


def price_part(row: Row, amount: int) -> int:
    """What a part of a movement's amount has of its price; nothing in one currency."""
    price = row["price"]
    if price["currency"] == row["currency"]:
        return 0
    return part(price["amount"], row, amount, up="quote" in row)
