"""All that is kept on a user: exported whole, and erased so that nothing personal is left."""

import asyncio
import re

import jwt
import psycopg
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from balance_client import AsyncUserCredentials, BalanceError, v1
from balance_service.domain.principals import Scope
from tests.authenticators import ask_again, enrol
from tests.service import Person, Service, reason, refused, rich, somebody


async def named(service: Service) -> Person:
    """Somebody who told their name, with a second factor."""
    person = await service.person("Zoe.Personal@Example.com".lower())
    profile = v1.User(username="zoe-personal", first_name="Zoë", last_name="Person", bio="Me")
    mask = FieldMask(paths=["username", "first_name", "last_name", "bio"])
    request = v1.UpdateMeRequest(user=profile, update_mask=mask, request_id="with-names")
    await person.client.users.UpdateMe(request)
    return person


async def erase(service: Service, person: Person, database_url: str, code: str = "") -> v1.User:
    """Has somebody erase themselves."""
    sent = await ask_again(service, person.email, database_url)
    request = v1.EraseUserRequest(
        user=person.user_id,
        verification_id=sent.verification_id,
        confirmation_code=sent.confirmation_code,
        second_factor_code=code,
    )
    return await person.client.users.EraseUser(request)


def everything(database_url: str) -> str:
    """Every row of every table, as text."""
    with psycopg.connect(database_url) as conn:
        tables = conn.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
        return "\n".join(
            str(row)
            for (table,) in tables
            for row in conn.execute(f"SELECT t::text FROM {table} AS t".encode()).fetchall()
        )


async def test_erased_user_is_found_nowhere_and_their_books_stand(
    service: Service, database_url: str
) -> None:
    person = await named(service)
    account = await person.open()
    other, other_account = await somebody(service)
    await person.deposit("5", account.id)
    paid = v1.CreateTransferRequest(to_account=other_account, amount="5")
    transfer = await person.client.transfers.CreateTransfer(paid)
    authenticator = await enrol(person)
    await ask_again(service, person.email, database_url)  # A code that stays unused.

    erased = await erase(service, person, database_url, authenticator.unused(database_url))
    assert erased.id == person.user_id
    assert erased.HasField("erase_time")
    assert erased.username.startswith("erased-")
    assert (erased.email, erased.first_name, erased.last_name, erased.bio) == ("", "", "", "")
    text = everything(database_url).lower()
    for personal in ("zoe", "personal", person.email):
        assert personal not in text, personal
    # Kept answers are bytes.
    assert b"zoe-personal".hex() not in text
    with psycopg.connect(database_url) as conn:
        left = conn.execute(
            "SELECT (SELECT count(*) FROM second_factors) + (SELECT count(*) FROM recovery_codes),"
            " (SELECT count(*) FROM known_askers),"
            " (SELECT count(*) FROM sessions WHERE user_id = %(u)s AND"
            "  (revoked_at IS NULL OR expires_at > now()))",
            {"u": person.user_id},
        ).fetchone()
    # Of the known networks, the other's.
    assert left == (0, 1, 0)

    metadata = (("authorization", f"Bearer {person.token.token}"),)
    me = service.client().users.GetMe(v1.GetMeRequest(), metadata=metadata)
    assert await reason(me) == "TOKEN_INVALID"
    refresh = v1.RefreshTokenRequest(refresh_token=person.token.refresh_token)
    assert await reason(service.client().auth.RefreshToken(refresh)) == "REFRESH_TOKEN_INVALID"
    seen = await other.client.transfers.GetTransfer(v1.GetTransferRequest(transfer=transfer.id))
    assert seen.from_account == account.id
    pay = v1.CreateTransferRequest(to_account=account.number, amount="1")
    assert await reason(other.client.transfers.CreateTransfer(pay)) == "RECEIVER_UNAVAILABLE"

    admin = await service.admin()
    listed = await admin.client.users.ListUsers(v1.ListUsersRequest(search="zoe"))
    assert not listed.users
    found = await admin.client.users.GetUser(v1.GetUserRequest(user=person.user_id))
    assert (found.email, found.username) == ("", erased.username)


async def test_whoever_signs_in_with_the_address_later_is_new(
    service: Service, database_url: str
) -> None:
    person = await named(service)
    await erase(service, person, database_url)
    again = await ask_again(service, person.email, database_url)
    token = await service.client().auth.CreateToken(again)
    credentials = AsyncUserCredentials(token)
    me = await service.client(credentials).users.GetMe(v1.GetMeRequest())
    assert me.id != person.user_id
    assert me.username != "zoe-personal"
    accounts = await service.client(credentials).accounts.ListAccounts(v1.ListAccountsRequest())
    assert not accounts.accounts


