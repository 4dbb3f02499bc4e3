"""What can be bought."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from balance_service.domain.money import Money


@dataclass(frozen=True, slots=True)
class Service:
    """A service of the catalogue.

    Args:
        price: In any currency.
        version: Counts changes.
        deleted_at: When it left the catalogue.
        repeatable: Whether an account may buy it more than once.
    """

    service_id: UUID
    name: str
    description: str
    price: Money
    version: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None
    repeatable: bool = False
