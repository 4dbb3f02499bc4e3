"""What is kept and deleted is as its page says, of every table."""

import re
from pathlib import Path

from balance_service.config import Settings
from balance_service.repositories import queries, retention

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/operating/retention.md").read_text(encoding="utf-8")
SCHEMA = (ROOT / "docs/reference/schema.sql").read_text(encoding="utf-8")
TABLES = re.findall(r"^CREATE TABLE public\.(\w+)", SCHEMA, re.MULTILINE)
MONEY = {"movements", "entries", "system_entries", "follows", "holds", "accounts", "purchases"}


def named(part: str) -> list[str]:
    """The tables of the first columns of a part of the page."""
    cells = re.findall(r"^\| (`.*?) \|", part, re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]


def deleted_from() -> set[str]:
    """The tables that some statement deletes from."""
    folder = Path(queries.__file__).parent
    texts = [path.read_text(encoding="utf-8") for path in folder.glob("*.sql")]
    return {name for text in texts for name in re.findall(r"\bDELETE FROM (\w+)", text)}


def test_every_table_is_on_the_page_once() -> None:
    assert len(TABLES) > 40
    assert sorted(named(PAGE)) == sorted(TABLES)


def test_nothing_deletes_what_the_page_says_is_kept_for_ever() -> None:
    kept, gone = (set(named(part)) for part in PAGE.split("\n## Deleted\n"))
    assert kept >= MONEY
    assert kept.isdisjoint(deleted_from())
    assert {*retention.BY_TIME, *retention.BY_KEY} <= gone
    assert gone - deleted_from() == {"event_exporters", "rate_fetches"}


def test_days_of_the_page_are_the_defaults_of_its_settings() -> None:
    rows = re.findall(r"`BALANCE_(\w+_DAYS)`[^|]*?\((\d+)\)", PAGE)
    assert len(rows) == 5
    for name, days in rows:
        assert Settings.model_fields[name.lower()].default == int(days), name
