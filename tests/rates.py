"""The exchange rates and quotes of a running service, as tests change them."""

import dataclasses
from datetime import timedelta

import psycopg

from balance_service.domain.pricing import Rates
from balance_service.reading.rates import ExchangeRates
from tests.service import Service


def rates_of(service: Service) -> ExchangeRates:
    return service.app.maintenance._rates


def age_rates(service: Service) -> None:
    """Makes the rates in force as old as rates of a source can be."""
    current = rates_of(service).current
    aged = tuple(dataclasses.replace(sheet, expires=True) for sheet in current.sheets)
    rates_of(service).current = Rates(aged, lambda as_of: as_of + timedelta(hours=1))


def expire_quotes(database_url: str, ago: timedelta = timedelta(hours=1)) -> None:
    """Makes every quote older: by an hour, which is longer than any holds, or by more."""
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute(
            "UPDATE quotes"
            " SET created_at = created_at - %(ago)s, expires_at = expires_at - %(ago)s",
            {"ago": ago},
        )
