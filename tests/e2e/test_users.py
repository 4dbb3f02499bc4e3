"""UserService, through the client."""

import asyncio

import grpc
import jwt
import psycopg
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from balance_client import AsyncUserCredentials, BalanceError, async_each, v1
from tests.service import Person, Service, reason


def update(paths: str, **values: object) -> v1.UpdateMeRequest:
    return v1.UpdateMeRequest(
        user=v1.User(**values),  # type: ignore[arg-type]
        update_mask=FieldMask(paths=paths.split(",") if paths else []),
    )


async def test_profile_is_changed_only_where_the_mask_says(service: Service) -> None:
    person = await service.person()
    before = await person.client.users.GetMe(v1.GetMeRequest())
    after = await person.client.users.UpdateMe(
        update("first_name,bio", first_name="Анна", bio="Hi", last_name="ignored", username="x")
    )
    assert (after.first_name, after.bio) == ("Анна", "Hi")
    assert (after.last_name, after.username) == (before.last_name, before.username)
    assert after == await person.client.users.GetMe(v1.GetMeRequest())
    assert after.etag != before.etag


async def test_nobody_changes_their_own_role(service: Service) -> None:
    person, admin = await service.person(), await service.admin()
    request = update("role", role=v1.ROLE_ADMIN)
    assert await reason(person.client.users.UpdateMe(request)) == "INVALID_FIELD"
    own = v1.UpdateUserRequest(
        id=admin.user_id,
        user=v1.User(role=v1.ROLE_USER),
        update_mask=FieldMask(paths=["role"]),
    )
    assert await reason(admin.client.users.UpdateUser(own)) == "INVALID_FIELD"
    everything = await person.client.users.UpdateMe(update("*", username="anna.k", role=3))
    assert everything.role == v1.ROLE_USER


@pytest.mark.parametrize(
    ("paths", "values", "field"),
    [
        ("", {}, "update_mask"),
        ("email", {"email": "x@example.com"}, "update_mask"),
        ("id", {}, "update_mask"),
        ("nonsense", {}, "update_mask"),
        ("bio", {"bio": "x" * 201}, "user.bio"),
        ("bio", {"bio": "a\x00b"}, "user.bio"),
        ("first_name", {"first_name": "x" * 151}, "user.first_name"),
        ("last_name", {"last_name": "x" * 151}, "user.last_name"),
        ("username", {"username": ""}, "user.username"),
        ("username", {"username": "ab"}, "user.username"),
        ("username", {"username": "1abc"}, "user.username"),
        ("username", {"username": "a b c"}, "user.username"),
        ("username", {"username": "x" * 31}, "user.username"),
        ("username", {"username": "имя"}, "user.username"),
    ],
)
async def test_bad_profile_is_refused_by_field(
    service: Service, paths: str, values: dict[str, object], field: str
) -> None:
    person = await service.person()
    before = await person.client.users.GetMe(v1.GetMeRequest())
    with pytest.raises(BalanceError) as error:
        await person.client.users.UpdateMe(update(paths, **values))
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert [violation.field for violation in error.value.violations] == [field]
    assert await person.client.users.GetMe(v1.GetMeRequest()) == before


async def test_bio_of_exactly_200_characters_is_kept(service: Service) -> None:
    person = await service.person()
    after = await person.client.users.UpdateMe(update("bio", bio="я" * 200))
    assert len(after.bio) == 200


async def test_username_is_unique_regardless_of_case(service: Service) -> None:
    anna, boris = await service.person(), await service.person()
    await anna.client.users.UpdateMe(update("username", username="Anna"))
    call = boris.client.users.UpdateMe(update("username", username="aNNa"))
    assert await reason(call) == "USERNAME_TAKEN"


async def test_stale_etag_changes_nothing(service: Service) -> None:
    person = await service.person()
    first = await person.client.users.UpdateMe(update("bio", bio="one"))
    await person.client.users.UpdateMe(update("bio", bio="two", etag=first.etag))
    call = person.client.users.UpdateMe(update("bio", bio="three", etag=first.etag))
    assert await reason(call) == "ETAG_MISMATCH"
    assert (await person.client.users.GetMe(v1.GetMeRequest())).bio == "two"


async def test_same_request_id_is_answered_the_same(service: Service) -> None:
    person = await service.person()
    request = update("bio", bio="one")
    request.request_id = "0190a1b2-0000-7000-8000-000000000001"
    first = await person.client.users.UpdateMe(request)
    await person.client.users.UpdateMe(update("bio", bio="two"))
    call = person.client.users.UpdateMe(request)
    assert await call == first
    trailers = await call.trailing_metadata()
    assert ("idempotency-replayed", "true") in tuple(trailers)
    request.user.bio = "three"
    with pytest.raises(BalanceError) as error:
        await person.client.users.UpdateMe(request)
    assert error.value.reason == "IDEMPOTENCY_KEY_REUSED"
    assert error.value.metadata["fields"] == "user"
    assert (await person.client.users.GetMe(v1.GetMeRequest())).bio == "two"


