"""Second factors: enrolled, proved at sign-in, recovered, removed, and required of operators."""

import asyncio

import jwt
import psycopg
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from balance_client import AsyncUserCredentials, BalanceError, v1
from tests.authenticators import Authenticator, ask_again, enrol
from tests.grpc import over_grpc
from tests.http import BY_METHOD
from tests.service import Person, Service, StartService, reason, refused

ENROL = v1.EnrolSecondFactorRequest()


def with_code(request: v1.CreateTokenRequest, code: str) -> v1.CreateTokenRequest:
    """The request, with a code of the second factor."""
    both = v1.CreateTokenRequest()
    both.CopyFrom(request)
    both.second_factor_code = code
    return both


def wrong(authenticator: Authenticator) -> str:
    """A code that the authenticator does not show soon."""
    shown = {authenticator.code(step) for step in range(-3, 4)}
    return next(code for code in ("000000", "111111", "222222", "333333") if code not in shown)


async def test_second_factor_is_needed_once_it_is_confirmed(
    service: Service, database_url: str
) -> None:
    person = await service.person()
    auth = service.client().auth
    shown = await person.client.users.EnrolSecondFactor(ENROL)
    assert shown.uri.startswith("otpauth://totp/")
    assert f"secret={shown.secret}" in shown.uri
    assert (await auth.CreateToken(await ask_again(service, person.email, database_url))).token

    authenticator = await enrol(person)
    assert authenticator.secret != shown.secret
    assert (await person.client.users.GetMe(v1.GetMeRequest())).second_factor
    request = await ask_again(service, person.email, database_url)
    # As often as one likes: the code of the mail stays good meanwhile.
    for _ in range(7):
        assert await reason(auth.CreateToken(request)) == "SECOND_FACTOR_REQUIRED"
    for _ in range(4):
        call = auth.CreateToken(with_code(request, wrong(authenticator)))
        assert await reason(call) == "SECOND_FACTOR_INVALID"
    code = authenticator.unused(database_url)
    assert (await auth.CreateToken(with_code(request, code))).token


async def test_form_without_verification_needs_the_second_factor_too(
    service: Service, database_url: str
) -> None:
    person = await service.person()
    authenticator = await enrol(person)
    sent = await ask_again(service, person.email, database_url)
    request = v1.CreateTokenRequest(email=person.email, confirmation_code=sent.confirmation_code)
    auth = service.client().auth
    for _ in range(7):
        assert await reason(auth.CreateToken(request)) == "SECOND_FACTOR_REQUIRED"
    code = authenticator.unused(database_url)
    assert (await auth.CreateToken(with_code(request, code))).token


async def test_code_of_a_step_is_good_once_and_none_before_it(
    service: Service, database_url: str
) -> None:
    person = await service.person()
    authenticator = await enrol(person)
    auth = service.client().auth
    request = await ask_again(service, person.email, database_url)
    # The step that confirmed the second factor is used up.
    for code in (authenticator.code(), authenticator.code(-1)):
        assert await reason(auth.CreateToken(with_code(request, code))) == "SECOND_FACTOR_INVALID"
    assert (await auth.CreateToken(with_code(request, authenticator.code(1)))).token
    request = await ask_again(service, person.email, database_url)
    for step in (1, 0):
        call = auth.CreateToken(with_code(request, authenticator.code(step)))
        assert await reason(call) == "SECOND_FACTOR_INVALID"


async def test_code_used_at_once_by_many_signs_in_one(
    start_service: StartService, database_url: str
) -> None:
    services = [await start_service(trusted_proxies="127.0.0.0/8") for _ in range(2)]
    person = await services[0].person()
    authenticator = await enrol(person)
    code = authenticator.unused(database_url)
    calls = []
    for index in range(8):
        client = services[index % 2].client()
        metadata = (("x-forwarded-for", f"198.51.100.{index}"),)
        send = v1.SendConfirmationCodeRequest(email=person.email)
        sent = await client.auth.SendConfirmationCode(send, metadata=metadata)
        request = v1.CreateTokenRequest(
            verification_id=sent.verification_id,
            confirmation_code=services[index % 2].mailbox.code(person.email),
            second_factor_code=code,
        )
        calls.append(client.auth.CreateToken(request, metadata=metadata))
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    refusals = [outcome for outcome in outcomes if isinstance(outcome, BalanceError)]
    assert [error.reason for error in refusals] == ["SECOND_FACTOR_INVALID"] * 7


async def test_recovery_codes_sign_in_once_each(service: Service, database_url: str) -> None:
    person = await service.person()
    authenticator = await enrol(person)
    codes = authenticator.recovery_codes
    assert len(set(codes)) == len(codes) == 10
    auth = service.client().auth
    for typed in (codes[0], codes[1].lower().replace("-", ""), codes[2].replace("0", "o")):
        request = await ask_again(service, person.email, database_url)
        assert (await auth.CreateToken(with_code(request, typed))).token
        request = await ask_again(service, person.email, database_url)
        call = auth.CreateToken(with_code(request, typed))
        assert await reason(call) == "SECOND_FACTOR_INVALID"


async def test_secrets_are_kept_sealed_and_codes_hashed(
    service: Service, database_url: str
) -> None:
    authenticator = await enrol(await service.person())
    with psycopg.connect(database_url) as conn:
        rows = conn.execute(
            "SELECT convert_from(sealed_secret, 'UTF8') FROM second_factors UNION ALL"
            " SELECT code_hash::text FROM recovery_codes"
        ).fetchall()
    kept = "".join(row[0] for row in rows)
    assert len(rows) == 11
    for secret in (authenticator.secret, *authenticator.recovery_codes):
        assert secret not in kept
        assert secret.replace("-", "") not in kept


async def test_wrong_codes_are_limited_by_asker_and_shut_out_nobody_else(
    start_service: StartService, database_url: str
) -> None:
    service = await start_service(trusted_proxies="127.0.0.0/8")
    person = await service.person()
    authenticator = await enrol(person)
    client, attacker = service.client(), (("x-forwarded-for", "198.51.100.1"),)
    send = v1.SendConfirmationCodeRequest(email=person.email)
    sent = await client.auth.SendConfirmationCode(send, metadata=attacker)
    stolen = v1.CreateTokenRequest(
        verification_id=sent.verification_id,
        confirmation_code=service.mailbox.code(person.email),
    )
    for _ in range(5):
        guess = with_code(stolen, wrong(authenticator))
        call = client.auth.CreateToken(guess, metadata=attacker)
        assert await reason(call) == "SECOND_FACTOR_INVALID"
    error = await refused(
        client.auth.CreateToken(with_code(stolen, authenticator.code(1)), metadata=attacker)
    )
    assert error.reason == "SECOND_FACTOR_LIMIT"
    assert 3600 < (error.retry_after_seconds or 0) <= 86_400 / 5
    mine = await ask_again(service, person.email, database_url)
    code = authenticator.unused(database_url)
    assert (await client.auth.CreateToken(with_code(mine, code))).token


