"""Money reserved for a movement that is to come: a hold, and what becomes of it.

A hold is the first phase of a movement in two, as TigerBeetle's pending transfers are: it takes
money out of what is available and leaves the balance as it is. A capture makes the movement, or a
part of it; what is not captured is released, by whoever made the hold or when its time is over.
"""

import enum
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from balance_service.domain import errors
from balance_service.domain.money import format_minor
from balance_service.domain.movements import Movement


class HoldStatus(enum.IntEnum):
    """What became of a hold; the numbers are stored and those of the contract."""

    OPEN = 1
    CAPTURED = 2
    VOIDED = 3
    EXPIRED = 4


class Hold(NamedTuple):
    """What is left of a hold. What it was made for stands in its movement, and does not change.

    Args:
        account_id: The account whose money is reserved.
        hold_id: The id of the movement that made it.
        left_minor: What it still reserves, in minor units: nothing unless it is open.
        captured_minor: What was captured of it so far.
        status: What became of it.
        expires_at: When it lapses, unless it is closed before.
        created_at: When it was made.
    """

    account_id: UUID
    hold_id: UUID
    left_minor: int
    captured_minor: int
    status: HoldStatus
    expires_at: datetime
    created_at: datetime

    def captured(self, amount_minor: int, *, keep_rest: bool) -> "Hold":
        """The hold after a capture.

        Args:
            amount_minor: What is captured, at most what is left.
            keep_rest: Whether what is then left stays reserved for another capture.
        """
        left_minor = self.left_minor - amount_minor if keep_rest else 0
        return self._replace(
            left_minor=left_minor,
            captured_minor=self.captured_minor + amount_minor,
            status=HoldStatus.OPEN if left_minor else HoldStatus.CAPTURED,
        )

    def released(self, status: HoldStatus) -> "Hold":
        """The hold once what was left of it is given back: VOIDED or EXPIRED."""
        return self._replace(left_minor=0, status=status)

    def check_open(self, now: datetime | None = None) -> None:
        """Raises HoldClosed or HoldExpired unless it still reserves something.

        Args:
            now: Its time is over at `expires_at`, whether or not anything has noticed yet; None
                for who comes to notice.
        """
        if self.status == HoldStatus.EXPIRED or (
            self.status == HoldStatus.OPEN and now and now >= self.expires_at
        ):
            raise errors.HoldExpired(str(self.hold_id), self.expires_at)
        if self.status != HoldStatus.OPEN:
            raise errors.HoldClosed(str(self.hold_id), self.status.name)

    def check_left(self, amount_minor: int, movement: Movement) -> None:
        """Raises CaptureTooLarge if less than the amount is left.

        Args:
            amount_minor: What is to be captured.
            movement: The movement that made the hold.
        """
        if amount_minor > self.left_minor:
            left = format_minor(self.left_minor, movement.currency)
            raise errors.CaptureTooLarge(str(self.hold_id), left, movement.currency)


def newly_placed(movement: Movement) -> Hold:
    """The hold that a movement makes, before anything is captured of it."""
    assert movement.expires_at is not None, "every hold expires"
    return Hold(
        movement.from_account_id,
        movement.movement_id,
        movement.amount_minor,
        0,
        HoldStatus.OPEN,
        movement.expires_at,
        movement.created_at,
    )
