"""How users and accounts are found and made by services that know them by ids of their own."""

import asyncio
from collections.abc import Callable
from uuid import uuid4

import psycopg
import pytest
from google.protobuf import json_format

from balance_client import AsyncClient, v1
from balance_service.domain.principals import Scope
from balance_service.operations import administration
from balance_service.repositories import verification
from balance_service.server import maintenance
from tests.grpc import assert_same_refusal, over_grpc
from tests.http import BY_METHOD
from tests.service import Contents, Person, Service, Verified, reason, refused

READ, WRITE = Scope.USERS_READ, Scope.USERS_WRITE


async def source_of(client: AsyncClient) -> str:
    """The name of a service's principal, as its users' external ids have it."""
    request = v1.EnsureUserRequest(external_id=str(uuid4()))
    (source,) = (await client.users.EnsureUser(request)).user.external_ids
    return source


async def test_siblings_story_from_an_address_to_money(service: Service) -> None:
    crm = await service.sibling(WRITE, READ, Scope.ACCOUNTS_WRITE, Scope.DEPOSITS_WRITE)
    request = v1.EnsureUserRequest(
        email="New.Person@Example.com", external_id="crm-17", first_name="Анна"
    )
    made = await crm.users.EnsureUser(request)
    assert made.created
    assert (made.user.email, made.user.first_name) == ("new.person@example.com", "Анна")
    assert list(made.user.external_ids.values()) == ["crm-17"]
    again = await crm.users.EnsureUser(request)
    assert (again.created, again.user) == (False, made.user)
    account = await crm.accounts.CreateAccount(v1.CreateAccountRequest(user=made.user.id))
    await crm.deposits.CreateDeposit(v1.CreateDepositRequest(account=account.id, amount="5"))
    person = await service.person("new.person@example.com")
    assert person.user_id == made.user.id
    assert await person.balance(account.id) == "5.00"


async def test_user_who_signed_in_before_is_the_one(service: Service) -> None:
    crm, person = await service.sibling(WRITE), await service.person()
    request = v1.EnsureUserRequest(email=person.email, external_id="1", first_name="ignored")
    found = await crm.users.EnsureUser(request)
    assert (found.created, found.user.id, found.user.first_name) == (False, person.user_id, "")
    by_id = await crm.users.EnsureUser(v1.EnsureUserRequest(external_id="1"))
    assert by_id.user == found.user


async def test_user_without_an_address_gets_one_later_and_signs_in(service: Service) -> None:
    crm = await service.sibling(WRITE)
    made = (await crm.users.EnsureUser(v1.EnsureUserRequest(external_id="7"))).user
    assert made.email == ""
    with_email = v1.EnsureUserRequest(external_id="7", email="late@example.com")
    assert (await crm.users.EnsureUser(with_email)).user.id == made.id
    person = await service.person("late@example.com")
    assert person.user_id == made.id
    # Whoever has an address keeps it.
    with_email.email = "other@example.com"
    assert (await crm.users.EnsureUser(with_email)).user.email == "late@example.com"


async def test_ids_that_contradict_each_other_change_nothing(
    service: Service, contents: Callable[[], Contents]
) -> None:
    crm, person = await service.sibling(WRITE), await service.person()
    users = crm.users
    await users.EnsureUser(v1.EnsureUserRequest(email=person.email, external_id="1"))
    await users.EnsureUser(v1.EnsureUserRequest(external_id="2"))
    before = contents()
    other = v1.EnsureUserRequest(email=person.email, external_id="3")
    assert await reason(users.EnsureUser(other)) == "EXTERNAL_ID_CONFLICT"
    taken = v1.EnsureUserRequest(email=person.email, external_id="2")
    assert await reason(users.EnsureUser(taken)) == "EMAIL_TAKEN"
    assert contents() == before


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (v1.EnsureUserRequest(first_name="A"), ["email"]),
        (v1.EnsureUserRequest(email="x"), ["email"]),
        (v1.EnsureUserRequest(external_id="x" * 101), ["external_id"]),
        (v1.EnsureUserRequest(external_id="a\x00b", email="x"), ["email", "external_id"]),
        (
            v1.EnsureUserRequest(external_id="1", first_name="x" * 151, last_name="\x00"),
            ["first_name", "last_name"],
        ),
    ],
)
async def test_wrong_wish_is_refused_by_field(
    service: Service, request_: v1.EnsureUserRequest, fields: list[str]
) -> None:
    crm = await service.sibling(WRITE)
    error = await refused(crm.users.EnsureUser(request_))
    assert [violation.field for violation in error.violations] == fields


