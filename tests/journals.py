"""Journals under test: a ledger of the past, and what accounting programs read in a journal."""

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

from balance_service.domain.chart import Total
from balance_service.domain.journals.forms import Form
from balance_service.domain.money import format_minor

# By account and currency: debits less credits, without what is zero.
Balances = Mapping[tuple[str, str], Decimal]

_BEANCOUNT = """
import json, sys
from beancount import loader
from beancount.core import data
entries, errors, _ = loader.load_file(sys.argv[1])
print(json.dumps({
    "errors": [error.message for error in errors],
    "postings": [
        [posting.account, posting.units.currency, str(posting.units.number)]
        for entry in entries if isinstance(entry, data.Transaction)
        for posting in entry.postings
    ],
}))
"""


def back_date(database_url: str, days: int) -> None:
    """Has everything in a ledger, all of which has its number, been posted days ago."""
    # In a zone, for Citus takes no function here whose answer the session's own could change.
    earlier = f"({{}} AT TIME ZONE 'UTC' - make_interval(days => {days})) AT TIME ZONE 'UTC'"
    with psycopg.connect(database_url) as conn:
        # First, for whoever rolls up takes this row, and leaves off where another has it.
        conn.execute("UPDATE totals_progress SET followed_sequence = 0")
        conn.execute("TRUNCATE ledger_totals, service_sales")
        for table in ("movements", "entries", "system_entries", "accounts", "events"):
            then = earlier.format("created_at")
            conn.execute(f"UPDATE {table} SET created_at = {then}".encode())
        conn.execute(f"UPDATE events SET numbered_at = {earlier.format('numbered_at')}".encode())


def back_date_new(database_url: str) -> None:
    """Has what was posted within the last hour, and may have no number, been posted yesterday."""
    with psycopg.connect(database_url) as conn:
        # The outbox first: what gets its number meanwhile is found in the log.
        for table in ("outbox", "movements", "entries", "system_entries", "events"):
            yesterday = f"UPDATE {table} SET created_at = created_at - interval '1 day'"
            conn.execute(f"{yesterday} WHERE created_at > now() - interval '1 hour'".encode())


def balances(totals: list[Total]) -> Balances:
    """What a trial balance says, as programs say it."""
    return {
        (total.title.name, total.currency): amount
        for total in totals
        if (amount := Decimal(format_minor(total.debit_minor - total.credit_minor, total.currency)))
    }


def together(found: Balances) -> Balances:
    """With users' accounts as one."""
    summed: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for (account, currency), amount in found.items():
        name = "Liabilities:Users" if account.startswith("Liabilities:Users:") else account
        summed[name, currency] += amount
    return {key: amount for key, amount in summed.items() if amount}


def read_by_hledger(path: Path) -> Balances:
    """The balances that hledger reads; it checks that every transaction balances."""
    command = ("hledger", "-f", str(path), "balance", "--flat", "--no-total")
    shown = _run(*command, "--layout=bare", "--output-format=csv")
    rows = list(csv.reader(io.StringIO(shown)))
    assert rows[0] == ["account", "commodity", "balance"]
    return {(name, code): Decimal(amount) for name, code, amount in rows[1:] if Decimal(amount)}


def read_by_beancount(path: Path) -> Balances:
    """The balances that Beancount reads; it checks that every transaction balances."""
    told = json.loads(_run(sys.executable, "-c", _BEANCOUNT, str(path)))
    assert told["errors"] == []
    return _summed(told["postings"])


def read_table(path: Path) -> Balances:
    """The balances of a table."""
    with path.open(newline="", encoding="utf-8") as file:
        return _summed(
            [
                [row["account"], row["currency"], row["debit"] or f"-{row['credit']}"]
                for row in csv.DictReader(file)
            ]
        )


READERS: Mapping[Form, Callable[[Path], Balances]] = {
    Form.HLEDGER: read_by_hledger,
    Form.BEANCOUNT: read_by_beancount,
    Form.CSV: read_table,
}


def needs(form: Form) -> None:
    """Skips a test whose program is not here."""
    if form is Form.HLEDGER:
        if not shutil.which("hledger"):
            pytest.skip("needs hledger, of the package `hledger`")
        # Earlier ones cannot tell a balance's currencies apart in a table.
        version = re.search(r"(\d+)\.(\d+)", _run("hledger", "--version"))
        if version is None or (int(version[1]), int(version[2])) < (1, 25):
            pytest.skip("needs hledger 1.25 or newer")
    if form is Form.BEANCOUNT and not find_spec("beancount"):
        pytest.skip("needs Beancount, of the package `beancount`")


def _summed(postings: list[list[str]]) -> Balances:
    found: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for account, currency, amount in postings:
        found[account, currency] += Decimal(amount)
    return {key: amount for key, amount in found.items() if amount}


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout
