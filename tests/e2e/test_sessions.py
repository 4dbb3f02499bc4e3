"""Sign-ins of users: listed and ended, by themselves and by admins; a lost refresh; an address."""

import asyncio
from collections.abc import Awaitable

import grpc
import psycopg
import pytest

from balance_client import AsyncClient, BalanceError, v1
from tests.authenticators import ask_again, enrol
from tests.service import Person, Service, StartService, reason, refused

ME, LIST = v1.GetMeRequest(), v1.ListSessionsRequest()


async def sign_in_again(service: Service, person: Person, database_url: str) -> v1.Token:
    request = await ask_again(service, person.email, database_url)
    return await service.client().auth.CreateToken(request)


def bearing(client: AsyncClient, token: v1.Token) -> Awaitable[v1.User]:
    """A call with an access token, which is not renewed."""
    return client.users.GetMe(ME, metadata=(("authorization", f"Bearer {token.token}"),))


def refresh(service: Service, token: v1.Token) -> Awaitable[v1.Token]:
    request = v1.RefreshTokenRequest(refresh_token=token.refresh_token)
    return service.client().auth.RefreshToken(request)


async def stops(client: AsyncClient, token: v1.Token) -> None:
    """Returns once an access token is refused; another worker learns that within two seconds."""
    for _ in range(100):
        try:
            await bearing(client, token)
        except BalanceError as error:
            assert error.reason == "TOKEN_INVALID"
            return
        await asyncio.sleep(0.1)
    pytest.fail("the token still works")


async def test_user_lists_and_ends_own_sessions(service: Service, database_url: str) -> None:
    person, stranger = await service.person(), await service.person()
    second = await sign_in_again(service, person, database_url)
    third = await sign_in_again(service, person, database_url)
    users = person.client.users
    listed = (await users.ListSessions(LIST)).sessions
    assert [session.current for session in listed] == [False, False, True]
    assert not any(session.HasField("refresh_time") for session in listed)
    assert all(session.create_time.seconds < session.expire_time.seconds for session in listed)

    theirs = v1.EndSessionRequest(session=listed[0].id)
    assert await reason(stranger.client.users.EndSession(theirs)) == "SESSION_NOT_FOUND"
    for _ in range(2):
        await users.EndSession(theirs)
    await stops(service.client(), third)
    assert await reason(refresh(service, third)) == "REFRESH_TOKEN_INVALID"
    await refresh(service, second)
    listed = (await users.ListSessions(LIST)).sessions
    assert [session.HasField("refresh_time") for session in listed] == [True, False]


async def test_user_ends_the_other_sessions_or_all(
    start_service: StartService, database_url: str
) -> None:
    here, there = await start_service(), await start_service()
    person = await here.person()
    other = await sign_in_again(here, person, database_url)
    await person.client.users.EndSessions(v1.EndSessionsRequest())
    await stops(there.client(), other)
    assert (await bearing(there.client(), person.token)).id == person.user_id
    await person.client.users.EndSessions(v1.EndSessionsRequest(include_current=True))
    await stops(there.client(), person.token)
    assert await reason(refresh(here, person.token)) == "REFRESH_TOKEN_INVALID"


async def test_admin_ends_all_sessions_of_a_user(service: Service, database_url: str) -> None:
    admin, person = await service.admin(), await service.person()
    other = await sign_in_again(service, person, database_url)
    request = v1.EndUserSessionsRequest(user=person.user_id)
    assert await reason(person.client.users.EndUserSessions(request)) == "PERMISSION_MISSING"
    for _ in range(2):
        await admin.client.users.EndUserSessions(request)
    for token in (person.token, other):
        await stops(service.client(), token)
    await sign_in_again(service, person, database_url)
    nobody = v1.EndUserSessionsRequest(user="0190a1b2-0000-7000-8000-00000000abcd")
    assert await reason(admin.client.users.EndUserSessions(nobody)) == "USER_NOT_FOUND"


async def test_disabled_user_cannot_sign_in_until_enabled(
    start_service: StartService, database_url: str
) -> None:
    service, there = await start_service(), await start_service()
    admin, person = await service.admin(), await service.person()
    account = await person.open()
    disable = v1.DisableUserRequest(user=person.user_id)
    disabled = await admin.client.users.DisableUser(disable)
    assert disabled.HasField("disable_time")
    again = await admin.client.users.DisableUser(disable)
    assert (again.disable_time, again.etag) == (disabled.disable_time, disabled.etag)
    await stops(there.client(), person.token)
    assert await reason(refresh(service, person.token)) == "REFRESH_TOKEN_INVALID"
    error = await refused(sign_in_again(service, person, database_url))
    assert (error.code(), error.reason) == (grpc.StatusCode.PERMISSION_DENIED, "USER_DISABLED")
    # Their money is not touched.
    read = v1.GetAccountRequest(account=account.id)
    assert (await admin.client.accounts.GetAccount(read)).status == v1.ACCOUNT_STATUS_ACTIVE
    enabled = await admin.client.users.EnableUser(v1.EnableUserRequest(user=person.user_id))
    assert not enabled.HasField("disable_time")
    assert (await sign_in_again(service, person, database_url)).token


