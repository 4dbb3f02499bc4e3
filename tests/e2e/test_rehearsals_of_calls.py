"""validate_only on calls that move no money: the answer of the real thing, and nothing changed."""

from collections.abc import Callable
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from balance_client import v1
from tests.service import Contents, Service, reason


async def test_every_call_can_be_rehearsed(
    service: Service, contents: Callable[[], Contents]
) -> None:
    admin, boris = await service.admin(), await service.person()
    await admin.open()
    account, closed = (await boris.open()).id, (await boris.open("EUR")).id
    accounts, purchases, users = admin.client.accounts, admin.client.purchases, admin.client.users
    await accounts.CloseAccount(v1.CloseAccountRequest(account=closed))
    offer = v1.Service(name="Tea", price="5")
    sold = (await purchases.CreateService(v1.CreateServiceRequest(service=offer))).id
    named = FieldMask(paths=["first_name"])
    anna = v1.User(first_name="Anna")
    rehearsals: list[tuple[Any, Any]] = [
        (accounts.CreateAccount, v1.CreateAccountRequest(currency="USD")),
        (accounts.FreezeAccount, v1.FreezeAccountRequest(account=account)),
        (accounts.UnfreezeAccount, v1.UnfreezeAccountRequest(account=account)),
        (accounts.CloseAccount, v1.CloseAccountRequest(account=account)),
        (accounts.ReopenAccount, v1.ReopenAccountRequest(account=closed, reason="Back")),
        (accounts.SetAccountLimit, v1.SetAccountLimitRequest(account=account, limit="7")),
        (
            accounts.SetAccountLimits,
            v1.SetAccountLimitsRequest(account=account, debit_limit="7", reason="Why"),
        ),
        (
            accounts.SetSubAccounts,
            v1.SetSubAccountsRequest(account=account, sub_accounts=2, reason="Why"),
        ),
        (
            admin.client.exchanges.CreateQuote,
            v1.CreateQuoteRequest(from_currency="RUB", to_currency="USD", from_amount="100"),
        ),
        (purchases.CreateService, v1.CreateServiceRequest(service=offer)),
        (
            purchases.UpdateService,
            v1.UpdateServiceRequest(
                id=sold, service=v1.Service(name="Rye"), update_mask=FieldMask(paths=["name"])
            ),
        ),
        (purchases.DeleteService, v1.DeleteServiceRequest(service=sold)),
        (users.UpdateMe, v1.UpdateMeRequest(user=anna, update_mask=named)),
        (
            users.UpdateUser,
            v1.UpdateUserRequest(id=boris.user_id, user=anna, update_mask=named),
        ),
    ]
    before = contents()
    for call, request in rehearsals:
        request.validate_only = True
        request.request_id = f"rehearsal of {type(request).__name__}"
        await call(request)
    assert contents() == before
    for call, request in rehearsals:
        if request.DESCRIPTOR.name != "CloseAccountRequest":
            request.validate_only = False
            await call(request)
    assert contents() != before


async def test_rehearsal_is_refused_as_the_call_would_be(service: Service) -> None:
    admin, boris = await service.admin(), await service.person()
    account = (await boris.open()).id
    await boris.deposit("5", account)
    request = v1.CloseAccountRequest(account=account, validate_only=True)
    assert await reason(admin.client.accounts.CloseAccount(request)) == "ACCOUNT_NOT_EMPTY"
