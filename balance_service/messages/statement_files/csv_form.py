"""Statements as CSV (RFC 4180), which is safe to open as a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Sequence

from balance_service.domain.movements import Line
from balance_service.domain.statements import Statement
from balance_service.messages.statement_files.form import Heading, iso
from balance_service.messages.statement_files.texts import Texts

# A cell that begins so is a formula to spreadsheets, and may send what others hold elsewhere
# (OWASP, CSV Injection). Some take the full-width forms of the first four as well.
_FORMULAS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


class CsvFile:
    """A table: the opening balance, a row an entry, then the totals and the closing balance.

    Args:
        heading: What the file tells of.
        texts: The words of its language.
    """

    def __init__(self, heading: Heading, texts: Texts) -> None:
        self._heading = heading
        self._texts = texts

    def head(self) -> bytes:
        texts, heading = self._texts, self._heading
        titles = (
            texts.number,
            texts.date,
            texts.value_date,
            texts.kind,
            texts.amount,
            texts.currency,
            texts.balance,
            texts.counterparty,
            texts.description,
            texts.source,
            texts.reference,
            texts.movement,
        )
        opening = heading.amount(heading.opening_minor)
        start = iso(heading.period.start)
        return _rows([titles, self._sum(texts.opening, balance=opening, date=start)])

    def lines(self, lines: Sequence[Line]) -> bytes:
        return _rows(map(self._row, lines))

    def tail(self, statement: Statement) -> bytes:
        texts, amount = self._texts, self._heading.amount
        closing, end = amount(statement.closing_minor), iso(statement.period.end)
        return _rows(
            [
                self._sum(texts.total_in, amount=amount(statement.in_minor)),
                self._sum(texts.total_out, amount=amount(-statement.out_minor)),
                self._sum(texts.closing, balance=closing, date=end),
            ]
        )

    def _row(self, line: Line) -> Sequence[str]:
        entry, movement = line
        return (
            str(entry.sequence),
            iso(entry.created_at),
            iso(entry.effective_at or entry.created_at),
            self._texts.kinds[entry.kind],
            self._heading.amount(entry.amount_minor),
            self._heading.currency,
            self._heading.amount(entry.balance_after_minor),
            str(entry.counterparty_id),
            harmless(movement.description),
            harmless(movement.source or ""),
            harmless(movement.reference or ""),
            str(entry.movement_id),
        )

    def _sum(
        self, kind: str, *, amount: str = "", balance: str = "", date: str = ""
    ) -> Sequence[str]:
        """A row that is no entry: it has no number."""
        return "", date, "", kind, amount, self._heading.currency, balance, *[""] * 5


def harmless(text: str) -> str:
    """A text that callers chose, which no spreadsheet takes for a formula."""
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULAS) else text


def _rows(rows: Iterable[Sequence[str]]) -> bytes:
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerows(rows)
    return written.getvalue().encode()
