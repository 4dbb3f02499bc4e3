"""Every kind of operation: how it is drawn, what command it is, and what must come of it.

To add a kind, add its class here or beside, and a line in KINDS.
"""

from datetime import timedelta
from typing import Any

from balance_service.domain import follow_up_commands
from balance_service.domain.commands import Origin
from balance_service.domain.money import Money
from balance_service.domain.movements import Kind
from balance_service.domain.requests import Command
from tests.long.model import Ask, Books
from tests.long.plain_kinds import PURPOSES, Purchase, Settle
from tests.long.quote_kinds import Exchange, QuotedTransfer
from tests.long.rules import (
    Refused,
    Row,
    check_funds,
    check_open,
    check_receives,
    check_room,
    part,
    price_part,
)
from tests.long.world import Operation, World


class Place:
    """A hold for any of the purposes."""

    def draw(self, world: World) -> dict[str, Any]:
        purpose = world.rng.choice(list(PURPOSES))
        hours = world.rng.choice([1, 5, 100, 100, 100, 0])
        expires = world.books.now + timedelta(hours=hours)
        return {**PURPOSES[purpose].draw(world), "purpose": purpose, "expires": expires}

    def command(self, world: World, ask: Ask, origin: Origin) -> Command:
        intended = PURPOSES[ask.purpose].command(world, ask, origin)
        return follow_up_commands.Place(intended, ask.expires)

    def predict(self, books: Books, ask: Ask) -> Row:
        more: Row = {"status": "open", "left": 0, "expires": ask.expires}
        purpose = PURPOSES[ask.purpose]
        if isinstance(purpose, Purchase):
            if ask.quantity == 1 and not ask._repeatable:
                books.any_account(ask.account, ask.owner)
                if books.in_force(ask.account, ask.service):
                    raise Refused("AlreadyPurchased")
            cost, price = purpose.check(books, ask)
            row = purpose.record(books, ask, "hold", cost, price, **more)
        else:
            purpose.check(books, ask)
            row = purpose.record(books, ask, "hold", **more)
        if books.now >= ask.expires:
            raise Refused("HoldExpired")
        books.change(books.movements, ask.id, left=row["amount"])
        books.reserve(ask.account, row["amount"])
        return books.movements[ask.id]


class Capture:
    def draw(self, world: World) -> dict[str, Any] | None:
        hold = world.movement("hold")
        if hold is None:
            return None
        amount = world.part(hold, world.books.movements[hold]["left"])
        return {"hold": hold, "amount": amount, "_keep": world.rng.random() < 0.5}

    def command(self, world: World, ask: Ask, origin: Origin) -> Command:
        hold = world.made[ask.hold]
        money = ask.amount and Money(ask.amount, hold.currency)
        return follow_up_commands.Capture(origin, hold, money, keep_rest=ask._keep)

    def predict(self, books: Books, ask: Ask) -> Row:
        hold = books.hold(ask.hold)
        user, purpose, currency = hold["user"], hold["purpose"], hold["currency"]
        check_open(books.account(ask, user))
        books.check_hold_open(hold)
        amount = ask.amount or hold["left"]
        if amount > hold["left"]:
            raise Refused("CaptureTooLarge")
        once = purpose == "purchase" and not hold["repeatable"]
        bought = once and books.in_force(user, hold["service"])
        if bought and books.movements[bought].get("original") != ask.hold:
            raise Refused("AlreadyPurchased")
        if purpose == "transfer":
            books.receiver(ask, hold["to"], amount, currency)
        price = {**hold["price"], "amount": price_part(hold, amount)}
        if purpose == "purchase":
            books.sell(user, amount, currency, price, debit=True)
            books.buy(ask.id, user, hold["service"], repeatable=hold["repeatable"])
        else:
            books.move(user, -amount, debit=True)
            books.move(hold["to"] if purpose == "transfer" else ("settlement", currency), amount)
        left = hold["left"] - amount if ask._keep else 0
        books.reserve(user, left - hold["left"])
        books.follow(ask.hold, ask.id, amount, price["amount"])
        status = "open" if left else "captured"
        books.change(books.movements, ask.hold, left=left, status=status)
        more = {name: hold[name] for name in ("to", "service") if name in hold}
        return books.record(
            ask,
            purpose,
            user,
            amount=amount,
            currency=currency,
            price=price,
            original=ask.hold,
            final=not left,
            **more,
        )