async def test_money_holds_and_frozen_accounts_keep_a_user(
    service: Service, database_url: str
) -> None:
    admin = await service.admin()
    person, account = await rich(service, "10")
    _, other = await somebody(service)
    request = v1.EraseUserRequest(user=person.user_id, reason="asked for")

    async def refusal() -> str:
        return await reason(admin.client.users.EraseUser(request))

    assert await refusal() == "ACCOUNT_NOT_EMPTY"
    held = await person.client.holds.CreateHold(
        v1.CreateHoldRequest(account=account, to_account=other, amount="10")
    )
    assert await refusal() == "ACCOUNT_NOT_EMPTY"
    await person.client.holds.CaptureHold(v1.CaptureHoldRequest(hold=held.id, amount="10"))
    freeze = v1.FreezeAccountRequest(account=account, reason="odd")
    await admin.client.accounts.FreezeAccount(freeze)
    assert await refusal() == "ACCOUNT_FROZEN"
    await admin.client.accounts.UnfreezeAccount(v1.UnfreezeAccountRequest(account=account))
    assert (await person.client.users.GetMe(v1.GetMeRequest())).email == person.email

    await admin.client.users.EraseUser(request)
    changes = await admin.client.accounts.ListAccountChanges(
        v1.ListAccountChangesRequest(account=account)
    )
    assert changes.changes[0].kind == v1.ACCOUNT_CHANGE_KIND_CLOSE
    assert changes.changes[0].reason == "asked for"


@pytest.mark.usefixtures("within")
async def test_erased_admins_leave_no_webhooks(service: Service, database_url: str) -> None:
    admin, other = await service.admin(), await service.admin()
    endpoint = v1.WebhookEndpoint(
        url="https://zoe.example.com/personal", description="Zoë's", disabled=True
    )
    made = await admin.client.webhooks.CreateWebhookEndpoint(
        v1.CreateWebhookEndpointRequest(endpoint=endpoint)
    )
    with psycopg.connect(database_url) as conn:
        conn.execute(
            "INSERT INTO webhook_deliveries (endpoint_id, event_id, state, attempts, http_status,"
            " error, created_at, next_attempt_at)"
            " VALUES (%s, gen_random_uuid(), 1, 0, 0, '', now(), now())",
            (made.id,),
        )
    await other.client.users.EraseUser(v1.EraseUserRequest(user=admin.user_id, reason="asked for"))
    get = v1.GetWebhookEndpointRequest(endpoint=made.id)
    assert (
        await reason(other.client.webhooks.GetWebhookEndpoint(get)) == "WEBHOOK_ENDPOINT_NOT_FOUND"
    )
    with psycopg.connect(database_url) as conn:
        left = conn.execute("SELECT e::text FROM webhook_endpoints AS e").fetchone()
        assert left
        assert not re.search("zoe|Zo", left[0])
        assert conn.execute("SELECT secret, old_secret FROM webhook_endpoints").fetchone() == (
            b"",
            None,
        )
    await service.app.maintenance.delete_old_deliveries()
    with psycopg.connect(database_url) as conn:
        for table in (b"webhook_deliveries", b"webhook_endpoints"):
            assert conn.execute(b"SELECT FROM " + table).rowcount == 0


async def test_erasing_again_changes_nothing_and_nothing_else_is_changed(
    service: Service, database_url: str
) -> None:
    admin, person = await service.admin(), await service.person()
    users = admin.client.users
    account = await person.open()
    request = v1.EraseUserRequest(user=person.user_id, reason="asked for")
    first = await users.EraseUser(request)
    assert await users.EraseUser(request) == first
    update = v1.UpdateUserRequest(
        id=person.user_id, user=v1.User(bio="Me"), update_mask=FieldMask(paths=["bio"])
    )
    opening = v1.CreateAccountRequest(user=person.user_id, currency="RUB")
    reopening = v1.ReopenAccountRequest(account=account.id, reason="By mistake")
    for call in (
        users.UpdateUser(update),
        users.EnableUser(v1.EnableUserRequest(user=person.user_id)),
        users.DisableUser(v1.DisableUserRequest(user=person.user_id)),
        users.ResetSecondFactor(v1.ResetSecondFactorRequest(user=person.user_id)),
        admin.client.accounts.CreateAccount(opening),
        admin.client.accounts.ReopenAccount(reopening),
    ):
        assert await reason(call) == "USER_ERASED"


