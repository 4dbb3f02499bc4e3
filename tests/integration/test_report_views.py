"""The views for reports: as their page says, right, and all that their role may read."""

import re
from collections import defaultdict
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from balance_service.database.pool import Pool
from balance_service.domain import money
from balance_service.domain.movements import MOVING_NOTHING, Kind
from tests.integration.small_ledger import history

PAGE = Path(__file__).parent.parent.parent / "docs/operating/reports.md"


def documented() -> dict[str, list[str]]:
    """The columns of each view, as the page has them."""
    found: dict[str, list[str]] = defaultdict(list)
    view = ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            view = line.partition("reports.")[2]
        elif view and (column := re.match(r"\| `(\w+)` \|", line)):
            found[view].append(column[1])
    return found


def test_page_tells_of_every_column(database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        rows = conn.execute(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = 'reports' ORDER BY table_name, ordinal_position"
        ).fetchall()
    there: dict[str, list[str]] = defaultdict(list)
    for view, column in rows:
        there[view].append(column)
    assert documented() == there


def test_role_reads_the_views_and_nothing_else(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        tables = conn.execute(
            "SELECT table_schema, table_name FROM information_schema.tables"
            " WHERE table_schema IN ('public', 'reports')"
        ).fetchall()
        columns = conn.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'reports'"
        ).fetchall()
        role = conn.execute(
            "SELECT rolcanlogin, rolsuper FROM pg_roles WHERE rolname = 'balance_reports'"
        ).fetchone()
        assert role == (False, False)
        conn.execute("SET ROLE balance_reports")
        for schema, table in tables:
            name = sql.Identifier(schema, table)
            if schema == "reports":
                conn.execute(sql.SQL("SELECT FROM {} LIMIT 1").format(name))
                for change in ("DELETE FROM {}", "TRUNCATE {}"):
                    with pytest.raises(psycopg.errors.Error):
                        conn.execute(sql.SQL(change).format(name))
            else:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    conn.execute(sql.SQL("SELECT FROM {} LIMIT 1").format(name))
    secret = {"email", "description", "metadata", "principal", "secret_hash", "first_name"}
    assert secret.isdisjoint(column for (column,) in columns)


async def test_views_show_the_journal(pool: Pool, database_url: str) -> None:
    await history(pool)
    with psycopg.connect(database_url) as conn:
        kinds: dict[int, str] = dict(
            conn.execute("SELECT kind, name FROM reports.kinds").fetchall()
        )
        assert kinds == {kind: kind.name.lower() for kind in set(Kind) - MOVING_NOTHING}
        shown: dict[str, int] = dict(
            conn.execute("SELECT currency, decimals FROM reports.currencies").fetchall()
        )
        assert shown == money.DECIMALS
        counts = conn.execute(
            "SELECT (SELECT count(*) FROM reports.movements),"
            " (SELECT count(*) FROM movements WHERE kind NOT IN (10, 11, 12)),"
            " (SELECT count(*) FROM reports.entries), (SELECT count(*) FROM entries),"
            " (SELECT count(*) FROM reports.accounts WHERE status = 'active'),"
            " (SELECT count(*) FROM accounts)"
        ).fetchone()
        assert counts is not None
        assert counts[::2] == counts[1::2]
        sales = conn.execute(
            "SELECT currency, sum(purchases), sum(gross_minor), sum(refunds), sum(refunded_minor),"
            " sum(net_minor), bool_and(service = 'Coffee') FROM reports.sales_by_service_and_month"
            " GROUP BY currency ORDER BY currency"
        ).fetchall()
        wanted = conn.execute(
            "SELECT currency, count(*) FILTER (WHERE kind = 3),"
            " sum(amount_minor) FILTER (WHERE kind = 3), count(*) FILTER (WHERE kind = 7),"
            " sum(amount_minor) FILTER (WHERE kind = 7),"
            " sum(CASE kind WHEN 3 THEN amount_minor ELSE -amount_minor END), true"
            " FROM movements WHERE kind IN (3, 7) GROUP BY currency ORDER BY currency"
        ).fetchall()
        assert sales == wanted
        assert sum(row[3] for row in sales) > 0
