"""Quotes: made as the service makes them, and deleted as it deletes them."""

from datetime import UTC, datetime, timedelta

from balance_service.database import pool as pools
from balance_service.database.pool import Pool
from balance_service.domain import errors, ids, quotes
from balance_service.domain.money import Money
from balance_service.domain.quotes import Quote
from balance_service.repositories import quotes as stored_quotes
from tests.long import rules
from tests.long.plain_kinds import RATES
from tests.long.rules import DECIMALS, Refused, Row
from tests.long.world import World

# Quotes end on whole hours of the model's clock, or a minute later.
KEPT = timedelta(hours=2, minutes=30)
CLEARED_MAX = 1_000


async def make_quote(pool: Pool, world: World, principal: str) -> str:
    """Quotes an amount as the model predicts it; how it ended."""
    rng, books = world.rng, world.books
    account = world.account()
    currency = books.accounts[account]["currency"]
    target = rng.choice([code for code in DECIMALS if code != currency])
    paid, amount = rng.random() < 0.5, rng.randint(1, rng.choice([60, 300, 2_000]))
    try:
        expected: Row | str = rules.quote(amount, currency, target, paid=paid)
    except Refused as refused:
        expected = str(refused)
    fixed = Money(amount, currency if paid else target)
    rate = RATES.rate(currency, target, books.now)
    try:
        pays, gets, rounding = quotes.price(fixed, rate, account)
    except errors.Refusal as refusal:
        assert type(refusal).__name__ == expected, (refusal, expected)
        return f"quote {expected}"
    assert isinstance(expected, dict), (expected, fixed, rate)
    assert (pays.minor, gets.minor) == (expected["amount"], expected["price"]["amount"])
    quote = Quote(
        ids.new_id(),
        principal,
        account,
        pays,
        gets,
        rate,
        rounding,
        books.now,
        books.now + rng.choice([timedelta(minutes=1), timedelta(hours=1)]),
    )
    async with pool.connection() as conn:
        assert await stored_quotes.insert(conn, quote)
    more = {"principal": principal, "account": account, "expires": quote.expires_at}
    books.put(books.quotes, quote.quote_id, {**expected, **more})
    world.quotes[quote.quote_id] = quote
    return "quote posted"


async def clear_quotes(pool: Pool, world: World) -> None:
    """Deletes quotes that expired a while ago and were not used, and no others."""
    books = world.books
    before = books.now - KEPT
    # The service goes by Postgres's clock, and the model by its own.
    kept_for = datetime.now(UTC) - before
    looked_at = CLEARED_MAX
    while looked_at == CLEARED_MAX:
        async with pools.transaction(pool) as conn:
            looked_at = await stored_quotes.clear_expired(conn, kept_for, CLEARED_MAX)
    kept = {
        quote
        for quote, row in books.quotes.items()
        if quote in books.uses or row["expires"] >= before
    }
    async with pool.connection() as conn:
        rows = await (await conn.execute("SELECT quote_id FROM quotes")).fetchall()
    assert {row[0] for row in rows} == kept
