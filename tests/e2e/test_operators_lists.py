"""Lists of everybody's users and accounts: filters, and pages that look at a bounded part."""

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from balance_client import async_each, v1
from balance_service.domain.principals import Scope
from balance_service.servicers import account_directory, user_directory
from tests.service import Person, Service, reason, refused


async def users(admin: Person, **wanted: object) -> list[str]:
    """The ids of all users that a list keeps, in its order."""
    request = v1.ListUsersRequest(page_size=2, **wanted)  # type: ignore[arg-type]
    pages = async_each(admin.client.users.ListUsers, request, lambda page: page.users)
    return [user.id async for user in pages]


async def named(service: Service, username: str, **profile: str) -> str:
    person = await service.person(f"{username}@example.com")
    new = v1.User(username=username, **profile)  # type: ignore[arg-type]
    paths = FieldMask(paths=["username", *profile])
    await person.client.users.UpdateMe(v1.UpdateMeRequest(user=new, update_mask=paths))
    return person.user_id


@pytest.fixture(params=[10_000, 1, 2])
def reach(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many rows a page looks at."""
    monkeypatch.setattr(user_directory, "REACH_MAX", request.param)
    monkeypatch.setattr(account_directory, "REACH_MAX", request.param)
    return int(request.param)


async def test_users_are_kept_by_every_filter(service: Service, reach: int) -> None:
    admin = await service.admin()
    anna = await named(service, "anna", first_name="Anna", last_name="Kern")
    boris = await named(service, "boris", first_name="Борис", last_name="Anna_b")
    vera = await named(service, "vera")
    await admin.client.users.DisableUser(v1.DisableUserRequest(user=vera))
    whose = {"external_id": "42", "source": "service:crm"}
    set_id = v1.SetUserExternalIdRequest(user=boris, external_id="42", source="service:crm")
    await admin.client.users.SetUserExternalId(set_id)
    people = [anna, boris, vera]
    assert [one for one in await users(admin) if one != admin.user_id] == people
    assert await users(admin, email="@EXAMPLE.com") == people
    assert await users(admin, email="RA@ex") == [vera]
    assert await users(admin, name="anna") == [anna, boris]
    assert await users(admin, name="a k") == [anna]
    assert await users(admin, name="%") == []
    assert await users(admin, name="борис") == [boris]
    assert await users(admin, role=v1.ROLE_ADMIN) == [admin.user_id]
    assert await users(admin, disabled=True) == [vera]
    assert await users(admin, disabled=False, email="@example.com") == [anna, boris]
    assert await users(admin, **whose) == [boris]
    assert await users(admin, **whose, name="anna") == [boris]
    assert await users(admin, **whose, disabled=True) == []
    counted = v1.ListUsersRequest(name="anna", count_total=True, skip=1, page_size=1)
    page = await admin.client.users.ListUsers(counted)
    assert (page.total_size, [user.id for user in page.users]) == (2, [boris])
    one = v1.ListUsersRequest(**whose, count_total=True)  # type: ignore[arg-type]
    assert (await admin.client.users.ListUsers(one)).total_size == 1


async def test_page_that_found_nothing_is_followed_by_others(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_directory, "REACH_MAX", 2)
    admin = await service.admin()
    for username in ("a-1", "a-2", "a-3"):
        await named(service, username)
    request = v1.ListUsersRequest(search="a-3")
    page = await admin.client.users.ListUsers(request)
    assert (len(page.users), bool(page.next_page_token)) == (0, True)
    request.page_token = page.next_page_token
    assert len((await admin.client.users.ListUsers(request)).users) == 1
    request.name = "x"
    assert await reason(admin.client.users.ListUsers(request)) == "PAGE_TOKEN_INVALID"


async def test_wrong_filter_is_refused_by_field(service: Service) -> None:
    admin = await service.admin()
    request = v1.ListUsersRequest(
        email="x" * 255, name="a\x00b", external_id="42", page_size=-1,
        role=9,  # type: ignore[arg-type]
    )  # fmt: skip
    error = await refused(admin.client.users.ListUsers(request))
    fields = [violation.field for violation in error.violations]
    assert fields == ["page_size", "email", "name", "source", "role"]
    search = v1.SearchAccountsRequest(currency="XXX", skip=-1, status=9)  # type: ignore[arg-type]
    error = await refused(admin.client.accounts.SearchAccounts(search))
    assert [violation.field for violation in error.violations] == ["skip", "currency", "status"]


async def test_accounts_of_everybody_are_kept_by_every_filter(service: Service, reach: int) -> None:
    admin, erp = await service.admin(), await service.sibling(Scope.ACCOUNTS_READ)
    opened = [
        (await (await service.person()).open(currency)).id for currency in ("RUB", "USD", "USD")
    ]
    await admin.client.accounts.FreezeAccount(v1.FreezeAccountRequest(account=opened[2]))

    async def found(**wanted: object) -> list[str]:
        request = v1.SearchAccountsRequest(page_size=1, **wanted)  # type: ignore[arg-type]
        pages = async_each(erp.accounts.SearchAccounts, request, lambda page: page.accounts)
        return [account.id async for account in pages]

    assert await found() == opened
    assert await found(currency="USD") == opened[1:]
    assert await found(status=v1.ACCOUNT_STATUS_FROZEN) == opened[2:]
    assert await found(status=v1.ACCOUNT_STATUS_ACTIVE, currency="USD") == opened[1:2]
    assert await found(currency="EUR") == []
    counted = v1.SearchAccountsRequest(currency="USD", count_total=True, skip=1, page_size=1)
    page = await erp.accounts.SearchAccounts(counted)
    assert (page.total_size, [account.id for account in page.accounts]) == (2, opened[2:])
    account = await erp.accounts.GetAccount(v1.GetAccountRequest(account=opened[2]))
    assert page.accounts[0] == account


async def test_others_may_not_list_accounts_of_everybody(service: Service) -> None:
    person, unscoped = await service.person(), await service.sibling(Scope.ACCOUNTS_WRITE)
    for client in (person.client, unscoped):
        call = client.accounts.SearchAccounts(v1.SearchAccountsRequest())
        assert await reason(call) == "PERMISSION_MISSING"
