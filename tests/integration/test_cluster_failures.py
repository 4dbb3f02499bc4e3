"""Commits on a cluster beside refusals, and what Citus says when one of its servers failed."""

from uuid import uuid4

import psycopg
import pytest

from balance_service.database import pool as pools
from balance_service.database.pool import Pool
from balance_service.domain.commands import Settle, Transfer
from balance_service.domain.errors import InsufficientFunds
from balance_service.domain.money import Money
from balance_service.domain.movements import Kind
from balance_service.domain.requests import Request
from balance_service.domain.state import Done
from balance_service.repositories import failures
from tests import postgres
from tests.commits import commit
from tests.integration.small_ledger import by, made, opened

_REPEATED = "DO $$BEGIN RAISE 'failed to COPY to shard 1' USING ERRCODE = '{}'; END$$"


async def test_commit_after_one_with_a_refusal_finds_its_statements(cluster_url: str) -> None:
    """A refusal is told after a ROLLBACK, upon which psycopg drops what it has prepared."""
    async with pools.create(postgres.of_service(cluster_url), 1) as pool:
        anna, boris = await opened(pool, "RUB", "RUB")
        one = Money(1, "RUB")
        refused, done = await commit(
            pool,
            Request((Transfer(by(uuid4()), boris, anna, one),)),
            Request((Settle(by(), Kind.DEPOSIT, anna, one),)),
        )
        assert isinstance(refused[0], InsufficientFunds)
        assert isinstance(done[0], Done)
        await made(pool, Settle(by(), Kind.DEPOSIT, anna, one))


@pytest.mark.parametrize("code", ["58030", "XX000"])
async def test_what_a_cluster_repeats_without_its_code_may_pass(pool: Pool, code: str) -> None:
    async def fail(*, of_cluster: bool) -> None:
        async with pool.connection() as conn:
            conn.of_cluster = of_cluster
            await conn.execute(_REPEATED.format(code).encode())

    with pytest.raises(psycopg.Error) as of_a_cluster:
        await fail(of_cluster=True)
    assert failures.is_transient(of_a_cluster.value)
    with pytest.raises(psycopg.Error) as of_one_server:
        await fail(of_cluster=False)
    assert not failures.is_transient(of_one_server.value)
