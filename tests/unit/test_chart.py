"""The chart of accounts: stable, complete, and as its page says."""

import re
from pathlib import Path

from balance_service.domain.accounts import SystemRole
from balance_service.domain.chart import CHART, USERS, AccountType, Side

PAGE = Path(__file__).parents[2] / "docs/concepts/chart-of-accounts.md"
_ROW = re.compile(r"^\| (\d{4}) \| `([^`]+)` \| (\w+) \| (\w+) \| `(\w+)` \|", re.MULTILINE)


def test_chart_has_users_and_every_system_account() -> None:
    assert set(CHART) == {USERS, *SystemRole}
    assert [title.code for title in CHART.values()] == sorted(
        {title.code for title in CHART.values()}
    )


def test_codes_and_names_are_those_of_the_page() -> None:
    told = [
        (title.code, title.name, title.type.name.lower(), title.normal_side.name.lower(), role)
        for role, title in CHART.items()
    ]
    assert _ROW.findall(PAGE.read_text(encoding="utf-8")) == told


def test_codes_and_names_never_change() -> None:
    assert {title.code: title.name for title in CHART.values()} == {
        "1010": "Assets:Settlement",
        "2010": "Liabilities:Users",
        "3010": "Equity:FX",
        "4010": "Income:Revenue",
        "4020": "Income:Rounding",
    }
    for title in CHART.values():
        debit = title.type is AccountType.ASSET
        assert title.normal_side is (Side.DEBIT if debit else Side.CREDIT)
