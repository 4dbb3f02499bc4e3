"""Access and refresh tokens: their claims, their end, and every token that is none."""

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta

import grpc
import jwt
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from balance_client import AsyncUserCredentials, BalanceError, v1
from balance_service.auth import token_claims
from balance_service.operations import signing_keys
from tests.service import Service, StartService, refused
from tests.tokens import signed


async def test_access_token_says_who_for_whom_and_how_long(service: Service) -> None:
    person = await service.person()
    jwks = await service.client().auth.GetJwks(v1.GetJwksRequest())
    header = jwt.get_unverified_header(person.token.token)
    jwk = next(key for key in jwks.keys if key.kid == header["kid"])
    key = jwt.PyJWK({"kty": jwk.kty, "crv": jwk.crv, "x": jwk.x, "alg": jwk.alg})
    claims = jwt.decode(
        person.token.token, key, ["EdDSA"], audience="balance", issuer="balance-service"
    )
    assert header["alg"] == "EdDSA"
    assert claims["sub"] == f"user:{person.user_id}"
    assert (claims["role"], claims["scope"]) == ("user", "")
    assert {"jti", "iat", "exp", "sid"} <= claims.keys()
    assert claims["exp"] - claims["iat"] == 600


async def test_refresh_token_rotates_and_its_reuse_revokes_the_family(
    service: Service, database_url: str
) -> None:
    person = await service.person()
    client = service.client()
    first = v1.RefreshTokenRequest(refresh_token=person.token.refresh_token)
    second = await client.auth.RefreshToken(first)
    assert second.refresh_token != person.token.refresh_token
    again = AsyncUserCredentials(second)
    assert (await service.client(again).users.GetMe(v1.GetMeRequest())).id == person.user_id

    with psycopg.connect(database_url) as conn:
        conn.execute("UPDATE refresh_tokens SET used_at = used_at - interval '1 minute'")
    assert (await refused(client.auth.RefreshToken(first))).reason == "REFRESH_TOKEN_INVALID"
    successor = v1.RefreshTokenRequest(refresh_token=second.refresh_token)
    assert (await refused(client.auth.RefreshToken(successor))).reason == "REFRESH_TOKEN_INVALID"


async def test_revoked_sign_in_stops_its_access_tokens(service: Service) -> None:
    person = await service.person()
    request = v1.RevokeTokenRequest(refresh_token=person.token.refresh_token)
    await service.client().auth.RevokeToken(request)
    await service.client().auth.RevokeToken(request)
    metadata = (("authorization", f"Bearer {person.token.token}"),)
    error = await refused(service.client().users.GetMe(v1.GetMeRequest(), metadata=metadata))
    assert error.reason == "TOKEN_INVALID"
    # A client that can renew the token tries, and is told that the sign-in is over.
    error = await refused(person.client.users.GetMe(v1.GetMeRequest()))
    assert error.reason == "REFRESH_TOKEN_INVALID"


async def test_other_processes_learn_of_a_revocation(start_service: StartService) -> None:
    here, there = await start_service(), await start_service()
    person = await here.person()
    remote = there.client(AsyncUserCredentials(person.token))
    await remote.users.GetMe(v1.GetMeRequest())
    request = v1.RevokeTokenRequest(refresh_token=person.token.refresh_token)
    await here.client().auth.RevokeToken(request)
    for _ in range(60):
        try:
            await remote.users.GetMe(v1.GetMeRequest())
        except BalanceError as error:
            assert error.reason == "REFRESH_TOKEN_INVALID"
            return
        await asyncio.sleep(0.1)
    pytest.fail("the other process still accepts the token")


@pytest.mark.usefixtures("within")
async def test_rotated_key_signs_and_older_tokens_stay_good(service: Service) -> None:
    before = await service.person()
    key_id = await signing_keys.rotate(service.settings)
    await service.app.keys.load()
    after = await service.person()
    assert jwt.get_unverified_header(after.token.token)["kid"] == key_id
    for person in (before, after):
        await person.client.users.GetMe(v1.GetMeRequest())


@pytest.mark.usefixtures("within")
async def test_tokens_of_a_revoked_key_are_refused_wherever_they_were_used(
    service: Service,
) -> None:
    person = await service.person()
    await person.client.users.GetMe(v1.GetMeRequest())
    key_id = jwt.get_unverified_header(person.token.token)["kid"]
    await signing_keys.revoke(service.settings, key_id)
    metadata = (("authorization", f"Bearer {person.token.token}"),)
    # Without a restart: workers read the keys every two seconds.
    for _ in range(60):
        try:
            await service.client().users.GetMe(v1.GetMeRequest(), metadata=metadata)
        except BalanceError as error:
            assert error.reason == "TOKEN_INVALID"
            break
        await asyncio.sleep(0.1)
    else:
        pytest.fail("the token is still accepted")
    # The refresh token is no token of the key's: it gives one of the new key.
    await person.client.users.GetMe(v1.GetMeRequest())
    listed = await service.client().auth.GetJwks(v1.GetJwksRequest())
    assert key_id not in [key.kid for key in listed.keys]


