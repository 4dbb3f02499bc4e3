"""Operations that carry out quotes: exchanges, and transfers from one currency to another."""

from typing import Any

from balance_service.domain import commands
from balance_service.domain.commands import Origin
from balance_service.domain.money import Money
from tests.long.model import Ask, Books
from tests.long.rules import Refused, Row, check_debit, check_funds, check_open
from tests.long.world import World


def check_quote(books: Books, ask: Ask) -> Row:
    """The quote, if its asker asks for it."""
    quoted = books.quotes[ask.quote]
    if quoted["principal"] != ask.principal:
        raise Refused("QuoteNotFound")
    return quoted


def check_usable(books: Books, ask: Ask) -> None:
    if ask.quote in books.uses:
        raise Refused("QuoteUsed")
    if books.now >= books.quotes[ask.quote]["expires"]:
        raise Refused("QuoteExpired")


def carry_out(books: Books, ask: Ask, kind: str, to: Any, owner: Any = None) -> Row:
    """What comes of a quote once it may be used."""
    quoted = books.quotes[ask.quote]
    payer = quoted["account"]
    row, amount, price = books.accounts[payer], quoted["amount"], quoted["price"]
    check_funds(row, amount)
    check_debit(row, amount, books.spent(payer))
    books.receiver(ask, to, price["amount"], price["currency"], owner=owner)
    books.exchange(payer, to, quoted, debit=True)
    books.put(books.uses, ask.quote, ask.id)
    shown = {name: quoted[name] for name in ("amount", "currency", "price", "worth")}
    return books.record(ask, kind, payer, to=to, quote=ask.quote, **shown)


class Exchange:
    def draw(self, world: World) -> dict[str, Any] | None:
        quote = world.quote()
        if quote is None:
            return None
        quoted = world.books.quotes[quote]
        owner = world.books.accounts[quoted["account"]]["owner"]
        # A stranger's at times, who must not get it.
        to = world.receiver(quoted["price"]["currency"], owner, 0.95)
        return {"quote": quote, "_to": to}

    def command(self, world: World, ask: Ask, origin: Origin) -> commands.Exchange:
        return commands.Exchange(origin, world.quotes[ask.quote], ask._to)

    def predict(self, books: Books, ask: Ask) -> Row:
        quoted = check_quote(books, ask)
        row = books.account(ask, quoted["account"])
        if quoted["account"] == ask._to:
            raise Refused("SameAccount")
        check_open(row)
        check_usable(books, ask)
        return carry_out(books, ask, "exchange", ask._to, row["owner"])


class QuotedTransfer:
    def draw(self, world: World) -> dict[str, Any] | None:
        quote, rng = world.quote(), world.rng
        if quote is None:
            return None
        quoted = world.books.quotes[quote]
        owner = world.books.accounts[quoted["account"]]["owner"]
        wrong = rng.random()
        return {
            "quote": quote,
            "account": world.account() if wrong < 0.04 else quoted["account"],
            "to": world.receiver(quoted["price"]["currency"], owner, 0.1),
            "amount": quoted["amount"] + (0.04 <= wrong < 0.08),
            "currency": "JPY" if 0.08 <= wrong < 0.1 else quoted["currency"],
        }

    def command(self, world: World, ask: Ask, origin: Origin) -> commands.Transfer:
        money = Money(ask.amount, ask.currency)
        return commands.Transfer(origin, ask.account, ask.to, money, world.quotes[ask.quote])

    def predict(self, books: Books, ask: Ask) -> Row:
        quoted = check_quote(books, ask)
        row = books.account(ask, ask.account)
        if ask.account == ask.to:
            raise Refused("SameAccount")
        check_open(row)
        if any(getattr(ask, name) != quoted[name] for name in ("account", "amount", "currency")):
            raise Refused("QuoteMismatch")
        check_usable(books, ask)
        return carry_out(books, ask, "transfer", ask.to)
