"""Which errors of Postgres pass, so that the same work may succeed if it is done again."""

import psycopg
import pytest
from psycopg_pool import PoolTimeout

from balance_service.database.pool import NotReplicated
from balance_service.database.primary import EarlierTimeline
from balance_service.repositories import failures


@pytest.mark.parametrize(
    "sqlstate",
    [
        # What PgBouncer says when the server's connection is lost, and class 08 besides.
        *("08P01", "08006", "08003"),
        # A primary that stops, starts, or became a standby.
        *("57P01", "57P02", "57P03", "25006"),
    ],
)
def test_lost_server_is_transient(sqlstate: str) -> None:
    assert failures.is_transient(psycopg.errors.lookup(sqlstate)("lost"))


@pytest.mark.parametrize(
    "error", [psycopg.OperationalError, PoolTimeout, NotReplicated, EarlierTimeline]
)
def test_lost_connection_without_a_state_is_transient(error: type[Exception]) -> None:
    assert failures.is_transient(error("lost"))


@pytest.mark.parametrize("sqlstate", ["28P01", "42P01", "42501", "23514", "58030"])
def test_what_stays_wrong_is_not_transient(sqlstate: str) -> None:
    assert not failures.is_transient(psycopg.errors.lookup(sqlstate)("wrong"))