async def test_one_user_is_made_however_many_ask(service: Service, verified: Verified) -> None:
    """By address beside a sign-in of it, by external id, and by both."""
    crm = await service.sibling(WRITE)
    email = "crowd@example.com"

    async def ensure(**wanted: str) -> tuple[str, bool]:
        done = await crm.users.EnsureUser(v1.EnsureUserRequest(**wanted))
        return done.user.id, done.created

    signing_in = asyncio.create_task(service.person(email))
    ensured = await asyncio.gather(*(ensure(email=email) for _ in range(32)))
    person = await signing_in
    assert {user_id for user_id, _ in ensured} == {person.user_id}
    assert sum(created for _, created in ensured) <= 1
    named = await asyncio.gather(*(ensure(email=email, external_id="zero") for _ in range(32)))
    assert set(named) == {(person.user_id, False)}
    by_id = await asyncio.gather(*(ensure(external_id="one") for _ in range(32)))
    assert (len({user_id for user_id, _ in by_id}), sum(new for _, new in by_id)) == (1, 1)
    both = [{"external_id": "two"}, {"external_id": "two", "email": "two@example.com"}]
    mixed = await asyncio.gather(*(ensure(**both[n % 2]) for n in range(32)))
    assert (len({user_id for user_id, _ in mixed}), sum(new for _, new in mixed)) == (1, 1)
    found = await crm.users.EnsureUser(v1.EnsureUserRequest(email="two@example.com"))
    assert (found.created, found.user.id) == (False, mixed[0][0])
    await verified()


async def test_services_do_not_collide(service: Service) -> None:
    crm, erp = await service.sibling(WRITE), await service.sibling(WRITE, READ)
    first, second = [
        (await sibling.users.EnsureUser(v1.EnsureUserRequest(external_id="1"))).user
        for sibling in (crm, erp)
    ]
    assert first.id != second.id
    found = await erp.users.LookupUser(v1.LookupUserRequest(external_id="1"))
    assert found == second
    theirs = v1.LookupUserRequest(external_id="1", source=next(iter(first.external_ids)))
    assert await erp.users.LookupUser(theirs) == first
    foreign = v1.SetUserExternalIdRequest(
        user=first.id, external_id="2", source=await source_of(crm)
    )
    error = await refused(erp.users.SetUserExternalId(foreign))
    assert [violation.field for violation in error.violations] == ["source"]


async def test_external_id_is_replaced_and_taken_away(service: Service, verified: Verified) -> None:
    admin, person, other = await service.admin(), await service.person(), await service.person()
    users, source = admin.client.users, "service:crm"

    def set_to(text: str, user: Person = person) -> v1.SetUserExternalIdRequest:
        return v1.SetUserExternalIdRequest(user=user.user_id, external_id=text, source=source)

    await users.SetUserExternalId(set_to("1"))
    assert (await users.SetUserExternalId(set_to("2"))).external_ids == {source: "2"}
    assert await reason(users.SetUserExternalId(set_to("2", other))) == "EXTERNAL_ID_CONFLICT"
    assert (await users.SetUserExternalId(set_to("1", other))).external_ids == {source: "1"}
    assert not (await users.SetUserExternalId(set_to(""))).external_ids
    gone = v1.LookupUserRequest(external_id="2", source=source)
    assert await reason(users.LookupUser(gone)) == "USER_NOT_FOUND"
    rehearsed = set_to("3")
    rehearsed.validate_only = True
    assert (await users.SetUserExternalId(rehearsed)).external_ids == {source: "3"}
    assert not (await users.GetUser(v1.GetUserRequest(user=person.user_id))).external_ids
    await verified()