async def test_admin_lists_searches_and_pages(service: Service) -> None:
    admin = await service.admin()
    people = [await service.person() for _ in range(5)]
    for index, person in enumerate(people):
        await person.client.users.UpdateMe(update("username", username=f"Find_me{index}"))
    request = v1.ListUsersRequest(search="find_ME", page_size=2)
    found = [u async for u in async_each(admin.client.users.ListUsers, request, lambda p: p.users)]
    assert [user.username for user in found] == [f"Find_me{index}" for index in range(5)]
    # In LIKE, "_" and "%" would match anything.
    nothing = await admin.client.users.ListUsers(v1.ListUsersRequest(search="find%"))
    assert not nothing.users


async def test_admin_changes_a_role_and_the_user_signs_in_anew(service: Service) -> None:
    admin, person = await service.admin(), await service.person()
    request = v1.UpdateUserRequest(
        id=person.user_id,
        user=v1.User(role=v1.ROLE_MODERATOR),
        update_mask=FieldMask(paths=["role"]),
    )
    assert (await admin.client.users.UpdateUser(request)).role == v1.ROLE_MODERATOR
    refresh = v1.RefreshTokenRequest(refresh_token=person.token.refresh_token)
    assert await reason(service.client().auth.RefreshToken(refresh)) == "REFRESH_TOKEN_INVALID"


def demotion(user_id: str) -> v1.UpdateUserRequest:
    return v1.UpdateUserRequest(
        id=user_id, user=v1.User(role=v1.ROLE_USER), update_mask=FieldMask(paths=["role"])
    )


async def test_sign_in_waits_for_a_demotion_under_way(service: Service, database_url: str) -> None:
    admin = await service.admin()
    with psycopg.connect(database_url) as conn:
        conn.execute("UPDATE sign_in_quotas SET full_at = full_at - interval '1 minute'")
    public = service.client()
    request = v1.SendConfirmationCodeRequest(email=admin.email)
    sent = await public.auth.SendConfirmationCode(request)
    code = service.mailbox.code(admin.email)
    async with await psycopg.AsyncConnection.connect(database_url) as conn:
        # What UpdateUser does, with a pause before its commit.
        await conn.execute("UPDATE users SET role = 1 WHERE user_id = %s", (admin.user_id,))
        await conn.execute("UPDATE sessions SET revoked_at = now() WHERE revoked_at IS NULL")
        exchange = v1.CreateTokenRequest(
            verification_id=sent.verification_id, confirmation_code=code
        )
        signing_in = asyncio.ensure_future(public.auth.CreateToken(exchange))
        await asyncio.sleep(0.3)
        await conn.commit()
    claims = jwt.decode((await signing_in).token, options={"verify_signature": False})
    assert claims["role"] == "user"


@pytest.mark.usefixtures("within")
async def test_demotion_beside_sign_ins_leaves_no_admin_behind(
    service: Service, database_url: str
) -> None:
    root = await service.admin()
    public = service.client()

    async def sign_in(email: str, code: str) -> str:
        request = v1.CreateTokenRequest(email=email, confirmation_code=code)
        return (await public.auth.CreateToken(request)).token

    async def refresh(token: v1.Token) -> str:
        request = v1.RefreshTokenRequest(refresh_token=token.refresh_token)
        return (await public.auth.RefreshToken(request)).token

    for round_ in range(15):
        other = await service.admin()
        with psycopg.connect(database_url) as conn:
            conn.execute("UPDATE sign_in_quotas SET full_at = full_at - interval '1 minute'")
        request = v1.SendConfirmationCodeRequest(email=other.email)
        await public.auth.SendConfirmationCode(request)
        code = service.mailbox.code(other.email)

        async def demote(pause: float, user_id: str) -> None:
            await asyncio.sleep(pause)
            await root.client.users.UpdateUser(demotion(user_id))

        results = await asyncio.gather(
            sign_in(other.email, code),
            refresh(other.token),
            demote(round_ / 5000, other.user_id),
            return_exceptions=True,
        )
        await service.app.maintenance._sessions.load_ended()
        tokens = [other.token.token, *(result for result in results if isinstance(result, str))]
        for token in tokens:
            bearer = grpc.aio.Metadata(("authorization", f"Bearer {token}"))
            call = public.users.ListUsers(v1.ListUsersRequest(), metadata=bearer)
            assert await reason(call) in {"TOKEN_INVALID", "PERMISSION_MISSING"}


async def test_others_may_not_read_users(service: Service) -> None:
    person, stranger = await service.person(), await service.person()
    for call in (
        person.client.users.ListUsers(v1.ListUsersRequest()),
        person.client.users.GetUser(v1.GetUserRequest(user=stranger.user_id)),
        person.client.users.UpdateUser(v1.UpdateUserRequest(id=stranger.user_id)),
    ):
        assert await reason(call) == "PERMISSION_MISSING"


async def test_page_token_is_bound_to_its_caller(service: Service) -> None:
    first: Person = await service.admin()
    second: Person = await service.admin()
    page = await first.client.users.ListUsers(v1.ListUsersRequest(page_size=1))
    assert page.next_page_token
    stolen = v1.ListUsersRequest(page_size=1, page_token=page.next_page_token)
    assert await reason(second.client.users.ListUsers(stolen)) == "PAGE_TOKEN_INVALID"
    again = service.client(AsyncUserCredentials(first.token))
    assert (await again.users.ListUsers(stolen)).users
