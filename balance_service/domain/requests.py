"""Requests: what one call asks of the ledger."""

from collections.abc import Iterator
from dataclasses import dataclass

from balance_service.domain import errors
from balance_service.domain.commands import Exchange, Purchase, Settle, Transfer
from balance_service.domain.follow_up_commands import Capture, Place, Release, Reverse

Command = Settle | Transfer | Exchange | Purchase | Reverse | Place | Capture | Release


@dataclass(frozen=True, slots=True)
class Request:
    """What one call asks of the ledger: decided and answered together.

    Args:
        items: Commands in order, each decided after those before it. What could not be read keeps
            its place as the refusal that it got.
        all_or_nothing: Whether one refusal refuses all.
        linked: The places of items that are carried out only together with the next one, as
            TigerBeetle's linked events are; a chain ends with the first that is not among them.
        validate_only: Whether to answer as if it were carried out, and change nothing.
        parts_of: The request id whose parts the items are, all of them, as its caller spelled it:
            they were all done before, or none of them was. Empty for items of their own.
    """

    items: tuple[Command | errors.Refusal, ...]
    all_or_nothing: bool = False
    linked: frozenset[int] = frozenset()
    validate_only: bool = False
    parts_of: str = ""

    @property
    def principal(self) -> str:
        """Who asks; empty if nothing of it could be read."""
        return next((command.origin.principal for command in self.commands), "")

    @property
    def chains(self) -> Iterator[range]:
        """The places of items that stand or fall together, in order."""
        start, last = 0, len(self.items) - 1
        for place in range(len(self.items)):
            if place == last or not (self.all_or_nothing or place in self.linked):
                yield range(start, place + 1)
                start = place + 1

    @property
    def commands(self) -> Iterator[Command]:
        """The items that can be carried out."""
        return (item for item in self.items if not isinstance(item, errors.Refusal))