async def test_user_is_looked_up_by_each_of_three(service: Service) -> None:
    erp, person = await service.sibling(READ), await service.person()
    me = await person.client.users.GetMe(v1.GetMeRequest())
    by_email = v1.LookupUserRequest(email=person.email.upper())
    by_name = v1.LookupUserRequest(username=me.username.upper())
    for request in (by_email, by_name):
        assert await erp.users.LookupUser(request) == me
    assert await erp.users.GetUser(v1.GetUserRequest(user=me.id)) == me
    both = v1.LookupUserRequest(email=person.email, username=me.username)
    error = await refused(erp.users.LookupUser(both))
    assert [violation.field for violation in error.violations] == ["email", "username"]
    error = await refused(erp.users.LookupUser(v1.LookupUserRequest(source="service:crm")))
    assert [violation.field for violation in error.violations] == ["source", "email"]
    for missing in (v1.LookupUserRequest(email="no@example.com"),
                    v1.LookupUserRequest(username="nobody"),
                    v1.LookupUserRequest(external_id="0")):  # fmt: skip
        assert await reason(erp.users.LookupUser(missing)) == "USER_NOT_FOUND"


async def test_others_hear_the_same_whoever_is_there(service: Service) -> None:
    person, stranger = await service.person(), await service.person()
    without = await service.sibling(Scope.ACCOUNTS_READ)
    for client in (stranger.client, without):
        for email in (person.email, "nobody@example.com"):
            look = v1.LookupUserRequest(email=email)
            assert await reason(client.users.LookupUser(look)) == "PERMISSION_MISSING"
            ensure = v1.EnsureUserRequest(email=email)
            assert await reason(client.users.EnsureUser(ensure)) == "PERMISSION_MISSING"
            get = v1.GetUserRequest(user=person.user_id if email == person.email else str(uuid4()))
            assert await reason(client.users.GetUser(get)) == "PERMISSION_MISSING"
    admin = await service.admin()
    ensure = v1.EnsureUserRequest(email=person.email)
    assert await reason(admin.client.users.EnsureUser(ensure)) == "PERMISSION_MISSING"


async def test_account_is_looked_up_by_each_of_three(service: Service) -> None:
    erp = await service.sibling(Scope.ACCOUNTS_READ, Scope.ACCOUNTS_WRITE)
    person = await service.person()
    account = await person.open("EUR")
    named = v1.SetAccountExternalIdRequest(account=account.id, external_id="w-1")
    told = await erp.accounts.SetAccountExternalId(named)
    (source,) = told.external_ids
    for request in (
        v1.LookupAccountRequest(number=account.number),
        v1.LookupAccountRequest(currency="EUR", user=person.user_id),
        v1.LookupAccountRequest(external_id="w-1"),
    ):
        assert await erp.accounts.LookupAccount(request) == told
    for request in (
        v1.LookupAccountRequest(number=account.number),
        v1.LookupAccountRequest(currency="EUR"),
        v1.LookupAccountRequest(external_id="w-1", source=source),
    ):
        assert await person.client.accounts.LookupAccount(request) == told
    both = v1.LookupAccountRequest(number=account.number, external_id="w-1")
    error = await refused(erp.accounts.LookupAccount(both))
    assert [violation.field for violation in error.violations] == ["number", "external_id"]
    other = (await person.open("USD")).id
    taken = v1.SetAccountExternalIdRequest(account=other, external_id="w-1")
    assert await reason(erp.accounts.SetAccountExternalId(taken)) == "EXTERNAL_ID_CONFLICT"
    # An account's ids are not users'.
    crm = await service.sibling(WRITE)
    assert (await crm.users.EnsureUser(v1.EnsureUserRequest(external_id="w-1"))).created


