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


class Movement(NamedTuple):
    """One journal transaction: a change of money, whole, with who, why and when.

    Args:
        movement_id: Its id, derived from principal and request id where one was sent.
        kind: What moved the money.
        from_account_id: Where the money came from: a user's or a system account.
        to_account_id: Where it went.
        amount_minor: How much, above zero, in minor units of the currency.
        currency: ISO 4217 code of the user's account.
        balance_after_minor: The user's balance after it; of a transfer, the sender's.
        principal: Who asked for it: `user:<id>` or `service:<client id>`.
        request_id: The request id they sent, if any.
        description: The caller's reason, for the statement.
        metadata: What the caller attached to it.
        created_at: When it was posted; never earlier than the last entry of an account it touches.
        source: The outside system that `reference` belongs to.
        reference: The outside system's id.
        service_id: The catalogue service that was bought.
        price_minor: Its price, in minor units of the rate's currency; set with `rate`.
        rate: What turned the price into the amount, where their currencies differ.
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


class Line(NamedTuple):
    """An entry with the movement it belongs to."""

    entry: Entry
    movement: Movement


class SystemEntry(NamedTuple):
    """One side of a movement on a system account, which has no locked state and so no sequence."""

    movement_id: UUID
    account_id: UUID
    amount_minor: int
    created_at: datetime
