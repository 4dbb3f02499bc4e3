"""Commands that move money by themselves. A command is valid by itself; `ledger.plan` decides the
rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from balance_service.domain import errors, ids
from balance_service.domain.accounts import SystemAccount, SystemRole
from balance_service.domain.audit import Actor
from balance_service.domain.money import Money
from balance_service.domain.movements import Kind, Movement
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
        operator: Who asks with an admin's rights, for the audit log; None for others.
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
    operator: Actor | None = None
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
        changed: Whether the service is no longer as the caller read it: a condition, too.
    """

    origin: Origin
    account_id: UUID
    service_id: UUID
    price: Money | None
    rates: Rates
    repeatable: bool = False
    quantity: int = 1
    expected_price: Money | None = None
    changed: bool = False

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
            EtagMismatch: It has changed since the caller read it.
            PriceChanged: It is not the price that the caller expects.
            InvalidFields: Several are asked for, and an account buys only one.
        """
        if self.price is None:
            raise errors.ServiceNotFound(str(self.service_id))
        if self.changed:
            raise errors.EtagMismatch
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
