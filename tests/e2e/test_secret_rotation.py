"""BALANCE_SECRET changes: what either secret made is good, and what is sealed is sealed again."""

from dataclasses import dataclass

import psycopg
import pytest
from pydantic import SecretStr

from balance_client import AsyncUserCredentials, v1
from balance_service.auth.keys import WrongSecret
from balance_service.domain.principals import Scope
from balance_service.operations import administration, secret_rotation
from tests.authenticators import Authenticator, ask_again, enrol
from tests.service import Person, Service, StartService, reason, rich

OLD = SecretStr("only-for-tests-and-long-enough-0123456789")
NEW = SecretStr("another-one-of-tests-and-long-enough-98765")
PAGE = v1.ListDepositsRequest(page_size=1)


@dataclass
class World:
    """What one secret made, to be used where another is the service's.

    Args:
        person: With a second factor and two deposits.
        visitor: Signed in, with nothing.
        page_token: Of the person's deposits.
        request: With a code that was sent to the person, but for the second factor's.
        client_secret: Of the service `billing`.
    """

    person: Person
    visitor: Person
    authenticator: Authenticator
    page_token: str
    request: v1.CreateTokenRequest
    client_secret: str


async def make(service: Service, database_url: str) -> World:
    person, account = await rich(service)
    await person.deposit("1", account)
    page = await person.client.deposits.ListDeposits(PAGE)
    authenticator = await enrol(person)
    client_secret = await administration.create_service_principal(
        service.settings, "billing", "", [Scope.ACCOUNTS_READ]
    )
    request = await ask_again(service, person.email, database_url)
    return World(
        person,
        await service.person(),
        authenticator,
        page.next_page_token,
        request,
        client_secret,
    )


async def page_on(service: Service, person: Person, page_token: str) -> v1.ListDepositsResponse:
    request = v1.ListDepositsRequest(page_size=1, page_token=page_token)
    metadata = (("authorization", f"Bearer {person.token.token}"),)
    return await service.client().deposits.ListDeposits(request, metadata=metadata)


async def sign_in(service: Service, request: v1.CreateTokenRequest, code: str) -> v1.Token:
    request.second_factor_code = code
    return await service.client().auth.CreateToken(request)


async def sign_in_billing(service: Service, secret: str) -> v1.Token:
    request = v1.CreateTokenRequest(client_id="billing", client_secret=secret)
    return await service.client().auth.CreateToken(request)


async def refresh(service: Service, refresh_token: str) -> str:
    request = v1.RefreshTokenRequest(refresh_token=refresh_token)
    return (await service.client().auth.RefreshToken(request)).refresh_token


async def assert_all_survive(there: Service, made: World, database_url: str) -> World:
    """Uses everything that another secret made; what stands in its place afterwards."""
    me = await there.client(AsyncUserCredentials(made.person.token)).users.GetMe(v1.GetMeRequest())
    assert me.id == made.person.user_id
    assert len((await page_on(there, made.person, made.page_token)).deposits) == 1
    await sign_in_billing(there, made.client_secret)
    # The code that was under way, with a code of the authenticator; and then a recovery code.
    await sign_in(there, made.request, made.authenticator.unused(database_url))
    again = await ask_again(there, made.person.email, database_url)
    await sign_in(there, again, made.authenticator.recovery_codes.pop())
    made.person.token.refresh_token = await refresh(there, made.person.token.refresh_token)
    return made


async def test_everything_survives_a_change_of_the_secret(
    start_service: StartService, database_url: str
) -> None:
    # Step 1: all processes learn the new secret before any of them uses it.
    before = await start_service(secret=OLD, previous_secret=NEW)
    made = await make(before, database_url)
    # Step 2: one after the other uses it, while others do not yet.
    during = await start_service(secret=NEW, previous_secret=OLD)
    made = await assert_all_survive(during, made, database_url)
    made.page_token = (await page_on(during, made.person, "")).next_page_token
    made.request = await ask_again(during, made.person.email, database_url)
    await assert_all_survive(before, made, database_url)
    # Step 3: what is sealed is sealed again.
    await sign_in_billing(during, made.client_secret)
    done = await secret_rotation.reseal(during.settings)
    assert (done.keys, done.second_factors) == (1, 1)
    assert (done.client_secrets, done.recovery_codes) == (0, 8)
    assert (await secret_rotation.reseal(during.settings))[:2] == (0, 0)
    visitor = made.visitor.token.refresh_token
    kept = await refresh(during, await refresh(during, made.person.token.refresh_token))
    # Step 4: the old secret is forgotten.
    after = await start_service(secret=NEW, previous_secret=SecretStr(""))
    credentials = AsyncUserCredentials(made.person.token)
    await after.client(credentials).users.GetMe(v1.GetMeRequest())
    await sign_in_billing(after, made.client_secret)
    request = await ask_again(after, made.person.email, database_url)
    code = made.authenticator.recovery_codes.pop()
    assert await reason(sign_in(after, request, code)) == "SECOND_FACTOR_INVALID"
    await sign_in(after, request, made.authenticator.unused(database_url))
    await refresh(after, kept)
    assert await reason(refresh(after, visitor)) == "REFRESH_TOKEN_INVALID"
    with pytest.raises(WrongSecret):
        await secret_rotation.reseal(
            before.settings.model_copy(update={"previous_secret": SecretStr("")})
        )


async def test_lost_answer_is_given_again_whichever_secret_made_it(
    start_service: StartService,
) -> None:
    old = await start_service(secret=OLD, previous_secret=NEW)
    new = await start_service(secret=NEW, previous_secret=OLD)
    person = await old.person()
    first = person.token.refresh_token
    second = await refresh(old, first)
    assert await refresh(new, first) == second
    third = await refresh(new, second)
    assert await refresh(old, second) == third
    # And a stolen token is found out as before.
    await refresh(old, third)
    assert await reason(refresh(new, first)) == "REFRESH_TOKEN_INVALID"
    assert await reason(refresh(old, third)) == "REFRESH_TOKEN_INVALID"


async def test_known_network_stays_known(start_service: StartService, database_url: str) -> None:
    old = await start_service(secret=OLD)
    person = await old.person()
    new = await start_service(secret=NEW, previous_secret=OLD)
    await ask_again(new, person.email, database_url)
    with psycopg.connect(database_url) as conn:
        row = conn.execute("SELECT bool_and(asker_known) FROM verifications").fetchone()
    assert row == (True,)
