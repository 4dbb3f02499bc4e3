"""Looks up what requests that move money refer to, for many of them at once."""

from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from balance_service.database.pool import Pool
from balance_service.domain.movements import Movement
from balance_service.domain.quotes import Quote
from balance_service.reading import balances, catalogue
from balance_service.reading.balances import AccountReads
from balance_service.reading.catalogue import ServiceReads
from balance_service.reading.gathering import Gathering
from balance_service.repositories import accounts, journal, quotes

ROWS_PER_QUERY_MAX = 500

# A user, and an ISO 4217 code.
Owned: TypeAlias = tuple[UUID, str]


@dataclass(frozen=True, slots=True)
class Lookups:
    """Reads by key, each of which gathers.

    Args:
        accounts: Accounts by id.
        own_accounts: Ids of accounts by owner and currency.
        numbered_accounts: Ids of accounts by public number.
        services: Services of the catalogue by id, also those that have left it.
        quotes: Quotes by id.
        movements: Movements by id.
    """

    accounts: AccountReads
    own_accounts: Gathering[Owned, UUID]
    numbered_accounts: Gathering[int, UUID]
    services: ServiceReads
    quotes: Gathering[UUID, Quote]
    movements: Gathering[UUID, Movement]


def gather(pool: Pool) -> Lookups:
    """Gathers look-ups; each kind takes one connection of the pool at a time."""
    return Lookups(
        balances.gather(pool),
        Gathering(pool, accounts.find_ids, ROWS_PER_QUERY_MAX),
        Gathering(pool, accounts.ids_of_numbers, ROWS_PER_QUERY_MAX),
        catalogue.gather(pool),
        Gathering(pool, quotes.get, ROWS_PER_QUERY_MAX),
        Gathering(pool, journal.movements, ROWS_PER_QUERY_MAX),
    )
