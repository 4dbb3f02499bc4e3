"""What can be asked of the ledger. A command is valid by itself; `ledger.plan` decides the rest."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from balance_service.domain import errors, ids
from balance_service.domain.accounts import SystemAccount, SystemRole
from balance_service.domain.money import Money
from balance_service.domain.movements import PAYING_IN, REVERSALS, Kind, Movement
from balance_service.domain.pricing import Rates
from balance_service.domain.quotes import Quote


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What every command carries: who asks, why, and under which request id.

    Args:
        principal: `user:<id>` or `service:<client id>`.
        owner_id: The user who must own the account that is changed; None if the caller may change
            any account.
        reads_all: Whether the caller may read every account, and so hear why another's account
            cannot receive.
        request_id: What makes a retry safe; None for a request that is simply new.
        request_text: How the caller spelled it, for a refusal to name it.
        description: The caller's reason, for the statement.
        metadata: A small map of the caller's own.
        etag: What the account that the answer is about must still be like; empty for anything.
        effective_at: The value date; None for that of booking.
        movement_id: Follows from principal and request id.
    """

    principal: str
    owner_id: UUID | None = None
    reads_all: bool = False
    request_id: UUID | None = None
    request_text: str = ""
    description: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    etag: str = ""
    effective_at: datetime | None = None
    movement_id: UUID = field(init=False)

    def __post_init__(self) -> None:
        derived = self.request_id and ids.derived_id(self.principal, self.request_id)
        object.__setattr__(self, "movement_id", derived or ids.new_id())

    def differences(self, movement: Movement) -> list[str]:
        """The fields in which a movement's request differs from this one.

        An etag is no part of a request: it says when to carry it out, and not what.
        """
        pairs = {
            "description": (self.description, movement.description),
            "metadata": (dict(self.metadata), dict(movement.metadata)),
            "effective_time": (self.effective_at, movement.effective_at),
        }
        return [name for name, (ours, theirs) in pairs.items() if ours != theirs]


@dataclass(frozen=True, slots=True)
class Settle:
    """Bring money in from outside (a deposit) or send it there (a withdrawal).

    Args:
        kind: DEPOSIT or WITHDRAWAL.
        source: The outside system that `reference` belongs to; None without a reference.
        reference: The outside system's id, which a principal can use once.
    """

    origin: Origin
    kind: Kind
    account_id: UUID
    money: Money
    source: str | None = None
    reference: str | None = None

    @property
    def settlement(self) -> SystemAccount:
        return SystemAccount(SystemRole.SETTLEMENT, self.money.currency)

    @property
    def account_ids(self) -> tuple[UUID, ...]:
        return (self.account_id,)

    def differences(self, movement: Movement) -> list[str]:
        if movement.kind != self.kind or movement.original_id:
            return ["method"]
        pairs = {
            "account": (self.account_id, movement.account_id),
            "amount": (self.money.minor, movement.amount_minor),
            "currency": (self.money.currency, movement.currency),
            "source": (self.source, movement.source),
            "reference": (self.reference, movement.reference),
        }
        differing = [name for name, (ours, theirs) in pairs.items() if ours != theirs]
        return differing + self.origin.differences(movement)


@dataclass(frozen=True, slots=True)
class Transfer:
    """Move money from one account to another.

    Args:
        money: What the sender pays, and the receiver gets unless there is a quote.
        quote: Says what the receiver gets instead, in another currency.
    """

    origin: Origin
    from_account_id: UUID
    to_account_id: UUID
    money: Money
    quote: Quote | None = None

    @property
    def account_ids(self) -> tuple[UUID, ...]:
        return (self.from_account_id, self.to_account_id)

    def differences(self, movement: Movement) -> list[str]:
        if movement.kind != Kind.TRANSFER or movement.original_id:
            return ["method"]
        pairs = {
            "from_account": (self.from_account_id, movement.from_account_id),
            "to_account": (self.to_account_id, movement.to_account_id),
            "amount": (self.money.minor, movement.amount_minor),
            "currency": (self.money.currency, movement.currency),
            "quote": (self.quote and self.quote.quote_id, movement.quote_id),
        }
        differing = [name for name, (ours, theirs) in pairs.items() if ours != theirs]
        return differing + self.origin.differences(movement)