def forged(token: str, **changes: object) -> str:
    """The token's claims under another key, or none."""
    claims = jwt.decode(token, options={"verify_signature": False})
    header = jwt.get_unverified_header(token)
    claims.update({k: v for k, v in changes.items() if k != "alg"})
    if changes.get("alg") == "none":
        return jwt.encode(claims, "", algorithm="none", headers={"kid": header["kid"]})
    if changes.get("alg") == "HS256":
        return jwt.encode(claims, "0" * 32, algorithm="HS256", headers={"kid": header["kid"]})
    key = Ed25519PrivateKey.generate()
    return jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": header["kid"]})


async def test_every_bad_token_is_refused(service: Service) -> None:
    person = await service.person()
    good = person.token.token
    past = int((datetime.now(UTC) - token_claims.LEEWAY).timestamp()) - 5
    head, body, signature = good.split(".")
    cases = {
        "": "TOKEN_MISSING",
        "garbage": "TOKEN_INVALID",
        "a.b.c": "TOKEN_INVALID",
        "x" * 5_000: "TOKEN_INVALID",
        f"{head}.{body}.": "TOKEN_INVALID",
        f"{head}.{body}.{signature[:-4]}AAAA": "TOKEN_INVALID",
        forged(good): "TOKEN_INVALID",
        forged(good, alg="none"): "TOKEN_INVALID",
        forged(good, alg="HS256"): "TOKEN_INVALID",
        forged(good, role="admin"): "TOKEN_INVALID",
        signed(service, good, aud="another"): "TOKEN_INVALID",
        signed(service, good, iss="another"): "TOKEN_INVALID",
        signed(service, good, sub="nobody"): "TOKEN_INVALID",
        signed(service, good, sub=None): "TOKEN_INVALID",
        signed(service, good, exp=None): "TOKEN_INVALID",
        signed(service, good, role="emperor"): "TOKEN_INVALID",
        signed(service, good, exp=past): "TOKEN_EXPIRED",
    }
    client = service.client()
    for token, reason in cases.items():
        metadata = grpc.aio.Metadata(("authorization", f"Bearer {token}")) if token else None
        error = await refused(client.users.GetMe(v1.GetMeRequest(), metadata=metadata))
        assert (error.code(), error.reason) == (grpc.StatusCode.UNAUTHENTICATED, reason), token
    basic = grpc.aio.Metadata(("authorization", "Basic Zm9vOmJhcg=="))
    error = await refused(client.users.GetMe(v1.GetMeRequest(), metadata=basic))
    assert error.reason == "TOKEN_INVALID"


def moved(seconds: float) -> int:
    """A time so many seconds from now, as claims have it."""
    return int((datetime.now(UTC) + timedelta(seconds=seconds)).timestamp())


def bearing(service: Service, token: str) -> Awaitable[v1.User]:
    metadata = grpc.aio.Metadata(("authorization", f"Bearer {token}"))
    return service.client().users.GetMe(v1.GetMeRequest(), metadata=metadata)


async def test_times_of_a_token_have_a_minute_of_leeway(service: Service) -> None:
    good = (await service.person()).token.token
    for changes in (
        {"iat": moved(1)},
        {"iat": moved(55), "exp": moved(600)},
        {"nbf": moved(55)},
        {"exp": moved(-55)},
    ):
        await bearing(service, signed(service, good, **changes))
    for changes, reason in (
        ({"iat": moved(65)}, "TOKEN_INVALID"),
        ({"nbf": moved(65)}, "TOKEN_INVALID"),
        ({"exp": moved(-65)}, "TOKEN_EXPIRED"),
        # No longer than tokens live now, for a revocation is not remembered longer.
        ({"iat": moved(-665), "exp": moved(600)}, "TOKEN_EXPIRED"),
    ):
        error = await refused(bearing(service, signed(service, good, **changes)))
        assert error.reason == reason, changes


@pytest.mark.usefixtures("within")
async def test_leeway_is_none_for_a_revoked_token(service: Service, database_url: str) -> None:
    person = await service.person()
    life = service.settings.access_token_seconds
    late = signed(service, person.token.token, iat=moved(-life - 50), exp=moved(-50))
    await bearing(service, late)
    request = v1.RevokeTokenRequest(refresh_token=person.token.refresh_token)
    await service.client().auth.RevokeToken(request)
    # As if it had been revoked right after it was issued, and others had learnt of it since.
    with psycopg.connect(database_url) as conn:
        conn.execute(
            "UPDATE sessions SET revoked_at = now() - make_interval(secs => %s)", (life + 50,)
        )
    await service.app.maintenance._sessions.load_ended()
    assert (await refused(bearing(service, late))).reason == "TOKEN_INVALID"


@pytest.mark.usefixtures("within")
async def test_unknown_key_is_a_bad_token_while_the_database_is_away(service: Service) -> None:
    good = (await service.person()).token.token
    claims = jwt.decode(good, options={"verify_signature": False})
    key = Ed25519PrivateKey.generate()
    strange = jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": "strange"})
    service.app.keys._loaded_at -= 3600
    await service.app.pool.close()
    assert (await refused(bearing(service, strange))).reason == "TOKEN_INVALID"
