"""Keys that operators rotate, retire and revoke, as workers that run see them."""

from datetime import timedelta

import psycopg
import pytest

from balance_service.auth.key_states import VERIFIES_FOR, State
from balance_service.auth.keys import KeySet
from balance_service.auth.settings import read_secrets
from balance_service.config import Settings
from balance_service.database.pool import Pool
from balance_service.operations import signing_keys

HOUR = timedelta(hours=1)


@pytest.fixture
def keys(pool: Pool, service_settings: Settings) -> KeySet:
    """The keys as a worker knows them."""
    return KeySet(pool, read_secrets(service_settings))


async def states(settings: Settings) -> list[tuple[str, State]]:
    """The id and the state of every key, the newest first."""
    listed = await signing_keys.list_keys(settings)
    return [(key.key_id, key.life.state) for key in listed if key.life]


def pass_time(database_url: str, time: timedelta) -> None:
    """Makes every key older."""
    with psycopg.connect(database_url) as conn:
        conn.execute(
            "UPDATE signing_keys SET created_at = created_at - %(t)s, signs_at = signs_at - %(t)s,"
            " stops_at = stops_at - %(t)s",
            {"t": time},
        )


async def test_key_is_published_before_it_signs_and_verifies_after(
    keys: KeySet, service_settings: Settings, database_url: str
) -> None:
    await keys.load()
    old, _ = keys.signing()
    new = await signing_keys.rotate(service_settings, HOUR)
    await keys.load()
    assert keys.signing()[0] == old
    assert [jwk.kid for jwk in keys.public()] == [new, old]
    assert await states(service_settings) == [(new, State.PUBLISHED), (old, State.SIGNING)]

    pass_time(database_url, HOUR)
    await keys.load()
    assert keys.signing()[0] == new
    assert await states(service_settings) == [(new, State.SIGNING), (old, State.RETIRED)]
    assert await keys.verifying(old) is not None
    await keys.remove_old()
    assert len(await states(service_settings)) == 2

    pass_time(database_url, VERIFIES_FOR)
    await keys.load()
    assert await keys.verifying(old) is None
    assert [jwk.kid for jwk in keys.public()] == [new]
    await keys.remove_old()
    assert await states(service_settings) == [(new, State.SIGNING)]
    with psycopg.connect(database_url) as conn:
        row = conn.execute(
            "SELECT sealed_private_key FROM signing_keys WHERE key_id = %s", (old,)
        ).fetchone()
    assert row == (b"",)


async def test_revoked_key_is_replaced_by_the_published_one_or_a_new_one(
    keys: KeySet, service_settings: Settings
) -> None:
    await keys.load()
    first, _ = keys.signing()
    second = await signing_keys.rotate(service_settings, HOUR)
    assert await signing_keys.revoke(service_settings, first) == second
    await keys.load()
    assert keys.signing()[0] == second
    assert not keys.has(first)

    third = await signing_keys.revoke(service_settings, second)
    assert third not in (first, second)
    await keys.load()
    assert [jwk.kid for jwk in keys.public()] == [third]
    for key_id in (first, second, "none"):
        with pytest.raises(ValueError, match="no key"):
            await signing_keys.revoke(service_settings, key_id)


async def test_revoking_a_key_that_does_not_sign_leaves_the_one_that_does(
    keys: KeySet, service_settings: Settings
) -> None:
    await keys.load()
    first, _ = keys.signing()
    second = await signing_keys.rotate(service_settings, HOUR)
    assert await signing_keys.revoke(service_settings, second) == first
    assert await states(service_settings) == [(first, State.SIGNING)]


async def test_retired_key_hands_over_and_verifies(
    keys: KeySet, service_settings: Settings
) -> None:
    await keys.load()
    first, _ = keys.signing()
    with pytest.raises(ValueError, match="rotate first"):
        await signing_keys.retire(service_settings, first)
    second = await signing_keys.rotate(service_settings, HOUR)
    await signing_keys.retire(service_settings, first)
    assert await states(service_settings) == [(second, State.SIGNING), (first, State.RETIRED)]
    with pytest.raises(ValueError, match="signs nothing"):
        await signing_keys.retire(service_settings, first)
    await keys.load()
    assert keys.signing()[0] == second
    assert keys.has(first)


async def test_retired_before_it_signs_a_key_never_does(
    keys: KeySet, service_settings: Settings, database_url: str
) -> None:
    await keys.load()
    first, _ = keys.signing()
    second = await signing_keys.rotate(service_settings, HOUR)
    await signing_keys.retire(service_settings, second)
    pass_time(database_url, 2 * HOUR)
    await keys.load()
    assert keys.signing()[0] == first
    assert not keys.has(second)


async def test_stray_key_is_revoked_by_name_and_is_never_left_as_the_oldest(
    keys: KeySet, service_settings: Settings, database_url: str
) -> None:
    await keys.load()
    first, _ = keys.signing()
    second = await signing_keys.rotate(service_settings)
    stray = await signing_keys.rotate(service_settings)
    with psycopg.connect(database_url) as conn:
        conn.execute("UPDATE signing_keys SET sealed_private_key = 'x' WHERE key_id = %s", (stray,))
    assert (await signing_keys.list_keys(service_settings))[0].life is None
    await signing_keys.revoke(service_settings, stray)
    assert [key_id for key_id, _ in await states(service_settings)] == [second, first]

    with psycopg.connect(database_url) as conn:
        conn.execute(
            "UPDATE signing_keys SET sealed_private_key = 'x' WHERE key_id = %s", (second,)
        )
    last = await signing_keys.revoke(service_settings, first)
    assert await states(service_settings) == [(last, State.SIGNING)]