async def test_nobody_is_erased_without_being_asked(service: Service, database_url: str) -> None:
    person, other, admin = (
        await service.person(),
        await service.person(),
        await service.admin(),
    )
    users = person.client.users
    theirs = v1.EraseUserRequest(user=other.user_id, reason="asked for")
    assert await reason(users.EraseUser(theirs)) == "PERMISSION_MISSING"
    sibling = await service.sibling(*Scope)
    assert await reason(sibling.users.EraseUser(theirs)) == "PERMISSION_MISSING"
    # The code of another address, and a wrong one.
    sent = await ask_again(service, other.email, database_url)
    request = v1.EraseUserRequest(
        user=person.user_id,
        verification_id=sent.verification_id,
        confirmation_code=sent.confirmation_code,
    )
    assert await reason(users.EraseUser(request)) == "CONFIRMATION_CODE_INVALID"
    sent = await ask_again(service, person.email, database_url)
    request.verification_id = sent.verification_id
    request.confirmation_code = f"{(int(sent.confirmation_code) + 1) % 10**8:08d}"
    assert await reason(users.EraseUser(request)) == "CONFIRMATION_CODE_INVALID"
    # An admin does not erase themselves with a reason alone.
    own = v1.EraseUserRequest(user=admin.user_id.upper(), reason="asked for")
    error = await refused(admin.client.users.EraseUser(own))
    assert {violation.field for violation in error.violations} == {
        "verification_id",
        "confirmation_code",
        "reason",
    }
    await enrol(person)
    request.confirmation_code = sent.confirmation_code
    assert await reason(users.EraseUser(request)) == "SECOND_FACTOR_REQUIRED"
    for one in (person, other, admin):
        assert (await one.client.users.GetMe(v1.GetMeRequest())).email == one.email


async def test_other_processes_let_an_erased_user_write_nothing(
    start_service: object, service: Service, database_url: str
) -> None:
    there = await start_service()  # type: ignore[operator]
    person = await service.person()
    remote = there.client(AsyncUserCredentials(person.token))
    await remote.users.GetMe(v1.GetMeRequest())
    await erase(service, person, database_url)
    # Their token may be good there for two seconds.
    update = v1.UpdateMeRequest(user=v1.User(bio="Me"), update_mask=FieldMask(paths=["bio"]))
    metadata = (("authorization", f"Bearer {person.token.token}"),)
    plain = there.client()
    for call in (
        plain.users.UpdateMe(update, metadata=metadata),
        plain.users.EnrolSecondFactor(v1.EnrolSecondFactorRequest(), metadata=metadata),
        plain.accounts.CreateAccount(v1.CreateAccountRequest(currency="RUB"), metadata=metadata),
    ):
        assert await reason(call) in ("USER_ERASED", "TOKEN_INVALID")


async def test_export_has_all_of_a_user_page_by_page(service: Service) -> None:
    person = await service.person()
    accounts = [await person.open(currency) for currency in ("RUB", "USD")]
    for account in accounts * 2:
        await person.deposit("1", account.id, account.currency)
    await rich(service)
    admin = await service.admin()

    async def export(client: object, user: str) -> list[v1.ExportUserResponse]:
        pages: list[v1.ExportUserResponse] = []
        request = v1.ExportUserRequest(user=user, page_size=3)
        while not pages or request.page_token:
            pages.append(await client.users.ExportUser(request))  # type: ignore[attr-defined]
            request.page_token = pages[-1].next_page_token
        return pages

    own = await export(person.client, person.user_id)
    assert [len(page.entries) for page in own] == [3, 1]
    assert own[0].profile.email == person.email
    assert [account.id for account in own[0].accounts] == [account.id for account in accounts]
    claims = jwt.decode(person.token.token, options={"verify_signature": False})
    assert [session.id for session in own[0].sessions] == [claims["sid"]]
    assert {field.name for field, _ in own[1].ListFields()} == {"entries"}
    theirs = await export(admin.client, person.user_id)
    assert [list(page.entries) for page in theirs] == [list(page.entries) for page in own]
    assert theirs[0].profile == own[0].profile

    over_http = await person.http("GET", f"/api/v1/users/{person.user_id}/export?page_size=3")
    assert over_http.json["profile"]["email"] == person.email
    other = await service.person()
    request = v1.ExportUserRequest(user=person.user_id)
    assert await reason(other.client.users.ExportUser(request)) == "PERMISSION_MISSING"
    missing = v1.ExportUserRequest(user="00000000-0000-4000-8000-000000000000")
    assert await reason(admin.client.users.ExportUser(missing)) == "USER_NOT_FOUND"


async def test_of_an_erasure_and_a_deposit_at_once_the_books_are_right(
    service: Service,
) -> None:
    admin, billing = await service.admin(), await service.sibling(Scope.DEPOSITS_WRITE)
    for _ in range(5):
        person, account = await somebody(service)
        erasing = admin.client.users.EraseUser(
            v1.EraseUserRequest(user=person.user_id, reason="asked for")
        )
        paying = billing.deposits.CreateDeposit(
            v1.CreateDepositRequest(account=account, amount="1", currency="RUB")
        )
        results = await asyncio.gather(erasing, paying, return_exceptions=True)
        reasons = [one.reason for one in results if isinstance(one, BalanceError)]
        assert reasons in (["ACCOUNT_NOT_EMPTY"], ["ACCOUNT_CLOSED"])
