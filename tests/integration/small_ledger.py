"""A ledger with a little of everything, for what must hold of any."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from balance_service.database import pool as pools
from balance_service.database.pool import Pool
from balance_service.domain import ids, quotes
from balance_service.domain.catalogue import Service
from balance_service.domain.commands import Exchange, Origin, Purchase, Settle, Transfer
from balance_service.domain.follow_up_commands import Capture, Place, Release, Reverse
from balance_service.domain.money import Money
from balance_service.domain.movements import Kind, Movement
from balance_service.domain.pricing import Quotation, Rates, RateSheet
from balance_service.domain.quotes import Quote
from balance_service.domain.requests import Command, Request
from balance_service.domain.state import Done, State
from balance_service.repositories import accounts, catalogue, system_accounts
from balance_service.repositories import quotes as stored_quotes
from balance_service.repositories.journal import Journal
from tests.commits import commit

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HALVES = {"USD": 2, "JPY": 1, "BHD": 7, "EUR": 3}
SHEET = RateSheet(
    "cbr",
    "RUB",
    NOW,
    {code: Quotation(Decimal(1), Decimal(value)) for code, value in HALVES.items()},
)
RATES = Rates((SHEET,), lambda as_of: as_of + timedelta(days=36_500))


async def carry_out(pool: Pool, *commands: Command) -> list[Done]:
    answers = await commit(pool, *[Request((command,)) for command in commands])
    outcomes = [answer[0] for answer in answers]
    assert all(isinstance(outcome, Done) for outcome in outcomes), outcomes
    return [outcome for outcome in outcomes if isinstance(outcome, Done)]


async def opened(pool: Pool, *currencies: str) -> list[UUID]:
    async with pools.transaction(pool) as conn:
        return [(await accounts.open_account(conn, ids.new_id(), c))[0] for c in currencies]


async def opened_for_one(pool: Pool, *currencies: str) -> list[UUID]:
    """Opens accounts of one owner."""
    owner = ids.new_id()
    async with pools.transaction(pool) as conn:
        return [(await accounts.open_account(conn, owner, c))[0] for c in currencies]


async def quoted(pool: Pool, account: UUID, fixed: Money, *pair: str) -> Quote:
    """Makes a quote at the rates of these tests."""
    rate = RATES.rate(pair[0], pair[1], NOW)
    paid, received, rounding = quotes.price(fixed, rate, account)
    now = datetime.now(UTC)
    life = timedelta(minutes=1)
    quote = Quote(
        ids.new_id(), by().principal, account, paid, received, rate, rounding, now, now + life
    )
    async with pool.connection() as conn:
        assert await stored_quotes.insert(conn, quote)
    return quote


async def for_sale(pool: Pool, *prices: Money) -> list[UUID]:
    found = [Service(ids.new_id(), "Coffee", "", price, 1, NOW, NOW) for price in prices]
    async with pools.transaction(pool) as conn:
        for service in found:
            await catalogue.insert(conn, service)
    return [service.service_id for service in found]


def by(request_id: UUID | None = None, effective_at: datetime | None = None) -> Origin:
    return Origin(
        principal="service:билинг",
        request_id=request_id,
        description="Why",
        metadata={"a": "b"},
        effective_at=effective_at,
    )


async def made(pool: Pool, *commands: Command) -> list[Movement]:
    return [done.movement for done in await carry_out(pool, *commands)]


async def history(pool: Pool) -> None:
    """A little of everything, on accounts with and without entries, rolled up and not."""
    anna, boris, _ = await opened(pool, "RUB", "RUB", "EUR")
    prices = Money(500, "RUB"), Money(300, "USD"), Money(701, "USD")
    services = await for_sale(pool, *prices)
    rubles = Money(10_000, "RUB")
    deposits = await made(
        pool,
        Settle(by(ids.new_id()), Kind.DEPOSIT, anna, rubles),
        Settle(by(uuid4()), Kind.DEPOSIT, boris, rubles, "stripe", "ch_1"),
    )
    async with pools.transaction(pool) as conn:
        await system_accounts.roll_up(conn, 100)
    movements = await made(
        pool,
        Settle(by(), Kind.WITHDRAWAL, anna, Money(100, "RUB"), "bank", "po_1"),
        Transfer(by(uuid4()), anna, boris, Money(250, "RUB")),
        Transfer(by(), boris, anna, Money(7, "RUB")),
        Purchase(by(ids.new_id()), anna, services[0], prices[0], RATES),
        Purchase(by(ids.new_id()), boris, services[1], prices[1], RATES),
        Settle(by(effective_at=NOW), Kind.DEPOSIT, anna, Money(33, "RUB")),
    )
    await made(pool, *(Reverse(by(), deposit, Money(11, "RUB")) for deposit in deposits))
    await reversals(pool, *movements)
    await holds(pool, anna, boris, services[2], prices[2])
    await made(
        pool, Purchase(by(), boris, services[0], prices[0], RATES, repeatable=True, quantity=3)
    )
    await exchanges(pool, boris)


async def exchanges(pool: Pool, boris: UUID) -> None:
    """Quotes that are carried out, and taken back in parts. Of the first, a cent goes to the
    rounding account; its second part takes nothing from who received.
    """
    vera, veras_dollars = await opened_for_one(pool, "RUB", "USD")
    await made(pool, Settle(by(), Kind.DEPOSIT, vera, Money(1_000, "RUB")))
    to_dollars = await quoted(pool, vera, Money(303, "RUB"), "RUB", "USD")
    from_dollars = await quoted(pool, veras_dollars, Money(1, "RUB"), "USD", "RUB")
    for_vera = await quoted(pool, boris, Money(33, "USD"), "RUB", "USD")
    (changed,) = await made(pool, Exchange(by(), to_dollars, veras_dollars))
    back, sent = await made(
        pool,
        Exchange(by(ids.new_id()), from_dollars, vera),
        Transfer(by(), boris, veras_dollars, for_vera.paid, for_vera),
    )
    await made(
        pool,
        Reverse(by(), changed, Money(3, "RUB")),
        Reverse(by(), changed, Money(1, "RUB")),
        Reverse(by(ids.new_id()), changed, Money(101, "RUB")),
        Reverse(by(), back),
        Reverse(by(effective_at=NOW), sent, Money(33, "RUB")),
        Reverse(by(), sent),
    )


async def reversals(pool: Pool, *movements: Movement) -> None:
    """Takes back all of them, in two parts each, and buys one service again."""
    for movement in movements:
        third = Money(movement.amount_minor // 3, movement.currency)
        await made(pool, Reverse(by(ids.new_id()), movement, third), Reverse(by(), movement))
    bought = next(m for m in movements if m.kind == Kind.PURCHASE and m.rate is None)
    assert bought.service_id
    price = Money(bought.amount_minor, "RUB")
    await made(pool, Purchase(by(), bought.from_account_id, bought.service_id, price, RATES))


async def holds(pool: Pool, anna: UUID, boris: UUID, service_id: UUID, price: Money) -> None:
    """One of each kind in each state."""
    soon, sometime = datetime.now(UTC) + timedelta(days=1), datetime.now(UTC) + timedelta(days=9)
    out = Settle(by(effective_at=NOW), Kind.WITHDRAWAL, anna, Money(303, "RUB"), "bank", "po_2")
    send = Transfer(by(), anna, boris, Money(77, "RUB"))
    buy = Purchase(by(ids.new_id()), boris, service_id, price, RATES)
    open_, captured, closed, voided, bought, _, lapsed = await made(
        pool,
        Place(out, sometime),
        Place(Transfer(by(), anna, boris, Money(171, "RUB")), sometime),
        Place(Transfer(by(), boris, anna, Money(55, "RUB")), sometime),
        Place(Settle(by(), Kind.WITHDRAWAL, boris, Money(42, "RUB")), sometime),
        Place(buy, sometime),
        Place(Purchase(by(), anna, service_id, price, RATES), sometime),
        Place(send, soon),
    )
    part, last, _, _, _, sold, *_ = await made(
        pool,
        Capture(by(), captured, Money(100, "RUB"), keep_rest=True),
        Capture(by(ids.new_id()), captured),
        Capture(by(), closed, Money(12, "RUB")),
        Capture(by(), open_, Money(3, "RUB"), keep_rest=True),
        Capture(by(), voided, Money(2, "RUB"), keep_rest=True),
        Capture(by(), bought, Money(1_000, "RUB"), keep_rest=True),
        Capture(by(effective_at=NOW), bought, Money(301, "RUB"), keep_rest=True),
        Release(by(ids.new_id()), voided),
    )
    await made(pool, Reverse(by(), part, Money(1, "RUB")), Reverse(by(), last), Reverse(by(), sold))
    with pytest.MonkeyPatch.context() as patched:
        move_on(patched, timedelta(days=2))
        await made(pool, Release(by(), lapsed, Kind.EXPIRY))


def move_on(monkeypatch: pytest.MonkeyPatch, ahead: timedelta) -> None:
    """Has commits take place later than they do."""
    real = Journal.load

    async def load(journal: Journal, *arguments: Any) -> tuple[State, datetime]:
        state, now = await real(journal, *arguments)
        return state, now + ahead

    monkeypatch.setattr(Journal, "load", load)