async def test_limit_holds_for_many_at_once_on_several_workers(
    start_service: StartService,
) -> None:
    services = [await start_service(), await start_service()]
    person = await services[0].person()
    remove = v1.RemoveSecondFactorRequest(code=wrong(await enrol(person)))
    clients = [service.client(AsyncUserCredentials(person.token)) for service in services]
    calls = [clients[index % 2].users.RemoveSecondFactor(remove) for index in range(20)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    told = [outcome.reason for outcome in outcomes if isinstance(outcome, BalanceError)]
    assert sorted(told) == ["SECOND_FACTOR_INVALID"] * 5 + ["SECOND_FACTOR_LIMIT"] * 15


async def test_confirmation_keeps_its_own_session_and_ends_the_others(
    service: Service, database_url: str
) -> None:
    person = await service.person()
    request = await ask_again(service, person.email, database_url)
    elsewhere = await service.client().auth.CreateToken(request)
    await enrol(person)
    refresh = v1.RefreshTokenRequest
    auth = service.client().auth
    assert (await auth.RefreshToken(refresh(refresh_token=person.token.refresh_token))).token
    call = auth.RefreshToken(refresh(refresh_token=elsewhere.refresh_token))
    assert await reason(call) == "REFRESH_TOKEN_INVALID"


async def test_nothing_is_confirmed_without_a_right_code(service: Service) -> None:
    users = (await service.person()).client.users
    confirm = v1.ConfirmSecondFactorRequest(code="123456")
    assert await reason(users.ConfirmSecondFactor(confirm)) == "SECOND_FACTOR_INVALID"
    shown = await users.EnrolSecondFactor(ENROL)
    code = wrong(Authenticator(shown.secret, []))
    for _ in range(4):
        call = users.ConfirmSecondFactor(v1.ConfirmSecondFactorRequest(code=code))
        assert await reason(call) == "SECOND_FACTOR_INVALID"
    right = v1.ConfirmSecondFactorRequest(code=Authenticator(shown.secret, []).code())
    assert await reason(users.ConfirmSecondFactor(right)) == "SECOND_FACTOR_LIMIT"
    assert not (await users.GetMe(v1.GetMeRequest())).second_factor


async def test_second_factor_is_removed_by_who_proves_it(
    service: Service, database_url: str
) -> None:
    person = await service.person()
    authenticator = await enrol(person)
    users = person.client.users
    remove = v1.RemoveSecondFactorRequest(code=wrong(authenticator))
    assert await reason(users.RemoveSecondFactor(remove)) == "SECOND_FACTOR_INVALID"
    remove.code = authenticator.recovery_codes[0]
    assert not (await users.RemoveSecondFactor(remove)).second_factor
    request = await ask_again(service, person.email, database_url)
    assert (await service.client().auth.CreateToken(request)).token
    again = await enrol(person)
    assert set(again.recovery_codes).isdisjoint(authenticator.recovery_codes)
    request = await ask_again(service, person.email, database_url)
    old = with_code(request, authenticator.recovery_codes[1])
    assert await reason(service.client().auth.CreateToken(old)) == "SECOND_FACTOR_INVALID"


async def test_admin_resets_what_another_lost(service: Service, database_url: str) -> None:
    admin, person = await service.admin(), await service.person()
    await enrol(person)
    reset = v1.ResetSecondFactorRequest(user=person.user_id)
    stranger = await service.person()
    assert await reason(stranger.client.users.ResetSecondFactor(reset)) == "PERMISSION_MISSING"
    own = v1.ResetSecondFactorRequest(user=admin.user_id)
    assert await reason(admin.client.users.ResetSecondFactor(own)) == "INVALID_FIELD"
    assert not (await admin.client.users.ResetSecondFactor(reset)).second_factor
    refresh = v1.RefreshTokenRequest(refresh_token=person.token.refresh_token)
    assert await reason(service.client().auth.RefreshToken(refresh)) == "REFRESH_TOKEN_INVALID"
    request = await ask_again(service, person.email, database_url)
    assert (await service.client().auth.CreateToken(request)).token


def role(token: str) -> str:
    return str(jwt.decode(token, options={"verify_signature": False})["role"])


async def test_operators_are_plain_users_until_they_prove_a_second_factor(
    start_service: StartService, database_url: str
) -> None:
    service = await start_service(second_factor_required=True)
    admin = await service.admin()
    assert role(admin.token.token) == "user"
    listing = v1.ListUsersRequest()
    assert await reason(admin.client.users.ListUsers(listing)) == "PERMISSION_MISSING"
    authenticator = await enrol(admin)
    refresh = v1.RefreshTokenRequest(refresh_token=admin.token.refresh_token)
    token = await service.client().auth.RefreshToken(refresh)
    assert role(token.token) == "admin"
    client = service.client(AsyncUserCredentials(token))
    assert (await client.users.ListUsers(listing)).users

    request = await ask_again(service, admin.email, database_url)
    code = authenticator.unused(database_url)
    anew = await service.client().auth.CreateToken(with_code(request, code))
    assert role(anew.token) == "admin"
    remove = v1.RemoveSecondFactorRequest(code=authenticator.recovery_codes[0])
    await client.users.RemoveSecondFactor(remove)
    refresh = v1.RefreshTokenRequest(refresh_token=anew.refresh_token)
    assert role((await service.client().auth.RefreshToken(refresh)).token) == "user"


async def test_moderator_needs_one_where_it_is_required_and_not_elsewhere(
    start_service: StartService, database_url: str
) -> None:
    lax, strict = await start_service(), await start_service(second_factor_required=True)
    admin, person = await lax.admin(), await lax.person()
    promote = v1.UpdateUserRequest(
        id=person.user_id,
        user=v1.User(role=v1.ROLE_MODERATOR),
        update_mask=FieldMask(paths=["role"]),
    )
    await admin.client.users.UpdateUser(promote)
    for service, expected in ((lax, "moderator"), (strict, "user")):
        request = await ask_again(service, person.email, database_url)
        token = await service.client().auth.CreateToken(request)
        assert role(token.token) == expected


@pytest.mark.parametrize("over_http", [False, True])
async def test_confirm_and_remove_are_the_same_both_ways(service: Service, over_http: bool) -> None:
    person: Person = await service.person()

    async def call(name: str, **fields: str) -> dict[str, object]:
        binding = BY_METHOD[f"/balance.v1.UserService/{name}"]
        request = getattr(v1, f"{name}Request")(**fields)
        if over_http:
            answer = await person.http.call(binding, request)
            assert answer.status == 200, answer
            told: dict[str, object] = answer.json
            return told
        answered = await over_grpc(service, binding, request, person.token.token)
        assert answered.answer is not None
        return {field.name: value for field, value in answered.answer.ListFields()}

    secret = str((await call("EnrolSecondFactor"))["secret"])
    codes = await call("ConfirmSecondFactor", code=Authenticator(secret, []).code())
    recovery = list(codes["recovery_codes"])  # type: ignore[call-overload]
    assert len(recovery) == 10
    user = await call("RemoveSecondFactor", code=recovery[0])
    assert (user["id"], user.get("second_factor", False)) == (person.user_id, False)
