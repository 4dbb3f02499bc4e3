"""What every form of a statement's file has."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from balance_service.domain import money
from balance_service.domain.movements import Line
from balance_service.domain.statements import Period, Statement


class Heading(NamedTuple):
    """What a file tells before its entries.

    Args:
        account_id: The account.
        number: Its public number.
        currency: Its ISO 4217 code.
        period: What the file tells of.
        opening_minor: The balance at the period's beginning.
        entries: How many entries follow.
    """

    account_id: UUID
    number: int
    currency: str
    period: Period
    opening_minor: int
    entries: int

    @property
    def name(self) -> str:
        """The start of the file's name."""
        start, end = (f"{edge:%Y-%m-%d}" for edge in self.period[:2])
        return f"statement-{self.number}-{start}-{end}"

    def amount(self, minor: int) -> str:
        """A decimal string in the account's currency."""
        return money.format_minor(minor, self.currency)


class StatementFile(Protocol):
    """A file that is made part by part; what a part is not ready to give yet comes with a later."""

    def head(self) -> bytes:
        """What stands before the entries."""

    def lines(self, lines: Sequence[Line]) -> bytes:
        """Some entries, in the order of their sequence."""

    def tail(self, statement: Statement) -> bytes:
        """What stands after the entries: the sums, which show that nothing is missing."""


def iso(moment: datetime) -> str:
    """A moment in UTC, to the microsecond (RFC 3339)."""
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"