@dataclass(frozen=True, slots=True)
class Exchange:
    """Carry out a quote between two accounts of one owner.

    Args:
        to_account_id: The account that receives; the quote names the one that pays.
    """

    origin: Origin
    quote: Quote
    to_account_id: UUID

    @property
    def from_account_id(self) -> UUID:
        return self.quote.account_id

    @property
    def money(self) -> Money:
        """What is paid."""
        return self.quote.paid

    @property
    def account_ids(self) -> tuple[UUID, ...]:
        return (self.from_account_id, self.to_account_id)

    def differences(self, movement: Movement) -> list[str]:
        if movement.kind != Kind.EXCHANGE:
            return ["method"]
        differing = ["quote"] if self.quote.quote_id != movement.quote_id else []
        return differing + self.origin.differences(movement)


@dataclass(frozen=True, slots=True)
class Purchase:
    """Buy a catalogue service: once per account, or repeatedly if the service allows it.

    Args:
        service_id: What is bought.
        price: The price of one now, in any currency; None if it has left the catalogue, which a
            repeated request does not mind.
        rates: What converts the price to the account's currency.
        repeatable: Whether the service may be bought repeatedly.
        quantity: How many; more than one of a repeatable service alone.
        expected_price: What the caller believes the price of one to be. It is a condition and no
            part of the request: a repeat need not send the same.
    """

    origin: Origin
    account_id: UUID
    service_id: UUID
    price: Money | None
    rates: Rates
    repeatable: bool = False
    quantity: int = 1
    expected_price: Money | None = None

    @property
    def account_ids(self) -> tuple[UUID, ...]:
        return (self.account_id,)

    @property
    def is_for_one(self) -> bool:
        """Whether it is for one of a service that an account buys once."""
        return not self.repeatable and self.quantity == 1

    def total_price(self) -> Money:
        """The price of all that is bought; its minor units may be beyond int64.

        Raises:
            ServiceNotFound: It is no longer for sale.
            PriceChanged: It is not the price that the caller expects.
            InvalidFields: Several are asked for, and an account buys only one.
        """
        if self.price is None:
            raise errors.ServiceNotFound(str(self.service_id))
        if self.expected_price not in (None, self.price):
            service, price = str(self.service_id), str(self.price)
            raise errors.PriceChanged(service, price, self.price.currency)
        if self.quantity > 1 and not self.repeatable:
            raise errors.invalid("quantity", "must be 1: an account buys this service once")
        return Money(self.price.minor * self.quantity, self.price.currency)

    def differences(self, movement: Movement) -> list[str]:
        if movement.kind != Kind.PURCHASE or movement.original_id:
            return ["method"]
        pairs = {
            "account": (self.account_id, movement.account_id),
            "service": (self.service_id, movement.service_id),
            "quantity": (self.quantity, movement.quantity or 1),
            "metadata": (dict(self.origin.metadata), dict(movement.metadata)),
            "effective_time": (self.origin.effective_at, movement.effective_at),
        }
        return [name for name, (ours, theirs) in pairs.items() if ours != theirs]


@dataclass(frozen=True, slots=True)
class Reverse:
    """Take a movement back, or a part of it.

    Args:
        original: The movement, as the journal has it: it never changes.
        money: How much of it, in its currency; None for all that is left.
        forced: Whether the account that pays may go into its overdraft for it, and whether it is
            done though an account is frozen.

    Raises:
        NotReversible: The movement is a hold or a release, which move nothing, a reversal, or a
            transfer by a quote: its parties agree on a new quote for the way back.
    """

    origin: Origin
    original: Movement
    money: Money | None = None
    forced: bool = False

    def __post_init__(self) -> None:
        kind = self.original.kind
        if kind not in REVERSALS or self.original.quote_id:
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


Command = Settle | Transfer | Exchange | Purchase | Reverse | Place | Capture | Release


@dataclass(frozen=True, slots=True)
class Request:
    """What one call asks of the ledger: decided and answered together.

    Args:
        items: Commands in order, each decided after those before it. What could not be read keeps
            its place as the refusal that it got.
        all_or_nothing: Whether one refusal refuses all.
        linked: The places of items that are carried out only together with the next one, as
            TigerBeetle's linked events are; a chain ends with the first that is not among them.
        validate_only: Whether to answer as if it were carried out, and change nothing.
    """

    items: tuple[Command | errors.Refusal, ...]
    all_or_nothing: bool = False
    linked: frozenset[int] = frozenset()
    validate_only: bool = False

    @property
    def chains(self) -> Iterator[range]:
        """The places of items that stand or fall together, in order."""
        start, last = 0, len(self.items) - 1
        for place in range(len(self.items)):
            if place == last or not (self.all_or_nothing or place in self.linked):
                yield range(start, place + 1)
                start = place + 1

    @property
    def commands(self) -> Iterator[Command]:
        """The items that can be carried out."""
        return (item for item in self.items if not isinstance(item, errors.Refusal))
