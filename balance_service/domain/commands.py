"""What can be asked of the ledger. A command is valid by itself; `ledger.plan` decides the rest."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from balance_service.domain import errors, ids
from balance_service.domain.accounts import SystemAccount, SystemRole
from balance_service.domain.money import Money
from balance_service.domain.movements import Kind, Movement
from balance_service.domain.pricing import Rates


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
        movement_id: Follows from principal and request id.
    """

    principal: str
    owner_id: UUID | None = None
    reads_all: bool = False
    request_id: UUID | None = None
    request_text: str = ""
    description: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    movement_id: UUID = field(init=False)

    def __post_init__(self) -> None:
        derived = self.request_id and ids.derived_id(self.principal, self.request_id)
        object.__setattr__(self, "movement_id", derived or ids.new_id())

    def differences(self, movement: Movement) -> list[str]:
        """The fields in which a movement's request differs from this one."""
        pairs = {
            "description": (self.description, movement.description),
            "metadata": (dict(self.metadata), dict(movement.metadata)),
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
        if movement.kind != self.kind:
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
    """Move money from one account to another."""

    origin: Origin
    from_account_id: UUID
    to_account_id: UUID
    money: Money

    @property
    def account_ids(self) -> tuple[UUID, ...]:
        return (self.from_account_id, self.to_account_id)

    def differences(self, movement: Movement) -> list[str]:
        if movement.kind != Kind.TRANSFER:
            return ["method"]
        pairs = {
            "from_account": (self.from_account_id, movement.from_account_id),
            "to_account": (self.to_account_id, movement.to_account_id),
            "amount": (self.money.minor, movement.amount_minor),
            "currency": (self.money.currency, movement.currency),
        }
        differing = [name for name, (ours, theirs) in pairs.items() if ours != theirs]
        return differing + self.origin.differences(movement)


@dataclass(frozen=True, slots=True)
class Purchase:
    """Buy a catalogue service, once per account and service.

    Args:
        service_id: What is bought.
        price: Its price now, in any currency; None if it has left the catalogue, which a repeated
            request does not mind.
        rates: What converts the price to the account's currency.
    """

    origin: Origin
    account_id: UUID
    service_id: UUID
    price: Money | None
    rates: Rates

    @property
    def account_ids(self) -> tuple[UUID, ...]:
        return (self.account_id,)

    def differences(self, movement: Movement) -> list[str]:
        if movement.kind != Kind.PURCHASE:
            return ["method"]
        pairs = {
            "account": (self.account_id, movement.account_id),
            "service": (self.service_id, movement.service_id),
            "metadata": (dict(self.origin.metadata), dict(movement.metadata)),
        }
        return [name for name, (ours, theirs) in pairs.items() if ours != theirs]


Command = Settle | Transfer | Purchase


@dataclass(frozen=True, slots=True)
class Request:
    """What one call asks of the ledger: decided and answered together.

    Args:
        items: Commands in order, each decided after those before it. What could not be read keeps
            its place as the refusal that it got.
        all_or_nothing: Whether one refusal refuses all.
    """

    items: tuple[Command | errors.Refusal, ...]
    all_or_nothing: bool = False

    @property
    def commands(self) -> Iterator[Command]:
        """The items that can be carried out."""
        return (item for item in self.items if not isinstance(item, errors.Refusal))
