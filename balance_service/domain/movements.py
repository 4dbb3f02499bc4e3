"""What the journal holds: movements and their entries. Once written, nothing of them changes."""

import enum
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from balance_service.domain.pricing import Rate


class Kind(enum.IntEnum):
    """What happened to the money; the numbers are stored and those of the contract.

    Three move nothing: a HOLD reserves money for a movement that is to come, a RELEASE or an EXPIRY
    gives back what is left of it.
    """

    DEPOSIT = 1
    WITHDRAWAL = 2
    PURCHASE = 3
    TRANSFER = 4
    DEPOSIT_REVERSAL = 5
    WITHDRAWAL_REVERSAL = 6
    REFUND = 7
    TRANSFER_REVERSAL = 8
    EXCHANGE = 9
    HOLD = 10
    RELEASE = 11
    EXPIRY = 12
    EXCHANGE_REVERSAL = 13


REVERSALS = {
    Kind.DEPOSIT: Kind.DEPOSIT_REVERSAL,
    Kind.WITHDRAWAL: Kind.WITHDRAWAL_REVERSAL,
    Kind.PURCHASE: Kind.REFUND,
    Kind.TRANSFER: Kind.TRANSFER_REVERSAL,
    Kind.EXCHANGE: Kind.EXCHANGE_REVERSAL,
}
MOVING_NOTHING = {Kind.HOLD, Kind.RELEASE, Kind.EXPIRY}
# Their money comes from a system account, and goes to a user's.
PAYING_IN = {Kind.DEPOSIT, Kind.WITHDRAWAL_REVERSAL, Kind.REFUND}
# They are between two users' accounts. With a rate, these are in two currencies.
BETWEEN_USERS = {Kind.TRANSFER, Kind.TRANSFER_REVERSAL, Kind.EXCHANGE, Kind.EXCHANGE_REVERSAL}


class Movement(NamedTuple):
    """One journal transaction: a change of money, whole, with who, why and when.

    Args:
        movement_id: Its id, derived from principal and request id where one was sent.
        kind: What moved the money.
        from_account_id: Where the money came from: a user's or a system account.
        to_account_id: Where it went.
        amount_minor: How much, above zero, in minor units of the currency.
        currency: ISO 4217 code of the user's account; by a quote, and in its reversal, of the
            account that paid for it.
        balance_after_minor: The user's balance after it; between two users, that of the one who
            pays.
        principal: Who asked for it: `user:<id>` or `service:<client id>`.
        request_id: The request id they sent, if any.
        description: The caller's reason, for the statement.
        metadata: What the caller attached to it.
        created_at: When it was posted; never earlier than the last entry of an account it touches.
        source: The outside system that `reference` belongs to.
        reference: The outside system's id.
        service_id: The catalogue service that was bought, or is to be.
        price_minor: What the amount bought in another currency, in minor units of that one: the
            price of all that was bought or the part of it that is meant, or what the receiver gets
            by a quote and gives back in its reversal; set with `rate`.
        rate: What turned one into the other: a price into the amount, or, by a quote, the amount
            into what the receiver gets.
        original_id: The movement that this one reverses, or the hold that it captures or releases.
        whole: Whether it takes all that was left of the original, because no amount was asked for.
        final: Whether the hold that it captures is closed by it.
        expires_at: Of a hold, when it lapses.
        effective_at: The value date, where it is not that of booking.
        quote_id: The quote that it carries out; of a transfer or exchange.
        quantity: How many were bought, of a service that may be bought repeatedly; None for one
            that an account buys once.
    """

    movement_id: UUID
    kind: Kind
    from_account_id: UUID
    to_account_id: UUID
    amount_minor: int
    currency: str
    balance_after_minor: int
    principal: str
    request_id: UUID | None
    description: str
    metadata: Mapping[str, str]
    created_at: datetime
    source: str | None = None
    reference: str | None = None
    service_id: UUID | None = None
    price_minor: int | None = None
    rate: Rate | None = None
    original_id: UUID | None = None
    whole: bool = False
    final: bool = False
    expires_at: datetime | None = None
    effective_at: datetime | None = None
    quote_id: UUID | None = None
    quantity: int | None = None

    @property
    def price_currency(self) -> str | None:
        """The currency of `price_minor`; None without one."""
        if self.rate is None:
            return None
        return self.rate.target if self.kind in BETWEEN_USERS else self.rate.currency

    @property
    def account_id(self) -> UUID:
        """The user's account whose balance `balance_after_minor` is."""
        return self.to_account_id if self.kind in PAYING_IN else self.from_account_id

    def user_sides(self) -> dict[UUID, bool]:
        """The users' accounts that it is told to, and whether the money reached each.

        Only who makes a hold is told of it and of its end.
        """
        left = {} if self.kind in PAYING_IN else {self.from_account_id: False}
        reached = self.kind in PAYING_IN | BETWEEN_USERS
        return left | ({self.to_account_id: True} if reached else {})

    def currency_of(self, account_id: UUID) -> str:
        """The currency of a user's account that it is about."""
        if self.rate is None or self.kind not in BETWEEN_USERS:
            return self.currency
        back = self.kind in REVERSALS.values()
        received_by = self.from_account_id if back else self.to_account_id
        return self.rate.target if account_id == received_by else self.currency


class Followed(NamedTuple):
    """A movement, and what of it was reversed since, or captured if it is a hold.

    Args:
        amount_minor: How much, in minor units.
        movement_ids: By which movements.
    """

    movement: Movement
    amount_minor: int = 0
    movement_ids: Sequence[UUID] = ()


class Entry(NamedTuple):
    """One side of a movement on a user's account: a line of its statement.

    Args:
        sequence: Its number on the account: 1, 2, 3 without gaps.
        amount_minor: The change: negative where money left.
        balance_after_minor: The account's balance after it.
        effective_at: The movement's value date, where it is not that of booking.
    """

    account_id: UUID
    sequence: int
    movement_id: UUID
    kind: Kind
    amount_minor: int
    balance_after_minor: int
    counterparty_id: UUID
    created_at: datetime
    effective_at: datetime | None = None


class Line(NamedTuple):
    """An entry with the movement it belongs to."""

    entry: Entry
    movement: Movement


class Receipt(NamedTuple):
    """An entry on an account that has no number yet.

    Args:
        account_id: The account that received.
        movement_id: By which movement.
        kind: The movement's.
        amount_minor: How much, above zero, in minor units.
        counterparty_id: From which account.
        effective_at: The value date, where it is not that of booking.
    """

    account_id: UUID
    movement_id: UUID
    kind: Kind
    amount_minor: int
    counterparty_id: UUID
    effective_at: datetime | None


class SystemEntry(NamedTuple):
    """One side of a movement on a system account, which has no locked state and so no sequence."""

    movement_id: UUID
    account_id: UUID
    amount_minor: int
    created_at: datetime
