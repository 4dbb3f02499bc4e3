"""The forms that journals are written in. Texts of users are one plain line in each of them."""

import csv
import enum
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from balance_service.domain.journals.transactions import Posting, Transaction
from balance_service.domain.money import Money

# A spreadsheet takes a cell that begins so for a formula (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@")


class Form(enum.IntEnum):
    """What a journal is written for; the numbers are those of the contract."""

    HLEDGER = 1
    BEANCOUNT = 2
    CSV = 3


class Detail(enum.IntEnum):
    """What a transaction stands for; the numbers are those of the contract."""

    MOVEMENT = 1
    DAY = 2


class Period(NamedTuple):
    """From `start`, and before `end`, both whole minutes of UTC."""

    start: datetime
    end: datetime


class Writer(Protocol):
    """Writes one form."""

    def head(self, period: Period) -> str:
        """What a journal begins with."""
        ...

    def write(self, transaction: Transaction) -> str:
        """A transaction, in whole lines."""
        ...


class Hledger:
    """Journals of hledger (its manual, "Journal").

    `;` begins a comment and `|` ends the payee, so a description has neither.
    """

    def head(self, period: Period) -> str:
        comment = f"; From {period.start:%Y-%m-%dT%H:%MZ} to {period.end:%Y-%m-%dT%H:%MZ}\n"
        return f"{comment}decimal-mark .\n\n"

    def write(self, transaction: Transaction) -> str:
        text = _one_line(transaction.description).replace(";", ",").replace("|", "/")
        payee = f"{transaction.kind} | {text}" if text else transaction.kind
        lines = [
            f"{transaction.time:%Y-%m-%d} * ({transaction.code}) {payee}",
            f"    ; time:{transaction.time:%Y-%m-%dT%H:%M:%S.%fZ}",
            *(f"    {posting.account}  {_amount(posting)}" for posting in transaction.postings),
        ]
        return "".join(f"{line}\n" for line in [*lines, ""])


class Beancount:
    """Journals of Beancount (its "Language Syntax"). Its plug-in opens the accounts."""

    def head(self, period: Period) -> str:
        comment = f"; From {period.start:%Y-%m-%dT%H:%MZ} to {period.end:%Y-%m-%dT%H:%MZ}\n"
        return f'{comment}plugin "beancount.plugins.auto_accounts"\n\n'

    def write(self, transaction: Transaction) -> str:
        text = _one_line(transaction.description).replace("\\", "\\\\").replace('"', '\\"')
        lines = [
            f'{transaction.time:%Y-%m-%d} * "{transaction.kind}" "{text}" ^{transaction.code}',
            f'  time: "{transaction.time:%Y-%m-%dT%H:%M:%S.%fZ}"',
            *(f"  {posting.account}  {_amount(posting)}" for posting in transaction.postings),
        ]
        return "".join(f"{line}\n" for line in [*lines, ""])


class Csv:
    """Comma-separated values (RFC 4180): a posting a line."""

    COLUMNS = (
        "date",
        "time",
        "code",
        "kind",
        "description",
        "account_code",
        "account",
        "currency",
        "debit",
        "credit",
        "total",
        "total_currency",
    )

    def head(self, period: Period) -> str:  # noqa: ARG002 - a table has columns and nothing else
        return _rows([self.COLUMNS])

    def write(self, transaction: Transaction) -> str:
        text = _one_line(transaction.description)
        if text.startswith(_FORMULA):
            text = f"'{text}"
        told = (
            f"{transaction.time:%Y-%m-%d}",
            f"{transaction.time:%Y-%m-%dT%H:%M:%S.%fZ}",
            transaction.code,
            transaction.kind,
            text,
        )
        return _rows((*told, *_cells(posting)) for posting in transaction.postings)


WRITERS: dict[Form, Writer] = {
    Form.HLEDGER: Hledger(),
    Form.BEANCOUNT: Beancount(),
    Form.CSV: Csv(),
}


def _one_line(text: str) -> str:
    """A text without what ends a line, or is not seen, or would be taken for a column's end."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _amount(posting: Posting) -> str:
    amount = f"{posting.amount} {posting.amount.currency}"
    if posting.total is None:
        return amount
    return f"{amount} @@ {posting.total} {posting.total.currency}"


def _cells(posting: Posting) -> Sequence[str]:
    amount = posting.amount
    size = str(Money(abs(amount.minor), amount.currency))
    return (
        posting.code,
        posting.account,
        amount.currency,
        size if amount.minor > 0 else "",
        size if amount.minor < 0 else "",
        str(posting.total) if posting.total else "",
        posting.total.currency if posting.total else "",
    )


def _rows(rows: Iterable[Sequence[str]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()
