"""What the journal holds: movements and their entries. Once written, nothing of them changes."""

import enum
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from balance_service.domain.pricing import Rate


class Kind(enum.IntEnum):
    """What moved the money; the numbers are stored and those of the contract."""

    DEPOSIT = 1
    WITHDRAWAL = 2
    PURCHASE = 3
    TRANSFER = 4
    EXCHANGE = 9


class Movement(NamedTuple):
    """One journal transaction: a change of money, whole, with who, why and when.

    Args:
        movement_id: Its id, derived from principal and request id where one was sent.
        kind: What moved the money.
        from_account_id: Where the money came from: a user's or a system account.
        to_account_id: Where it went.
        amount_minor: How much, above zero, in minor units of the currency.
        currency: ISO 4217 code of the user's account.
        balance_after_minor: The user's balance after it; of a transfer or exchange, the payer's.
        principal: Who asked for it: `user:<id>` or `service:<client id>`.
        request_id: The request id they sent, if any.
        description: The caller's reason, for the statement.
        metadata: What the caller attached to it.
        created_at: When it was posted; never earlier than the last entry of an account it touches.
        source: The outside system that `reference` belongs to.
        reference: The outside system's id.
        service_id: The catalogue service that was bought.
        price_minor: What the amount bought in another currency, in minor units of that one: the
            price of all that was bought, or what the receiver gets by a quote; set with `rate`.
        rate: What turned one into the other: a price into the amount, or, by a quote, the amount
            into what the receiver gets.
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
    quote_id: UUID | None = None
    quantity: int | None = None

    @property
    def price_currency(self) -> str | None:
        """The currency of `price_minor`; None without one."""
        if self.rate is None:
            return None
        return self.rate.target if self.quote_id else self.rate.currency

    @property
    def account_id(self) -> UUID:
        """The user's account whose balance `balance_after_minor` is."""
        return self.to_account_id if self.kind == Kind.DEPOSIT else self.from_account_id


class Entry(NamedTuple):
    """One side of a movement on a user's account: a line of its statement.

    Args:
        sequence: Its number on the account: 1, 2, 3 without gaps.
        amount_minor: The change: negative where money left.
        balance_after_minor: The account's balance after it.
    """

    account_id: UUID
    sequence: int
    movement_id: UUID
    kind: Kind
    amount_minor: int
    balance_after_minor: int
    counterparty_id: UUID
    created_at: datetime


class SystemEntry(NamedTuple):
    """One side of a movement on a system account, which has no locked state and so no sequence."""

    movement_id: UUID
    account_id: UUID
    amount_minor: int
    created_at: datetime
