"""What random operations are drawn from, and what each kind of them must do."""

import random
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from balance_service.domain.commands import Origin
from balance_service.domain.movements import Movement
from balance_service.domain.quotes import Quote
from balance_service.domain.requests import Command
from tests.long.model import Ask, Books
from tests.long.rules import Row


@dataclass
class World:
    """What operations are drawn from.

    Args:
        rng: Decides everything.
        books: What the model knows.
        services: What is sold, with currency and price.
        made: Movements as the service answered them.
        recent: Their ids, in their order, but for the oldest.
        quotes: Quotes as the service made them.
    """

    rng: random.Random
    books: Books
    services: dict[UUID, Row]
    made: dict[UUID, Movement] = field(default_factory=dict)
    recent: list[UUID] = field(default_factory=list)
    quotes: dict[UUID, Quote] = field(default_factory=dict)

    def account(self) -> UUID:
        return self.rng.choice(list(self.books.accounts))

    def amount(self, account: UUID) -> int:
        """Mostly small; at times all that an account has, or more than anybody has."""
        row = self.books.accounts[account]
        if self.rng.random() < 0.1 and (all_of_it := row["balance"] - row["held"]) > 0:
            return int(all_of_it)
        highest = self.rng.choice([9, 500, 500, 5_000, 100_000])
        return self.rng.randint(1, highest)

    def receiver(self, currency: str, owner: UUID, theirs: float) -> UUID:
        """An account that is to receive.

        Args:
            currency: Mostly its currency.
            owner: Whose account in the currency it is with the chance `theirs`.
            theirs: From 0 to 1.
        """
        rows = self.books.accounts
        if self.rng.random() < 0.03:
            return self.account()
        fitting = [account for account, row in rows.items() if row["currency"] == currency]
        own = [account for account in fitting if rows[account]["owner"] == owner]
        return self.rng.choice(own if own and self.rng.random() < theirs else fitting)

    def quote(self) -> UUID | None:
        """A late quote, mostly one that can be used."""
        books, late = self.books, list(self.quotes)[-30:]
        usable = [
            quote
            for quote in late
            if quote not in books.uses and books.now < books.quotes[quote]["expires"]
        ]
        some = usable if self.rng.random() < 0.8 else late
        return self.rng.choice(some) if some else None

    def movement(self, *kinds: str) -> UUID | None:
        """A movement of some kinds, mostly a late one; None if there is none among those tried."""
        for _ in range(20):
            reach = self.rng.choice([30, 300, len(self.recent)])
            tried = self.rng.choice(self.recent[-reach:] or [UUID(int=0)])
            if tried in self.made and self.books.movements[tried]["kind"] in kinds:
                return tried
        return None

    def part(self, movement: UUID, left: int) -> int | None:
        """A part of what is left, often a small one; all of it, said or not; or a little more."""
        high = max(left, 1)
        small = self.rng.randint(1, max(high // 4, 1))
        return self.rng.choice([None, small, small, self.rng.randint(1, high), high, high + 1])


class Operation(Protocol):
    """A kind of operation."""

    def draw(self, world: World) -> dict[str, Any] | None:
        """What it asks for; None if there is nothing to ask it of."""

    def command(self, world: World, ask: Ask, origin: Origin) -> Command: ...

    def predict(self, books: Books, ask: Ask) -> Row:
        """Carries it out in the books; raises Refused. The movement that answers."""
