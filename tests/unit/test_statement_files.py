"""Forms of statements' files: what spreadsheets and readers of lines get, and what is bundled."""

import hashlib
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from reportlab.pdfgen.canvas import Canvas

from balance_service.domain.movements import Entry, Kind, Line, Movement
from balance_service.domain.statements import Basis, Period, RunningSums, Statement
from balance_service.messages import statement_files
from balance_service.messages.statement_files import forms
from balance_service.messages.statement_files.csv_form import harmless
from balance_service.messages.statement_files.form import Heading
from balance_service.messages.statement_files.forms import Form
from balance_service.messages.statement_files.texts import TEXTS

ACCOUNT = UUID(int=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
PERIOD = Period(START, START + timedelta(days=31), Basis.BOOKING_DATE)


def line(number: int, description: str = "Why") -> Line:
    at = START + timedelta(hours=number)
    movement_id, other = UUID(int=100 + number), UUID(int=2)
    entry = Entry(ACCOUNT, number, movement_id, Kind.DEPOSIT, 150, 150 * number, other, at)
    moved = Movement(
        movement_id, Kind.DEPOSIT, other, ACCOUNT, 150, "RUB", 150 * number, "user:1", None,
        description, {}, at,
    )  # fmt: skip
    return Line(entry, moved)


def written(form: Form, *lines: Line, language: str = "en") -> bytes:
    file = forms.begin(form, Heading(ACCOUNT, 4029357733, "RUB", PERIOD, 0, len(lines)), language)
    sums = RunningSums()
    sums.add(one.entry for one in lines)
    statement = Statement(ACCOUNT, "RUB", PERIOD, 0, 150 * len(lines), sums.sums, final=True)
    statement.check()
    return file.head() + file.lines(lines) + file.tail(statement)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=1+1", "'=1+1"),
        ("  @SUM(A1)", "'  @SUM(A1)"),
        ("-", "'-"),
        ("\uff1d1", "'\uff1d1"),
        ("\t=1", "'\t=1"),
        ("1-2", "1-2"),
        ("", ""),
    ],
)
def test_formulas_are_none(text: str, shown: str) -> None:
    assert harmless(text) == shown


def test_every_language_has_every_kind_that_moves_money() -> None:
    moving = set(Kind) - {Kind.HOLD, Kind.RELEASE, Kind.EXPIRY}
    for texts in TEXTS.values():
        assert set(texts.kinds) == moving
        assert all(texts)


@pytest.mark.parametrize("form", Form)
def test_same_statement_is_the_same_file(form: Form) -> None:
    lines = [line(number, f"Why {number}") for number in range(1, 60)]
    assert written(form, *lines) == written(form, *lines)
    assert written(form, *lines) != written(form, *lines[:-1])


def test_pdf_shows_every_entry_on_pages_with_titles(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[int, str, float]] = []
    for name in ("drawString", "drawRightString"):
        real = getattr(Canvas, name)

        def draw(canvas: Canvas, x: float, y: float, text: str, real: object = real) -> None:
            drawn.append((canvas.getPageNumber(), text, y))
            real(canvas, x, y, text)  # type: ignore[operator]

        monkeypatch.setattr(Canvas, name, draw)
    lines = [line(number, "Ünïcödé 東 " + "слово " * (number % 30)) for number in range(1, 200)]
    data = written(Form.PDF, *lines, language="ru")
    assert data.startswith(b"%PDF-")
    assert data.rstrip().endswith(b"%%EOF")
    texts = [text for _, text, _ in drawn]
    for number in range(1, 200):
        assert f"{150 * number / 100:.2f}" in texts
    assert "Ünïcödé □" in " ".join(texts)
    assert texts.count("Остаток") == max(page for page, _, _ in drawn) > 3
    assert all(0 < y < 842 for _, _, y in drawn)
    assert sum(text.count("слово") for text in texts) == sum(
        number % 30 for number in range(1, 200)
    )


def test_bundled_font_is_the_one_that_is_told_of() -> None:
    assets = Path(statement_files.__file__).parent / "assets"
    table = (assets / "licences/README.md").read_text(encoding="utf-8")
    ((name, digest),) = re.findall(r"^\| ([\w.]+\.ttf) .* ([0-9a-f]{64}) \|$", table, re.MULTILINE)
    assert hashlib.sha256((assets / name).read_bytes()).hexdigest() == digest
