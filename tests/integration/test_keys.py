"""Signing keys: a wrong secret stores nothing, and a key that cannot be read stops nobody."""

import asyncio
import secrets as random_source
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr

from balance_service.auth import keys
from balance_service.auth.keys import KeySet, WrongSecret
from balance_service.auth.sealing import Secrets
from balance_service.config import Settings
from balance_service.database import pool as pools
from balance_service.database.pool import Pool
from balance_service.domain import errors, ids
from balance_service.domain.audit import Actor
from balance_service.domain.principals import Scope
from balance_service.operations import administration
from balance_service.repositories import credentials

RIGHT = Secrets("only-for-tests-and-long-enough-0123456789")
WRONG = Secrets("another-one-of-tests-and-long-enough-98765")


@pytest.fixture
def wrong(service_settings: Settings) -> Settings:
    """The test's settings with another secret."""
    return service_settings.model_copy(
        update={"secret": SecretStr(random_source.token_urlsafe(48))}
    )


@pytest.fixture
def stored(database_url: str) -> Callable[[], list[tuple[object, ...]]]:
    """Everything that depends on the secret."""

    def read() -> list[tuple[object, ...]]:
        with psycopg.connect(database_url) as conn:
            return conn.execute(
                "SELECT key_id, sealed_private_key FROM signing_keys"
                " UNION ALL SELECT client_id, secret_hash FROM service_principals ORDER BY 1"
            ).fetchall()

    return read


async def store(pool: Pool, secrets: Secrets, age: timedelta = timedelta(0)) -> str:
    """Stores a key as earlier versions did: whatever the others were sealed with."""
    key = credentials.SigningKey(
        ids.new_id().hex,
        secrets.seal(Ed25519PrivateKey.generate().private_bytes_raw(), "signing keys"),
        bytes(32),
        datetime.now(UTC) - age,
    )
    async with pools.transaction(pool) as conn:
        await credentials.insert_signing_key(conn, key)
    return key.key_id


async def test_wrong_secret_stores_nothing(
    service_settings: Settings, wrong: Settings, stored: Callable[[], list[tuple[object, ...]]]
) -> None:
    await administration.rotate_keys(service_settings)
    before = stored()
    with pytest.raises(WrongSecret, match="BALANCE_SECRET"):
        await administration.rotate_keys(wrong)
    with pytest.raises(WrongSecret):
        await administration.create_service_principal(wrong, "billing", "", [Scope.DEPOSITS_WRITE])
    with pytest.raises(WrongSecret):
        await administration.prove_secret(wrong)
    assert stored() == before
    await administration.rotate_keys(service_settings)
    await administration.create_service_principal(service_settings, "billing", "", [])
    assert len(stored()) == len(before) + 2


async def test_first_service_principal_binds_the_database_to_its_secret(
    service_settings: Settings, wrong: Settings
) -> None:
    await administration.create_service_principal(service_settings, "billing", "", [])
    with pytest.raises(WrongSecret):
        await administration.rotate_keys(wrong)


async def test_refused_service_principal_stores_nothing(
    service_settings: Settings, stored: Callable[[], list[tuple[object, ...]]]
) -> None:
    for client_id in ("", "x", "X1", "1x", "a_b", "a b", "a" * 41, "ab\n", "имя"):
        with pytest.raises(errors.InvalidFields):
            await administration.create_service_principal(service_settings, client_id, "", [])
    assert stored() == []


@pytest.mark.parametrize("email", ["", "nobody", "=?utf-8?q?=76?=@example.com", "a@b.cd\nx"])
async def test_admin_of_no_address_is_refused(
    service_settings: Settings, database_url: str, email: str
) -> None:
    with pytest.raises(errors.InvalidFields):
        await administration.create_admin(service_settings, email)
    with psycopg.connect(database_url) as conn:
        assert conn.execute("SELECT count(*) FROM users").fetchone() == (0,)


async def test_processes_that_start_at_once_make_one_key(
    pool: Pool, stored: Callable[[], list[tuple[object, ...]]]
) -> None:
    sets = [KeySet(pool, RIGHT) for _ in range(8)]
    await asyncio.gather(*(each.load() for each in sets))
    assert len(stored()) == 1
    assert len({each.signing()[0] for each in sets}) == 1


async def test_of_two_secrets_at_once_one_is_refused(
    pool: Pool, stored: Callable[[], list[tuple[object, ...]]]
) -> None:
    sets = [KeySet(pool, secrets) for secrets in (RIGHT, WRONG) * 4]
    results = await asyncio.gather(*(each.load() for each in sets), return_exceptions=True)
    assert sorted(str(type(result)) for result in results) == sorted(
        [str(type(None))] * 4 + [str(WrongSecret)] * 4
    )
    assert len(stored()) == 1


@pytest.mark.parametrize("age", [timedelta(0), timedelta(days=1)])
async def test_key_that_cannot_be_read_stops_nobody(pool: Pool, age: timedelta) -> None:
    found = KeySet(pool, RIGHT)
    await found.load()
    key_id, key = found.signing()
    stray = await store(pool, WRONG, age)
    again = KeySet(pool, RIGHT)
    await again.load()
    assert again.signing()[0] == key_id
    assert [each.kid for each in again.public()] == [key_id]
    assert await again.verifying(stray) is None
    assert await again.verifying(key_id) == key.public_key()


async def test_stray_key_gives_its_secret_no_right_to_store(
    pool: Pool, stored: Callable[[], list[tuple[object, ...]]]
) -> None:
    await KeySet(pool, RIGHT).load()
    await store(pool, WRONG)
    before = stored()
    with pytest.raises(WrongSecret):
        await KeySet(pool, WRONG).rotate(Actor())
    assert stored() == before
    rotated = KeySet(pool, RIGHT)
    assert await rotated.rotate(Actor()) == rotated.signing()[0]


async def test_unknown_key_is_looked_up_now_and_then(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = 0
    read = credentials.signing_keys

    async def counted(conn: pools.Connection) -> list[credentials.SigningKey]:
        nonlocal reads
        reads += 1
        return await read(conn)

    found = KeySet(pool, RIGHT)
    await found.load()
    monkeypatch.setattr(credentials, "signing_keys", counted)
    monkeypatch.setattr(keys, "RELOAD_INTERVAL_SECONDS", 3600.0)
    for index in range(100):
        assert await found.verifying(f"random-{index}") is None
    assert reads == 0
    found._loaded_at -= 7200
    new = await store(pool, RIGHT)
    asked = [found.verifying(key_id) for key_id in ("x", new, "y", new) * 10]
    answers = await asyncio.gather(*asked)
    # Those who ask while it is looked up wait for it, and all know the same then.
    assert [answer is not None for answer in answers] == [False, True, False, True] * 10
    assert reads == 1


async def test_failed_reload_means_that_there_is_no_such_key(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0

    async def away(conn: pools.Connection) -> list[credentials.SigningKey]:
        nonlocal tries
        tries += 1
        raise psycopg.OperationalError("away")

    found = KeySet(pool, RIGHT)
    await found.load()
    key_id, _ = found.signing()
    monkeypatch.setattr(credentials, "signing_keys", away)
    found._loaded_at -= 7200
    for index in range(10):
        assert await found.verifying(f"random-{index}") is None
    assert tries == 1
    assert await found.verifying(key_id) is not None
