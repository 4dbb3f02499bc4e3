"""Values as programs have them and as the wire does: decimals, money and times."""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, Protocol, TypeAlias

from google.protobuf.timestamp_pb2 import Timestamp

# What an amount may be given as. A float is none of them: 0.1 is no tenth.
Amount: TypeAlias = Decimal | int | str


class HasAmount(Protocol):
    """A message with an amount, such as a deposit, a transfer, a hold or an entry."""

    @property
    def amount(self) -> str: ...

    @property
    def currency(self) -> str: ...


class Money(NamedTuple):
    """An amount of a currency (ISO 4217)."""

    amount: Decimal
    currency: str

    def __str__(self) -> str:
        return f"{self.amount:f} {self.currency}"


class Balance(NamedTuple):
    """What is on an account.

    Args:
        balance: What its entries sum to.
        held: What is reserved of it.
        available: What can be spent, with what the account may owe.
        currency: Of all three.
    """

    balance: Decimal
    held: Decimal
    available: Decimal
    currency: str


def money(message: HasAmount) -> Money:
    """The amount of a message, and its currency."""
    return Money(to_decimal(message.amount), message.currency)


def to_decimal(text: str) -> Decimal:
    """An amount of the wire, exactly; an empty one, where there is nothing to tell, is 0."""
    return Decimal(text or 0)


def to_wire(amount: Amount) -> str:
    """An amount as the wire has it: without an exponent, and with the digits it was given.

    Raises:
        TypeError: It is a float, or no number at all.
        ValueError: It is not finite.
    """
    if isinstance(amount, str):
        return amount
    if isinstance(amount, Decimal):
        if not amount.is_finite():
            raise ValueError(f"an amount must be finite, and {amount} is not")
        return f"{amount:f}"
    # Not isinstance: a bool is an int, too.
    if type(amount) is int:
        return str(amount)
    kind = type(amount).__name__
    hint = f": write Decimal('{amount}')" if kind == "float" else ""
    raise TypeError(f"an amount must be a Decimal, an int or a str, and not a {kind}{hint}")


def to_timestamp(moment: datetime | None) -> Timestamp | None:
    """A time as the wire has it; None stays.

    Raises:
        ValueError: It has no time zone.
    """
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ValueError("a time must have a time zone, such as datetime.now(UTC)")
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp
