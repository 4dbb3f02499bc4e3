"""Reports on all accounts together."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from balance_service.domain.movements import Kind


class BalanceThen(NamedTuple):
    """What an account had right after a moment.

    Args:
        account_id: The account.
        number: Its public number.
        owner_id: The user it belongs to.
        currency: Its ISO 4217 code.
        balance_minor: All the money on it, in minor units.
        sequence: The number of its last entry; 0 for none.
    """

    account_id: UUID
    number: int
    owner_id: UUID
    currency: str
    balance_minor: int
    sequence: int


class MovementSearch(NamedTuple):
    """Which movements a list keeps.

    Args:
        start_time: At or after.
        end_time: Before; None for no end.
        kind: Of this kind; None for all that move money.
        currency: In this currency; empty for all.
        amount_min: Of at least this many minor units; None for any.
        amount_max: Of at most this many.
    """

    start_time: datetime
    end_time: datetime | None = None
    kind: Kind | None = None
    currency: str = ""
    amount_min: int | None = None
    amount_max: int | None = None
