"""What `run` puts into a new database: somebody to sign in as, and something to buy."""

from datetime import UTC, datetime

from balance_service.config import Settings
from balance_service.database.pool import transaction
from balance_service.domain import ids
from balance_service.domain.catalogue import Service
from balance_service.domain.money import Money
from balance_service.operations import acts, administration
from balance_service.repositories import catalogue, users

ADMIN = "admin@example.com"
USER = "demo@example.com"
# Prices are in three currencies, so that an account in any of them shows one purchase without a
# conversion and two with one.
_CATALOGUE = (
    ("Coffee subscription", "A month of coffee", Money(49900, "RUB")),
    ("Cloud storage", "100 GB for a year", Money(1999, "USD")),
    ("City card", "Museums and trams for three days", Money(2450, "EUR")),
)


async def load(settings: Settings) -> None:
    """Creates an admin, a user and a small catalogue; leaves what is there already."""
    await administration.create_admin(settings, ADMIN)
    now = datetime.now(UTC)
    async with acts.connect(settings) as pool, transaction(pool) as conn:
        await users.ensure(conn, USER, now)
        if not await catalogue.page(conn, "", None, 1):
            for name, description, price in _CATALOGUE:
                service = Service(ids.new_id(), name, description, price, 1, now, now)
                await catalogue.insert(conn, service)