class Release:
    """A void, or an expiry."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    def draw(self, world: World) -> dict[str, Any] | None:
        hold = world.movement("hold")
        return {"hold": hold} if hold else None

    def command(self, world: World, ask: Ask, origin: Origin) -> Command:
        return follow_up_commands.Release(origin, world.made[ask.hold], self.kind)

    def predict(self, books: Books, ask: Ask) -> Row:
        hold, expiring = books.hold(ask.hold), self.kind == Kind.EXPIRY
        books.account(ask, hold["user"])
        if expiring and books.now < hold["expires"]:
            raise Refused("HoldClosed")
        books.check_hold_open(hold, expiring=expiring)
        books.reserve(hold["user"], -hold["left"])
        status = "expired" if expiring else "voided"
        books.change(books.movements, ask.hold, left=0, status=status)
        return books.record(
            ask,
            self.kind.name.lower(),
            hold["user"],
            amount=hold["left"],
            currency=hold["currency"],
            original=ask.hold,
        )


REVERSIBLE = ("deposit", "withdrawal", "transfer", "purchase", "exchange")


class Reverse:
    def draw(self, world: World) -> dict[str, Any] | None:
        # What was changed into another currency has the most to go wrong.
        changed = world.rng.random() < 0.25 and world.movement("exchange")
        original = changed or world.movement(*REVERSIBLE)
        if original is None:
            return None
        row = world.books.movements[original]
        amount = world.part(original, row["amount"] - row["followed"])
        quoted = world.books.quotes.get(row["quote"]) if "quote" in row else None
        return {
            "original": original,
            "amount": amount,
            "_forced": world.rng.random() < 0.3,
            "_until": quoted["expires"] if quoted and world.rng.random() < 0.5 else None,
        }

    def command(self, world: World, ask: Ask, origin: Origin) -> Command:
        original = world.made[ask.original]
        money = ask.amount and Money(ask.amount, original.currency)
        return follow_up_commands.Reverse(
            origin, original, money, forced=ask._forced, until=ask._until
        )

    def predict(self, books: Books, ask: Ask) -> Row:
        original = books.movements[ask.original]
        kind, currency = original["kind"], original["currency"]
        sent, paying_in = kind in {"transfer", "exchange"}, kind in {"withdrawal", "purchase"}
        about = original["to"] if sent else original["user"]
        row = books.account(ask, about)
        if paying_in or ask._forced:
            check_receives(row, forced=ask._forced)
        else:
            check_open(row)
        if ask._until and books.now >= ask._until:
            raise Refused("QuoteExpired")
        left = original["amount"] - original["followed"]
        amount = ask.amount or left
        if not 0 < amount <= left:
            raise Refused("ReversalTooLarge")
        price = {**original["price"], "amount": price_part(original, amount)}
        quoted = "quote" in original
        if paying_in:
            check_room(row, amount)
        else:
            check_funds(row, price["amount"] if quoted else amount, overdraft=ask._forced)
        if sent:
            books.receiver(ask, original["user"], amount, currency, forced=ask._forced)
        if quoted:
            worth = part(original["worth"], original, amount)
            negative = {**price, "amount": -price["amount"]}
            sides = {"amount": -amount, "currency": currency, "price": negative, "worth": -worth}
            books.exchange(original["user"], about, sides)
        elif kind == "purchase":
            books.sell(about, -amount, currency, {**price, "amount": -price["amount"]})
        else:
            gains = amount if paying_in else -amount
            books.move(about, gains)
            books.move(original["user"] if sent else ("settlement", currency), -gains)
        books.follow(ask.original, ask.id, amount, price["amount"])
        return books.record(
            ask,
            "refund" if kind == "purchase" else f"{kind}_reversal",
            about,
            amount=amount,
            currency=currency,
            price=price,
            original=ask.original,
        )


# Each with how often it is drawn.
KINDS: dict[str, tuple[Operation, int]] = {
    "deposit": (Settle(Kind.DEPOSIT), 14),
    "withdrawal": (PURPOSES["withdrawal"], 8),
    "transfer": (PURPOSES["transfer"], 14),
    "purchase": (PURPOSES["purchase"], 14),
    "hold": (Place(), 16),
    "capture": (Capture(), 20),
    "release": (Release(Kind.RELEASE), 4),
    "expiry": (Release(Kind.EXPIRY), 5),
    "reversal": (Reverse(), 16),
    "exchange": (Exchange(), 8),
    "quoted transfer": (QuotedTransfer(), 8),
}
