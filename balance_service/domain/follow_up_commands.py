"""Commands about an earlier movement: reversals, and holds with what becomes of them."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from balance_service.domain import errors
from balance_service.domain.accounts import SystemAccount, SystemRole
from balance_service.domain.commands import Origin, Purchase, Settle, Transfer
from balance_service.domain.money import Money
from balance_service.domain.movements import PAYING_IN, REVERSALS, Kind, Movement


@dataclass(frozen=True, slots=True)
class Reverse:
    """Take a movement back, or a part of it.

    Args:
        original: The movement, as the journal has it: it never changes.
        money: How much of it, in its currency; None for all that is left.
        forced: Whether the account that pays may go into its overdraft for it, and whether it is
            done though an account is frozen.
        until: From when it is refused; None for never.

    Raises:
        NotReversible: The movement is a hold or a release, which move nothing, or a reversal.
    """

    origin: Origin
    original: Movement
    money: Money | None = None
    forced: bool = False
    until: datetime | None = None

    def __post_init__(self) -> None:
        kind = self.original.kind
        if kind not in REVERSALS:
            raise errors.NotReversible(str(self.original.movement_id), kind.name)

    @property
    def kind(self) -> Kind:
        return REVERSALS[self.original.kind]

    @property
    def payer_id(self) -> UUID | None:
        """The user's account that pays; None where a system account does."""
        return None if self.kind in PAYING_IN else self.original.to_account_id

    @property
    def receiver_id(self) -> UUID | None:
        """The user's account that gets the money; None where a system account does."""
        return None if self.kind == Kind.DEPOSIT_REVERSAL else self.original.from_account_id

    @property
    def account_ids(self) -> tuple[UUID, ...]:
        return tuple(side for side in (self.payer_id, self.receiver_id) if side)

    def differences(self, movement: Movement) -> list[str]:
        if movement.kind != self.kind:
            return ["method"]
        if movement.original_id != self.original.movement_id:
            return [self.original.kind.name.lower()]
        differing = ["amount"] if _asks_other(self.money, movement) else []
        others = self.origin.differences(movement)
        return differing + ["reason" if name == "description" else name for name in others]


@dataclass(frozen=True, slots=True)
class Place:
    """Hold money for a movement that is to come.

    Args:
        purpose: That movement, which is checked as if it were made now: a transfer, a purchase or a
            withdrawal. Its origin is the hold's.
        expires_at: When the hold lapses.
        explicit: Whether the caller said when; otherwise the service did.
    """

    purpose: Transfer | Purchase | Settle
    expires_at: datetime
    explicit: bool = True

    def __post_init__(self) -> None:
        deposit = isinstance(self.purpose, Settle) and self.purpose.kind == Kind.DEPOSIT
        assert not deposit, "a deposit takes nothing that could be held"

    @property
    def origin(self) -> Origin:
        return self.purpose.origin

    @property
    def account_ids(self) -> tuple[UUID, ...]:
        return self.purpose.account_ids

    def differences(self, movement: Movement) -> list[str]:
        if movement.kind != Kind.HOLD:
            return ["method"]
        # What it is held for is told by the movement's sides.
        kind = held_for(movement)
        differing = self.purpose.differences(movement._replace(kind=kind))
        if differing == ["method"]:
            return ["purpose"]
        late = self.explicit and self.expires_at != movement.expires_at
        return differing + ["expire_time"] * late


@dataclass(frozen=True, slots=True)
class Capture:
    """Make the movement that a hold was made for, or a part of it.

    Args:
        hold: The movement that made the hold: it never changes.
        money: How much of it, in its currency; None for all that is left.
        keep_rest: Whether what is then left stays held for another capture.
    """

    origin: Origin
    hold: Movement
    money: Money | None = None
    keep_rest: bool = False

    @property
    def kind(self) -> Kind:
        return held_for(self.hold)

    @property
    def account_ids(self) -> tuple[UUID, ...]:
        sides = (self.hold.from_account_id, self.hold.to_account_id)
        return sides if self.kind == Kind.TRANSFER else sides[:1]

    def differences(self, movement: Movement) -> list[str]:
        if movement.original_id is None or movement.kind != self.kind:
            return ["method"]
        if movement.original_id != self.hold.movement_id:
            return ["hold"]
        differing = ["amount"] if _asks_other(self.money, movement) else []
        if not self.keep_rest and not movement.final:
            differing.append("keep_rest")
        return differing + self.origin.differences(movement)


@dataclass(frozen=True, slots=True)
class Release:
    """Give back what is left of a hold.

    Args:
        hold: The movement that made the hold: it never changes.
        kind: RELEASE, or EXPIRY once its time is over.
    """

    origin: Origin
    hold: Movement
    kind: Kind = Kind.RELEASE

    @property
    def account_ids(self) -> tuple[UUID, ...]:
        return (self.hold.from_account_id,)

    def differences(self, movement: Movement) -> list[str]:
        if movement.kind != self.kind:
            return ["method"]
        if movement.original_id != self.hold.movement_id:
            return ["hold"]
        others = self.origin.differences(movement)
        return ["reason" if name == "description" else name for name in others]


def held_for(hold: Movement) -> Kind:
    """What a capture of a hold is: a purchase, a withdrawal or a transfer."""
    if hold.service_id is not None:
        return Kind.PURCHASE
    outside = SystemAccount(SystemRole.SETTLEMENT, hold.currency)
    return Kind.WITHDRAWAL if hold.to_account_id == outside.account_id else Kind.TRANSFER


def _asks_other(money: Money | None, movement: Movement) -> bool:
    """Whether a request asks for another amount than that by which a movement was made."""
    if money is None or movement.whole:
        return (money is None) != movement.whole
    return (money.minor, money.currency) != (movement.amount_minor, movement.currency)