async def test_admins_disable_others_only(service: Service) -> None:
    admin, person = await service.admin(), await service.person()
    own = v1.DisableUserRequest(user=admin.user_id.upper())
    error = await refused(admin.client.users.DisableUser(own))
    assert [violation.field for violation in error.violations] == ["user"]
    other = v1.DisableUserRequest(user=admin.user_id)
    assert await reason(person.client.users.DisableUser(other)) == "PERMISSION_MISSING"
    rehearsed = v1.DisableUserRequest(user=person.user_id, validate_only=True)
    assert (await admin.client.users.DisableUser(rehearsed)).HasField("disable_time")
    assert (await person.client.users.GetMe(ME)).id == person.user_id


async def test_sign_in_beside_a_disabling_leaves_no_session(
    service: Service, database_url: str
) -> None:
    admin = await service.admin()
    for _ in range(10):
        person = await service.person()
        request = await ask_again(service, person.email, database_url)
        await asyncio.gather(
            service.client().auth.CreateToken(request),
            refresh(service, person.token),
            admin.client.users.DisableUser(v1.DisableUserRequest(user=person.user_id)),
            return_exceptions=True,
        )
        with psycopg.connect(database_url) as conn:
            row = conn.execute(
                "SELECT count(*) FROM sessions WHERE user_id = %s AND revoked_at IS NULL",
                (person.user_id,),
            ).fetchone()
        assert row == (0,)


async def test_refresh_whose_answer_was_lost_is_answered_again(
    start_service: StartService,
) -> None:
    services = [await start_service(), await start_service()]
    person = await services[0].person()
    first = await refresh(services[0], person.token)
    again = await asyncio.gather(*(refresh(services[n % 2], person.token) for n in range(20)))
    assert {token.refresh_token for token in again} == {first.refresh_token}
    assert (await bearing(services[1].client(), again[0])).id == person.user_id
    second = await refresh(services[0], first)
    # Once the successor is used, the answer had come: the old token is in other hands.
    assert await reason(refresh(services[0], person.token)) == "REFRESH_TOKEN_INVALID"
    assert await reason(refresh(services[1], second)) == "REFRESH_TOKEN_INVALID"


async def test_refreshes_at_once_have_one_successor(start_service: StartService) -> None:
    services = [await start_service(), await start_service()]
    person = await services[0].person()
    found = await asyncio.gather(*(refresh(services[n % 2], person.token) for n in range(20)))
    assert len({token.refresh_token for token in found}) == 1


async def test_grace_ends(service: Service, database_url: str) -> None:
    person = await service.person()
    first = await refresh(service, person.token)
    with psycopg.connect(database_url) as conn:
        conn.execute("UPDATE refresh_tokens SET used_at = used_at - interval '11 seconds'")
    assert await reason(refresh(service, person.token)) == "REFRESH_TOKEN_INVALID"
    assert await reason(refresh(service, first)) == "REFRESH_TOKEN_INVALID"


async def change(
    service: Service, person: Person, new: str, database_url: str
) -> v1.ChangeEmailRequest:
    """Has both addresses confirmed; the request that changes one into the other."""
    old = await ask_again(service, person.email, database_url)
    other = await ask_again(service, new, database_url)
    return v1.ChangeEmailRequest(
        verification_id=old.verification_id,
        confirmation_code=old.confirmation_code,
        new_verification_id=other.verification_id,
        new_confirmation_code=other.confirmation_code,
    )


async def test_address_is_changed_once_both_are_confirmed(
    service: Service, database_url: str
) -> None:
    person = await service.person()
    other = await sign_in_again(service, person, database_url)
    request = await change(service, person, "new@example.com", database_url)
    changed = await person.client.users.ChangeEmail(request)
    assert (changed.id, changed.email) == (person.user_id, "new@example.com")
    assert await reason(person.client.users.ChangeEmail(request)) == "CONFIRMATION_CODE_INVALID"
    assert await reason(refresh(service, other)) == "REFRESH_TOKEN_INVALID"
    assert (await person.client.users.GetMe(ME)).email == "new@example.com"
    for email, same in (("new@example.com", True), (person.email, False)):
        anew = await ask_again(service, email, database_url)
        token = await service.client().auth.CreateToken(anew)
        assert ((await bearing(service.client(), token)).id == person.user_id) == same


async def test_address_is_not_changed_without_both_or_into_anothers(
    service: Service, database_url: str
) -> None:
    person, other = await service.person(), await service.person()
    users = person.client.users
    request = await change(service, person, "new@example.com", database_url)
    for field in ("confirmation_code", "new_confirmation_code"):
        wrong = v1.ChangeEmailRequest()
        wrong.CopyFrom(request)
        code = f"{(int(getattr(request, field)) + 1) % 10**8:08d}"
        setattr(wrong, field, code)
        assert await reason(users.ChangeEmail(wrong)) == "CONFIRMATION_CODE_INVALID"
    # Of somebody else's address, to one's own sign-in.
    assert await reason(other.client.users.ChangeEmail(request)) == "CONFIRMATION_CODE_INVALID"
    taken = await change(service, person, other.email, database_url)
    assert await reason(users.ChangeEmail(taken)) == "EMAIL_TAKEN"
    assert (await users.GetMe(ME)).email == person.email
    # Neither of these spent the codes.
    assert (await users.ChangeEmail(request)).email == "new@example.com"


async def test_address_is_changed_with_the_second_factor_of_who_has_one(
    service: Service, database_url: str
) -> None:
    person = await service.person()
    authenticator = await enrol(person)
    request = await change(service, person, "new@example.com", database_url)
    users = person.client.users
    assert await reason(users.ChangeEmail(request)) == "SECOND_FACTOR_REQUIRED"
    request.second_factor_code = authenticator.recovery_codes[0]
    assert (await users.ChangeEmail(request)).email == "new@example.com"
