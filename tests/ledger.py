"""Accounts, people and rates that the ledger's tests share."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from balance_service.domain import quotes
from balance_service.domain.money import Money
from balance_service.domain.pricing import Quotation, Rates, RateSheet
from balance_service.domain.quotes import Quote

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


RATES = Rates(
    (RateSheet("cbr", "RUB", NOW, {"USD": Quotation(Decimal(1), Decimal(80))}),),
    lambda as_of: as_of + timedelta(hours=96),
)


USERS = [UUID(int=n) for n in range(1, 4)]


ACCOUNTS = [UUID(int=100 + n) for n in range(6)]


SERVICES = [UUID(int=1000 + n) for n in range(3)]


REQUESTS = [UUID(int=10_000 + n) for n in range(12)]


def quoted(
    account_id: UUID, fixed: Money, pair: tuple[str, str], number: int = 0, *, life: int = 60
) -> Quote:
    """A quote that `user:1` asked for, at the shared rates.

    Args:
        account_id: Pays.
        fixed: The amount that is fixed.
        pair: The currencies paid and received.
        number: Makes its id.
        life: For how many seconds it holds; negative for one that has expired.
    """
    rate = RATES.rate(*pair, NOW)
    priced = quotes.price(fixed, rate, account_id)
    paid, received, rounding = priced
    return Quote(
        UUID(int=50_000 + number),
        "user:1",
        account_id,
        paid,
        received,
        rate,
        rounding,
        NOW - timedelta(hours=1),
        NOW + timedelta(seconds=life),
    )
