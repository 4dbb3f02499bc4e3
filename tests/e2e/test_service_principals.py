"""Sibling services: two live secrets, their end, and the end of the tokens given for them."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from balance_client import BalanceError, v1
from balance_service.domain.principals import Scope
from balance_service.operations import administration, service_principals
from tests.service import Service, reason

HOUR = timedelta(hours=1)


async def created(service: Service, life: timedelta | None = None) -> str:
    """The secret of `billing`, which may read accounts."""
    scopes = [Scope.ACCOUNTS_READ]
    return await administration.create_service_principal(
        service.settings, "billing", "", scopes, life
    )


async def sign_in(service: Service, secret: str, client_id: str = "billing") -> v1.Token:
    request = v1.CreateTokenRequest(client_id=client_id, client_secret=secret)
    return await service.client().auth.CreateToken(request)


def bearer(token: v1.Token) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token.token}"),)


async def accepted(service: Service, token: v1.Token) -> bool:
    """Whether a call with a token is not refused for the token."""
    request = v1.GetUserRequest(user="00000000-0000-4000-8000-000000000000")
    try:
        await service.client().users.GetUser(request, metadata=bearer(token))
    except BalanceError as error:
        return error.reason != "TOKEN_INVALID"
    return True


async def refused_soon(service: Service, token: v1.Token) -> None:
    """Waits for what other processes did to reach the service."""
    for _ in range(60):
        if not await accepted(service, token):
            return
        await asyncio.sleep(0.1)
    pytest.fail("the token is still accepted")


async def test_two_secrets_sign_in_until_the_first_expires(
    service: Service, database_url: str
) -> None:
    old = await created(service)
    new = (await service_principals.rotate(service.settings, "billing", old_life=HOUR)).secret
    for secret in (old, new):
        assert await accepted(service, await sign_in(service, secret))
    with pytest.raises(ValueError, match="2 live secrets"):
        await service_principals.rotate(service.settings, "billing")

    with psycopg.connect(database_url) as conn:
        rows = conn.execute("SELECT s::text, p::text FROM client_secrets s, service_principals p")
        assert not any(secret in text for row in rows for text in row for secret in (old, new))
        conn.execute("UPDATE client_secrets SET expires_at = expires_at - interval '1 hour'")
    assert await reason(sign_in(service, old)) == "CLIENT_CREDENTIALS_INVALID"
    await sign_in(service, new)
    # The one that expired is live no more, so a third may come.
    await service_principals.rotate(service.settings, "billing")
    await sign_in(service, new)


async def test_token_does_not_outlive_its_secret(service: Service) -> None:
    token = await sign_in(service, await created(service, timedelta(minutes=2)))
    assert 100 <= token.expires_in_seconds <= 120
    assert token.expire_time.ToDatetime(UTC) <= datetime.now(UTC) + timedelta(minutes=2)


async def test_revoked_secret_ends_its_tokens_and_not_those_of_the_other(service: Service) -> None:
    first = await sign_in(service, old := await created(service))
    new = await service_principals.rotate(service.settings, "billing")
    second = await sign_in(service, new.secret)
    shown = await service_principals.show(service.settings, "billing")
    assert shown.secrets[0].secret_id == new.secret_id
    old_id = shown.secrets[1].secret_id
    await service_principals.revoke_secret(service.settings, "billing", old_id)
    assert await reason(sign_in(service, old)) == "CLIENT_CREDENTIALS_INVALID"
    await refused_soon(service, first)
    assert await accepted(service, second)
    with pytest.raises(ValueError, match=str(old_id)):
        await service_principals.revoke_secret(service.settings, "billing", old_id)


async def test_revoked_principal_ends_all_its_tokens(service: Service) -> None:
    old = await created(service)
    new = (await service_principals.rotate(service.settings, "billing")).secret
    tokens = [await sign_in(service, secret) for secret in (old, new)]
    await service_principals.revoke(service.settings, "billing")
    for secret, token in zip((old, new), tokens, strict=True):
        assert await reason(sign_in(service, secret)) == "CLIENT_CREDENTIALS_INVALID"
        await refused_soon(service, token)
    for act in (service_principals.rotate, service_principals.revoke):
        with pytest.raises(ValueError, match="no service billing"):
            await act(service.settings, "billing")


async def test_day_of_last_use_is_kept(service: Service) -> None:
    secret = await created(service)

    async def used_on() -> date | None:
        return (await service_principals.show(service.settings, "billing")).secrets[0].used_on

    assert await used_on() is None
    assert await reason(sign_in(service, secret + "x")) == "CLIENT_CREDENTIALS_INVALID"
    assert await used_on() is None
    before = datetime.now(UTC).date()
    await sign_in(service, secret)
    assert before <= (await used_on() or date.min) <= datetime.now(UTC).date()


async def test_secret_that_an_earlier_version_stored_goes_on_and_can_be_replaced(
    service: Service, database_url: str
) -> None:
    secret = await created(service)
    with psycopg.connect(database_url) as conn:
        conn.execute("DELETE FROM client_secrets")
    token = await sign_in(service, secret)
    new = (await service_principals.rotate(service.settings, "billing")).secret
    for each in (secret, new):
        await sign_in(service, each)
    old_id = (await service_principals.show(service.settings, "billing")).secrets[1].secret_id
    await service_principals.revoke_secret(service.settings, "billing", old_id)
    await refused_soon(service, token)
    await sign_in(service, new)


async def test_earlier_versions_accept_the_newest_live_secret(
    service: Service, database_url: str
) -> None:
    await created(service)

    def copied() -> object:
        """Which secret stands where earlier versions look."""
        with psycopg.connect(database_url) as conn:
            return conn.execute(
                "SELECT (SELECT secret_id FROM client_secrets s WHERE s.secret_hash ="
                " p.secret_hash), p.secret_hash = '' FROM service_principals p"
            ).fetchone()

    first = (await service_principals.show(service.settings, "billing")).secrets[0].secret_id
    assert copied() == (first, False)
    second = (await service_principals.rotate(service.settings, "billing")).secret_id
    assert copied() == (second, False)
    await service_principals.revoke_secret(service.settings, "billing", second)
    assert copied() == (first, False)
    await service_principals.revoke_secret(service.settings, "billing", first)
    assert copied() == (None, True)
