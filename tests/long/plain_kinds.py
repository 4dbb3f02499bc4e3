"""Operations that refer to no other: deposits, withdrawals, transfers and purchases."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from balance_service.domain import commands
from balance_service.domain.commands import Origin
from balance_service.domain.money import Money
from balance_service.domain.movements import Kind
from balance_service.domain.pricing import Quotation, Rates, RateSheet
from tests.long.model import Ask, Books
from tests.long.rules import (
    ROUBLES,
    Refused,
    Row,
    charge,
    check_debit,
    check_funds,
    check_open,
    check_receives,
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
        amount = world.amount(account)
        return {
            "account": account,
            # Less comes in than is asked to go out, so that accounts run short and empty.
            "amount": min(amount, 9_000) if self.kind == Kind.DEPOSIT else amount,
            "currency": "JPY" if wrong else currency,
            "reference": reference,
        }

    def command(self, world: World, ask: Ask, origin: Origin) -> commands.Settle:
        money = Money(ask.amount, ask.currency)
        source = ask.reference and "bank"
        return commands.Settle(origin, self.kind, ask.account, money, source, ask.reference)

    def check(self, books: Books, ask: Ask) -> None:
        row = books.account(ask, ask.account)
        if self.kind == Kind.DEPOSIT:
            check_receives(row)
        else:
            check_open(row)
        if row["currency"] != ask.currency:
            raise Refused("CurrencyMismatch")
        if ask.reference and ("bank", ask.reference) in books.references:
            raise Refused("ReferenceReused")
        if self.kind == Kind.DEPOSIT:
            check_room(row, ask.amount)
        else:
            check_funds(row, ask.amount)
            check_debit(row, ask.amount, books.spent(ask.account))

    def predict(self, books: Books, ask: Ask) -> Row:
        self.check(books, ask)
        signed = ask.amount if self.kind == Kind.DEPOSIT else -ask.amount
        books.move(ask.account, signed, debit=True)
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
            "amount": world.amount(sender),
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
        check_debit(row, ask.amount, books.spent(ask.account))
        books.receiver(ask, ask.to, ask.amount, ask.currency)

    def predict(self, books: Books, ask: Ask) -> Row:
        self.check(books, ask)
        books.move(ask.account, -ask.amount, debit=True)
        books.move(ask.to, ask.amount)
        return self.record(books, ask, "transfer")

    def record(self, books: Books, ask: Ask, kind: str, **more: Any) -> Row:
        same = {"currency": ask.currency, "amount": ask.amount}
        more |= {"price": same, "to": ask.to, "purpose": "transfer"}
        return books.record(ask, kind, ask.account, **same, **more)


class Purchase:
    def draw(self, world: World) -> dict[str, Any]:
        rng = world.rng
        service = rng.choice(list(world.services))
        sold = world.services[service]
        repeatable = sold["repeatable"]
        many = rng.random() < (0.7 if repeatable else 0.03)
        expected = rng.choice([None] * 12 + [sold["amount"]] * 2 + [sold["amount"] + 1])
        return {
            "account": world.account(),
            "service": service,
            "quantity": rng.randint(2, 5) if many else 1,
            "_sold": None if rng.random() < 0.03 else sold,
            "_repeatable": repeatable,
            "_expected": expected and Money(expected, sold["currency"]),
        }

    def command(self, world: World, ask: Ask, origin: Origin) -> commands.Purchase:
        price = ask._sold and Money(ask._sold["amount"], ask._sold["currency"])
        return commands.Purchase(
            origin,
            ask.account,
            ask.service,
            price,
            RATES,
            repeatable=ask._repeatable,
            quantity=ask.quantity,
            expected_price=ask._expected,
        )

    def price(self, ask: Ask) -> Row:
        """The price of all that is bought."""
        if ask._sold is None:
            raise Refused("ServiceNotFound")
        if ask._expected and ask._expected.minor != ask._sold["amount"]:
            raise Refused("PriceChanged")
        if ask.quantity > 1 and not ask._repeatable:
            raise Refused("InvalidFields")
        return {"amount": ask._sold["amount"] * ask.quantity, "currency": ask._sold["currency"]}

    def check(self, books: Books, ask: Ask) -> tuple[int, Row]:
        """What is charged, and the price."""
        row = books.account(ask, ask.account)
        check_open(row)
        price = self.price(ask)
        cost = charge(price["amount"], price["currency"], row["currency"])
        check_funds(row, cost)
        check_debit(row, cost, books.spent(ask.account))
        return cost, price

    def predict(self, books: Books, ask: Ask) -> Row:
        row = books.accounts.get(ask.account)
        once = ask.quantity == 1 and not ask._repeatable
        bought = once and books.in_force(ask.account, ask.service)
        if bought and row and ask.owner in (None, row["owner"]):
            return {**books.movements[bought], "how": "already purchased", "id": bought}
        cost, price = self.check(books, ask)
        books.sell(ask.account, cost, books.accounts[ask.account]["currency"], price, debit=True)
        books.buy(ask.id, ask.account, ask.service, repeatable=ask._repeatable)
        return self.record(books, ask, "purchase", cost, price)

    def record(self, books: Books, ask: Ask, kind: str, cost: int, price: Row, **more: Any) -> Row:
        currency = books.accounts[ask.account]["currency"]
        more |= {"price": price, "purpose": "purchase", "repeatable": ask._repeatable}
        return books.record(
            ask, kind, ask.account, currency=currency, amount=cost, service=ask.service, **more
        )


PURCHASE = Purchase()
PURPOSES: dict[str, Settle | Transfer | Purchase] = {
    "withdrawal": Settle(Kind.WITHDRAWAL),
    "transfer": Transfer(),
    "purchase": PURCHASE,
}