@pytest.mark.usefixtures("within")
async def test_stranger_cannot_tell_what_accounts_there_are(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by the refusal nor by how many queries it takes."""
    owner, stranger = await service.person(), await service.person()
    account, admin = await owner.open(), await service.admin()
    named = v1.SetAccountExternalIdRequest(
        account=account.id, external_id="w", source="service:crm"
    )
    await admin.client.accounts.SetAccountExternalId(named)
    queries: list[object] = []
    execute = psycopg.AsyncConnection.execute

    async def counted(self: psycopg.AsyncConnection, query: object, *rest: object) -> object:
        task = asyncio.current_task()
        # What a worker does beside its calls is done whoever asks.
        if task and getattr(task.get_coro(), "__name__", "") != maintenance._repeat.__name__:
            queries.append(query)
        return await execute(self, query, *rest)  # type: ignore[call-overload]

    async def asked(**wanted: str) -> tuple[str, int, list[object]]:
        queries.clear()
        request = v1.LookupAccountRequest(**wanted)
        error = await refused(stranger.client.accounts.LookupAccount(request))
        assert error.metadata == {"account": wanted.get("number") or wanted.get("currency") or "w"}
        return error.reason, error.code().value[0], list(queries)

    await asked(currency="JPY")
    monkeypatch.setattr(psycopg.AsyncConnection, "execute", counted)
    crm, erp, nobody = "service:crm", "service:erp", str(uuid4())
    for theirs, none in (
        ({"number": account.number}, {"number": "2935048617"}),
        ({"currency": "RUB", "user": owner.user_id}, {"currency": "RUB", "user": nobody}),
        ({"external_id": "w", "source": crm}, {"external_id": "w", "source": erp}),
    ):
        answer = await asked(**theirs)
        assert answer[:2] == ("ACCOUNT_NOT_FOUND", 5)
        theirs_metadata = answer[2]
        reason_, code, queries_of_none = await asked(**none)
        assert (reason_, code) == answer[:2]
        assert queries_of_none == theirs_metadata != []


async def test_ensuring_is_the_same_both_ways(service: Service) -> None:
    secret = await administration.create_service_principal(service.settings, "crm", "", [WRITE])
    request = v1.CreateTokenRequest(client_id="crm", client_secret=secret)
    token = (await service.client().auth.CreateToken(request)).token
    over_http = service.http.signed_in(token)
    body = {"email": "new@example.com", "external_id": "я/1"}
    made = await over_http("POST", "/api/v1/users:ensure", body)
    assert (made.status, made.json["created"]) == (200, True)
    assert made.json["user"]["external_ids"] == {"service:crm": "я/1"}
    ensure = BY_METHOD["/balance.v1.UserService/EnsureUser"]
    wanted = v1.EnsureUserRequest(**body)
    again = await over_grpc(service, ensure, wanted, token)
    assert again.answer is not None
    told = json_format.MessageToDict(
        again.answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    assert told == made.json | {"created": False}
    wrong = v1.EnsureUserRequest(email="x")
    refused_ = await over_grpc(service, ensure, wrong, token)
    assert_same_refusal(refused_, await over_http("POST", "/api/v1/users:ensure", {"email": "x"}))


@pytest.mark.parametrize(
    "change",
    [
        b"DELETE FROM subject_external_ids",
        b"DELETE FROM external_ids",
        b"DELETE FROM users",
        b"UPDATE external_ids SET kind = 2",
        b"UPDATE external_ids SET external_id = '2'",
    ],
)
async def test_verify_names_external_ids_that_lead_nowhere(
    service: Service, database_url: str, verified: Verified, change: bytes
) -> None:
    crm = await service.sibling(WRITE)
    await crm.users.EnsureUser(v1.EnsureUserRequest(external_id="1"))
    await verified()
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as conn:
        await conn.execute(change)
        report = await verification.verify(conn)
    assert [name for name, faults in report.faults.items() if faults] == ["external_id_has_subject"]
