"""Operations that refer to no other: deposits, withdrawals, transfers and purchases."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from balance_service.domain import commands
from balance_service.domain.commands import Origin
from balance_service.domain.money import Money
from balance_service.domain.movements import Kind
from balance_service.domain.pricing import Quotation, Rates, RateSheet
from tests.long.model import (
    ROUBLES,
    Ask,
    Books,
    Refused,
    Row,
    charge,
    check_funds,
    check_open,
    check_room,
)
from tests.long.world import World

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
RATES = Rates(
    (
        RateSheet(
            "static",
            "RUB",
            EPOCH,
            {c: Quotation(Decimal(1), v) for c, v in ROUBLES.items() if c != "RUB"},
            expires=False,
        ),
    ),
    lambda as_of: as_of,
)


class Settle:
    """A deposit or a withdrawal."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    def draw(self, world: World) -> dict[str, Any]:
        account = world.account()
        currency = world.books.accounts[account]["currency"]
        reference = world.rng.choice([None] * 9 + [str(world.rng.randint(1, 400))])
        wrong = world.rng.random() < 0.03
        return {
            "account": account,
            "amount": world.amount(),
            "currency": "JPY" if wrong else currency,
            "reference": reference,
        }

    def command(self, world: World, ask: Ask, origin: Origin) -> commands.Settle:
        money = Money(ask.amount, ask.currency)
        source = ask.reference and "bank"
        return commands.Settle(origin, self.kind, ask.account, money, source, ask.reference)

    def check(self, books: Books, ask: Ask) -> None:
        row = books.account(ask, ask.account)
        check_open(row)
        if row["currency"] != ask.currency:
            raise Refused("CurrencyMismatch")
        if ask.reference and ("bank", ask.reference) in books.references:
            raise Refused("ReferenceReused")
        if self.kind == Kind.DEPOSIT:
            check_room(row, ask.amount)
        else:
            check_funds(row, ask.amount)

    def predict(self, books: Books, ask: Ask) -> Row:
        self.check(books, ask)
        signed = ask.amount if self.kind == Kind.DEPOSIT else -ask.amount
        books.move(ask.account, signed)
        books.move(("settlement", ask.currency), -signed)
        return self.record(books, ask, self.kind.name.lower())

    def record(self, books: Books, ask: Ask, kind: str, **more: Any) -> Row:
        if ask.reference:
            books.put(books.references, ("bank", ask.reference), ask.id)
        same = {"currency": ask.currency, "amount": ask.amount}
        more |= {"price": same, "purpose": self.kind.name.lower()}
        return books.record(ask, kind, ask.account, **same, **more)


class Transfer:
    def draw(self, world: World) -> dict[str, Any]:
        sender, receiver = world.account(), world.account()
        if world.rng.random() < 0.8:
            currency = world.books.accounts[sender]["currency"]
            same = [a for a, r in world.books.accounts.items() if r["currency"] == currency]
            receiver = world.rng.choice(same)
        currency = world.books.accounts[sender]["currency"]
        return {
            "account": sender,
            "to": receiver,
            "amount": world.amount(),
            "currency": currency,
        }

    def command(self, world: World, ask: Ask, origin: Origin) -> commands.Transfer:
        return commands.Transfer(origin, ask.account, ask.to, Money(ask.amount, ask.currency))

    def check(self, books: Books, ask: Ask) -> None:
        row = books.account(ask, ask.account)
        if ask.account == ask.to:
            raise Refused("SameAccount")
        check_open(row)
        if row["currency"] != ask.currency:
            raise Refused("CurrencyMismatch")
        check_funds(row, ask.amount)
        books.receiver(ask, ask.to, ask.amount, ask.currency)

    def predict(self, books: Books, ask: Ask) -> Row:
        self.check(books, ask)
        books.move(ask.account, -ask.amount)
        books.move(ask.to, ask.amount)
        return self.record(books, ask, "transfer")

    def record(self, books: Books, ask: Ask, kind: str, **more: Any) -> Row:
        same = {"currency": ask.currency, "amount": ask.amount}
        more |= {"price": same, "to": ask.to, "purpose": "transfer"}
        return books.record(ask, kind, ask.account, **same, **more)


class Purchase:
    def draw(self, world: World) -> dict[str, Any]:
        service = world.rng.choice(list(world.services))
        price = world.services[service]
        gone = world.rng.random() < 0.03
        return {
            "account": world.account(),
            "service": service,
            "_price": None if gone else price,
        }

    def command(self, world: World, ask: Ask, origin: Origin) -> commands.Purchase:
        price = ask._price and Money(ask._price["amount"], ask._price["currency"])
        return commands.Purchase(origin, ask.account, ask.service, price, RATES)

    def check(self, books: Books, ask: Ask) -> int:
        row = books.account(ask, ask.account)
        check_open(row)
        if ask._price is None:
            raise Refused("ServiceNotFound")
        cost = charge(ask._price["amount"], ask._price["currency"], row["currency"])
        check_funds(row, cost)
        return cost

    def predict(self, books: Books, ask: Ask) -> Row:
        row = books.accounts.get(ask.account)
        bought = books.in_force(ask.account, ask.service)
        if bought and row and ask.owner in (None, row["owner"]):
            return {**books.movements[bought], "how": "already purchased", "id": bought}
        cost = self.check(books, ask)
        books.sell(ask.account, cost, books.accounts[ask.account]["currency"], ask._price)
        books.put(
            books.bought,
            (ask.account, ask.service),
            (*books.bought.get((ask.account, ask.service), ()), ask.id),
        )
        return self.record(books, ask, "purchase", cost)

    def record(self, books: Books, ask: Ask, kind: str, cost: int, **more: Any) -> Row:
        currency = books.accounts[ask.account]["currency"]
        more |= {"price": ask._price, "purpose": "purchase"}
        return books.record(
            ask, kind, ask.account, currency=currency, amount=cost, service=ask.service, **more
        )


PURCHASE = Purchase()
PURPOSES: dict[str, Settle | Transfer | Purchase] = {
    "withdrawal": Settle(Kind.WITHDRAWAL),
    "transfer": Transfer(),
    "purchase": PURCHASE,
}
