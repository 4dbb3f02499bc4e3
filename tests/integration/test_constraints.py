"""What the code expects of the schema's constraints."""

import pytest

from balance_service.database.pool import Pool, transaction
from balance_service.domain import ids
from balance_service.repositories import accounts, failures


async def test_constraints_that_the_code_names_exist(pool: Pool) -> None:
    names = {*failures._RACES, "users_username_unique"}
    async with pool.connection() as conn:
        cursor = await conn.execute(
            "SELECT c.relname FROM pg_index AS i INNER JOIN pg_class AS c ON i.indexrelid = c.oid"
            " WHERE i.indisunique AND c.relname = ANY(%s)",
            (list(names),),
        )
        assert {name for (name,) in await cursor.fetchall()} == names


async def test_account_number_is_drawn_again_but_not_for_ever(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, free = ids.new_account_number(), ids.new_account_number()
    draws = iter([taken, taken, taken, free, *[taken] * accounts.NUMBER_DRAWS_MAX])
    monkeypatch.setattr(ids, "new_account_number", lambda: next(draws))
    async with transaction(pool) as conn:
        first, _ = await accounts.open_account(conn, ids.new_id(), "RUB")
        second, _ = await accounts.open_account(conn, ids.new_id(), "RUB")
        numbers = [profile.number for profile in await accounts.get(conn, [first, second])]
        assert numbers == [taken, free]
        with pytest.raises(RuntimeError, match="were taken"):
            await accounts.open_account(conn, ids.new_id(), "RUB")
