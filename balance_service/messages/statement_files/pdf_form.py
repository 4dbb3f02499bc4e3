"""Statements as PDF, page by page: what is laid out is kept until the last page is."""

import functools
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import simpleSplit
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from balance_service.domain.movements import Line
from balance_service.domain.statements import Statement
from balance_service.messages.statement_files.form import Heading
from balance_service.messages.statement_files.texts import Texts

_FONT = "DejaVu Sans"
_FONT_FILE = Path(__file__).parent / "assets/DejaVuSans.ttf"
_SIZE, _LEADING, _TITLE_SIZE = 7.5, 10.0, 13.0
_MARGIN, _GAP = 40.0, 6.0
_WIDTH, _HEIGHT = A4
_UNKNOWN = "□"


class _Column(NamedTuple):
    """A column of the table: where it begins, how wide it is, and whether it holds numbers."""

    left: float
    width: float
    numeric: bool = False


_DATE = _Column(_MARGIN, 84)
_KIND = _Column(_DATE.left + _DATE.width + _GAP, 88)
_TEXT = _Column(_KIND.left + _KIND.width + _GAP, 131)
_AMOUNT = _Column(_TEXT.left + _TEXT.width + _GAP, 95, numeric=True)
_BALANCE = _Column(_AMOUNT.left + _AMOUNT.width + _GAP, 95, numeric=True)
_COLUMNS = _DATE, _KIND, _TEXT, _AMOUNT, _BALANCE


class PdfFile:
    """Pages with the opening balance, a row an entry, the totals and the closing balance.

    Args:
        heading: What the file tells of.
        texts: The words of its language.
    """

    def __init__(self, heading: Heading, texts: Texts) -> None:
        self._heading = heading
        self._texts = texts
        self._legible = _legible()
        self._written = io.BytesIO()
        # The same statement is the same file, whenever it is asked for.
        self._canvas = Canvas(self._written, pagesize=A4, invariant=1, pageCompression=1)
        self._canvas.setTitle(heading.name)
        self._y = 0.0

    def head(self) -> bytes:
        texts, heading = self._texts, self._heading
        self._begin_page()
        self._canvas.setFont(_FONT, _TITLE_SIZE)
        self._canvas.drawString(_MARGIN, self._y, texts.title)
        self._canvas.setFont(_FONT, _SIZE)
        self._y -= 2 * _LEADING
        start, end = (f"{edge:%Y-%m-%d %H:%M:%S}" for edge in heading.period[:2])
        for title, text in (
            (texts.account, f"{heading.number} ({heading.account_id})"),
            (texts.currency, heading.currency),
            (texts.period, f"{start} — {end} (UTC)"),
            (texts.opening, heading.amount(heading.opening_minor)),
        ):
            self._canvas.drawString(_MARGIN, self._y, f"{title}: {text}")
            self._y -= _LEADING
        self._y -= _LEADING
        self._titles()
        return b""

    def lines(self, lines: Sequence[Line]) -> bytes:
        for entry, movement in lines:
            date = [f"{entry.created_at:%Y-%m-%d %H:%M:%S}"]
            if entry.effective_at:
                date.append(f"({entry.effective_at:%Y-%m-%d})")
            why = self._legible(movement.description or str(entry.counterparty_id))
            self._row(
                date,
                simpleSplit(self._texts.kinds[entry.kind], _FONT, _SIZE, _KIND.width),
                simpleSplit(why, _FONT, _SIZE, _TEXT.width),
                [self._heading.amount(entry.amount_minor)],
                [self._heading.amount(entry.balance_after_minor)],
            )
        return b""

    def tail(self, statement: Statement) -> bytes:
        texts, amount = self._texts, self._heading.amount
        self._rule()
        for title, minor in (
            (texts.opening, statement.opening_minor),
            (texts.total_in, statement.in_minor),
            (texts.total_out, -statement.out_minor),
            (texts.closing, statement.closing_minor),
        ):
            self._row([], [], [title], [], [amount(minor)])
        self._canvas.showPage()
        self._canvas.save()
        return self._written.getvalue()

    def _row(self, *cells: Sequence[str]) -> None:
        height = _LEADING * max(map(len, cells))
        if self._y - height < _MARGIN:
            self._canvas.showPage()
            self._begin_page()
            self._titles()
        for column, texts in zip(_COLUMNS, cells, strict=True):
            for index, text in enumerate(texts):
                y = self._y - index * _LEADING
                if column.numeric:
                    self._canvas.drawRightString(column.left + column.width, y, text)
                else:
                    self._canvas.drawString(column.left, y, text)
        self._y -= height + 2

    def _begin_page(self) -> None:
        self._canvas.setFont(_FONT, _SIZE)
        page = f"{self._texts.page} {self._canvas.getPageNumber()}"
        self._canvas.drawRightString(_WIDTH - _MARGIN, _MARGIN / 2, page)
        self._y = _HEIGHT - _MARGIN

    def _titles(self) -> None:
        texts = self._texts
        titles = (texts.date, texts.kind, texts.description, texts.amount, texts.balance)
        self._row(*([title] for title in titles))
        self._rule()

    def _rule(self) -> None:
        self._canvas.line(_MARGIN, self._y + _LEADING - 1, _WIDTH - _MARGIN, self._y + _LEADING - 1)
        self._y -= 3


@functools.cache
def _legible() -> Callable[[str], str]:
    """Loads the font; replaces what it has no sign for."""
    font = TTFont(_FONT, str(_FONT_FILE))
    pdfmetrics.registerFont(font)
    known = font.face.charToGlyph

    def legible(text: str) -> str:
        shown = text.replace("\n", " ").replace("\t", " ")
        return "".join(sign if ord(sign) in known else _UNKNOWN for sign in shown)

    return legible
