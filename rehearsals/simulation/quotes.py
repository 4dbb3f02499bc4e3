"""Quotes that the simulation's clients carry out, many of them the same one."""

import random
from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from balance_service.domain import quotes
from balance_service.domain.accounts import Account
from balance_service.domain.money import Money
from balance_service.domain.pricing import Rate
from balance_service.domain.quotes import Quote
from rehearsals.simulation.store import EPOCH

# Few, so that several clients carry out the same one.
QUOTES = 6


def make_quotes(
    rng: random.Random,
    principal: str,
    accounts: Mapping[UUID, Account],
    others: Mapping[UUID, UUID],
) -> Iterator[Quote]:
    """Makes the quotes of a caller; some are short-lived.

    Args:
        rng: Decides their terms.
        principal: Who asks for them.
        accounts: All accounts.
        others: The account of the same owner in the other currency, by each that has one.
    """
    for _ in range(QUOTES):
        payer = accounts[rng.choice(list(others))]
        target = accounts[others[payer.account_id]].currency
        rate = Rate(payer.currency, target, Decimal("0.7"), "static", EPOCH)
        fixed = Money(rng.randint(2, 60), rng.choice([payer.currency, target]))
        paid, received, rounding = quotes.price(fixed, rate, payer.account_id)
        life = timedelta(seconds=rng.choice([1, 3600]))
        yield Quote(
            UUID(int=rng.getrandbits(128), version=4),
            principal,
            payer.account_id,
            paid,
            received,
            rate,
            rounding,
            EPOCH,
            EPOCH + life,
        )
