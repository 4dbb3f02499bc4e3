"""The console without a service: its texts, amounts, charts and sealed cookies."""

import hashlib
import re
from decimal import Decimal
from pathlib import Path

import pytest

from balance_service import console
from balance_service._generated.balance.v1 import account_pb2
from balance_service.calls.languages import LANGUAGES
from balance_service.console import charts, texts
from balance_service.console.acts import ACTS
from balance_service.console.rendering import ENUMS, amount, value_label, values_by_key
from balance_service.console.sessions import Operator, Seal, Session, SignIn

FOLDER = Path(console.__file__ or "").parent
KEY = re.compile(r"""["']([a-z_]+\.[a-z_]+)["']""")


def named_keys() -> set[str]:
    """The keys that templates and modules name, or make of what they know."""
    sources = [*FOLDER.glob("*.py"), *FOLDER.glob("templates/*.html")]
    keys = {key for path in sources for key in KEY.findall(path.read_text(encoding="utf-8"))}
    keys |= {f"{enum}.{key}" for enum in ENUMS for key in values_by_key(enum)}
    keys |= {
        f"{group}.{act.key}" for act in ACTS.values() for group in ("act", "explained", "done")
    }
    fields = [field for act in ACTS.values() for field in act.fields if field.kind != "hidden"]
    keys |= {f"field.{field.name}" for field in fields}
    keys |= {f"{field.name}.{choice}" for field in fields for choice in field.choices}
    keys |= {f"language.{language}" for language in LANGUAGES}
    facts = re.compile(
        r"""(?:Change|fact)?\(\s*f?"([a-z_]+)",|^        "([a-z_]+)": """, re.MULTILINE
    )
    for path in FOLDER.glob("*_acts.py"):
        for match in facts.finditer(path.read_text(encoding="utf-8")):
            keys.add(f"fact.{match[1] or match[2]}")
    page = (FOLDER / "templates/credentials.html").read_text(encoding="utf-8")
    keys |= {f"credentials.{key}" for key in re.findall(r"\('(\w+)', 'balance-service", page)}
    return keys | {
        "problem.not_operator",
        "problem.second_factor_needed",
        "order.date",
        "order.amount",
    }


def test_every_text_is_in_every_language_and_in_use() -> None:
    catalogue = texts.catalogue()
    named = named_keys()
    groups = {key.partition(".")[0] for key in catalogue}
    for key, told in catalogue.items():
        assert set(told) == set(LANGUAGES), key
        assert all(told.values()), key
        places = {tuple(sorted(re.findall(r"\{(\w+)\}", text))) for text in told.values()}
        assert len(places) == 1, key
        assert key in named, f"{key} has no use"
    ours = {key for key in named if key.partition(".")[0] in groups and not key.endswith(".html")}
    assert {key for key in ours if not key.startswith("fact.")} <= set(catalogue)


def test_values_of_a_newer_service_are_shown_by_number() -> None:
    assert value_label("account_status", account_pb2.ACCOUNT_STATUS_FROZEN, "ru") == "заморожен"
    assert value_label("account_status", 99, "en") == "99"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("0.00", "0.00"),
        ("999.5", "999.5"),
        ("1000", "1 000"),
        ("-1234567.89", "\N{MINUS SIGN}1 234 567.89"),
    ],
)
def test_digits_stand_in_groups(text: str, shown: str) -> None:
    assert amount(text) == shown.replace(" ", "\N{NARROW NO-BREAK SPACE}")


def entry(seconds: int, balance: str) -> account_pb2.Entry:
    found = account_pb2.Entry(balance_after=balance)
    found.date.seconds = seconds
    return found


def test_chart_goes_in_steps_from_edge_to_edge() -> None:
    chart = charts.draw([entry(0, "-10"), entry(50, "30"), entry(100, "10")])
    assert chart
    assert chart.path == "M4.0 116.0H300.0V4.0H596.0V60.0"
    assert (chart.zero, chart.lowest, chart.highest) == (Decimal("88.0"), "-10", "30")
    level = charts.draw([entry(7, "5"), entry(7, "5")])
    assert level
    assert (level.path, level.zero) == ("M4.0 60.0H4.0V60.0", None)
    assert charts.draw([entry(0, "1")]) is None


def test_cookie_is_read_by_whoever_has_the_secret_alone() -> None:
    seal = Seal("a" * 16 + "b" * 16)
    operator = Operator("id", "anna@example.com", True, "access", 1.5, 2.5, "refresh")
    for session in (
        Session(1.0, 2.0, sign_in=SignIn("anna@example.com", "verification", "12345678")),
        Session(1.0, 2.0, language="ru", operator=operator),
    ):
        cookie = seal.close(session)
        assert seal.open(cookie) == session
        assert "anna" not in cookie
        assert Seal("c" * 32).open(cookie) is None
        assert seal.open(cookie[:-4] + "AAAA") is None
        assert not re.search("access|refresh|12345678|verification'", repr(session))
    assert seal.open("none") is None
    with pytest.raises(ValueError, match="32 characters"):
        Seal("short")


def test_bundled_file_is_the_one_that_was_published() -> None:
    assets = FOLDER / "assets"
    table = (assets / "licences/README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\w.-]+\.js) .* ([0-9a-f]{64}) \|$", table, re.MULTILINE)
    assert [name for name, _ in rows] == [path.name for path in assets.glob("*.js")]
    for name, digest in rows:
        assert hashlib.sha256((assets / name).read_bytes()).hexdigest() == digest
