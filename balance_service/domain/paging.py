"""What part of a list is asked for. Tokens that carry it between calls are made elsewhere."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from balance_service.domain.movements import Kind

PAGE_SIZE_DEFAULT = 10
# How many rows a page looks at for those that pass filters: milliseconds, however rare they are.
REACH_MAX = 10_000
PAGE_SIZE_MAX = 1000


class Order(enum.StrEnum):
    """How movements are ordered; the texts are those of `order_by`."""

    DATE = "date"
    DATE_DESC = "date desc"
    AMOUNT = "amount"
    AMOUNT_DESC = "amount desc"

    @property
    def by_date(self) -> bool:
        return self in (Order.DATE, Order.DATE_DESC)

    @property
    def descending(self) -> bool:
        return self in (Order.DATE_DESC, Order.AMOUNT_DESC)


class Direction(enum.IntEnum):
    """Which way the money went, seen from the account; the sign of an entry's amount."""

    OUT = -1
    IN = 1


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries to keep; None does not limit.

    Args:
        start_time: At or after.
        end_time: Before.
        start_effective_time: With a value date at or after.
        end_effective_time: With a value date before.
        amount_minor_min: Of at least this size.
        amount_minor_max: Of at most this size.
        counterparty_id: With this account on the other side.
        kind: Of this kind.
        direction: In or out.
    """

    start_time: datetime | None = None
    end_time: datetime | None = None
    start_effective_time: datetime | None = None
    end_effective_time: datetime | None = None
    amount_minor_min: int | None = None
    amount_minor_max: int | None = None
    counterparty_id: UUID | None = None
    kind: Kind | None = None
    direction: Direction | None = None


class Part(NamedTuple):
    """A part of an account's statement, without gaps.

    Args:
        account_id: The account.
        first: The lowest sequence.
        last: The highest.
    """

    account_id: UUID
    first: int
    last: int

    @property
    def length(self) -> int:
        """How many entries it has."""
        return self.last - self.first + 1


class AmountPosition(NamedTuple):
    """The place after an entry in a list by amount."""

    amount_minor: int
    account_id: UUID
    sequence: int


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page of entries starts.

    By date, each account has a sequence of its own, at which reading goes on; so a page costs the
    same at any depth. Sequences are fixed at the first page, so that entries added later do not
    shift what follows.

    Args:
        ends: For each account, the sequence of the last entry that may still be shown.
        after: For each account, the sequence of the last entry shown; oldest first only.
        passed: How many entries of the list lie beyond the ends: shown before, newest first.
        after_amount: The last entry shown; by amount only.
    """

    ends: Mapping[UUID, int]
    after: Mapping[UUID, int] = field(default_factory=dict)
    passed: int = 0
    after_amount: AmountPosition | None = None
