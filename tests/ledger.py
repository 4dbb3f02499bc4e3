"""Accounts, people and rates that the ledger's tests share."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from balance_service.domain.pricing import Quotation, Rates, RateSheet

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


RATES = Rates(
    (RateSheet("cbr", "RUB", NOW, {"USD": Quotation(Decimal(1), Decimal(80))}),),
    lambda as_of: as_of + timedelta(hours=96),
)


USERS = [UUID(int=n) for n in range(1, 4)]


ACCOUNTS = [UUID(int=100 + n) for n in range(6)]


SERVICES = [UUID(int=1000 + n) for n in range(3)]


REQUESTS = [UUID(int=10_000 + n) for n in range(12)]
