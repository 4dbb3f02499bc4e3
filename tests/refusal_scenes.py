"""A scene for every refusal of a call: what is done first, and the call that is refused then."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn
from uuid import uuid4

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from psycopg_pool import PoolTimeout

from balance_client import v1
from balance_service.calls import http
from balance_service.domain import errors
from tests.http import Answer
from tests.service import Person, Service, somebody
from tests.tokens import signed

AMOUNT_MAX = "92233720368547758.07"
BODY_BYTES_MAX = 2000


@dataclass
class World:
    """A service, and those who are refused.

    Args:
        service: Takes bodies of at most BODY_BYTES_MAX.
        hasty: The same, whose gateway waits for half a second.
        anna: A user with 1000 RUB, the account `account`.
        boris: Another user with 1000 RUB.
        admin: An admin, who may do everything.
        database_url: Their database.
        patch: Undone after each scene.
    """

    service: Service
    hasty: Service
    anna: Person
    account: str
    boris: Person
    admin: Person
    database_url: str
    patch: pytest.MonkeyPatch

    async def sell(self, price: str, currency: str = "RUB") -> str:
        """Puts a service into the catalogue; its id."""
        sold = v1.Service(name=f"At {price}", price=price, currency=currency)
        request = v1.CreateServiceRequest(service=sold)
        return (await self.admin.client.purchases.CreateService(request)).id

    async def hold(self, expires: Timestamp | None = None) -> str:
        """Holds 1 RUB of Anna's for Boris; the hold's id."""
        boris = await self.boris.client.accounts.ListAccounts(v1.ListAccountsRequest())
        request = v1.CreateHoldRequest(
            to_account=boris.accounts[0].id, amount="1", expire_time=expires
        )
        return (await self.anna.client.holds.CreateHold(request)).id

    async def quote(self, person: Person) -> str:
        """Quotes 80 roubles for a dollar to somebody; the quote's id."""
        request = v1.CreateQuoteRequest(from_currency="RUB", to_currency="USD", from_amount="80")
        return (await person.client.exchanges.CreateQuote(request)).id

    async def open_frozen(self, owner: Person, currency: str = "RUB") -> str:
        """Opens an account and freezes it; its id."""
        account = (await owner.open(currency)).id
        await self.admin.client.accounts.FreezeAccount(v1.FreezeAccountRequest(account=account))
        return account


@dataclass(frozen=True)
class Ask:
    """A call that must be refused.

    Args:
        method: Its full name without the package, such as `UserService/GetMe`.
        request: Bytes are no message, and are sent over gRPC alone.
        caller: Who calls; None for nobody.
        token: An access token instead of the caller's.
        timeout_seconds: A deadline, which is sent over gRPC alone.
    """

    method: str
    request: Message | bytes
    caller: Person | None = None
    token: str = ""
    timeout_seconds: float | None = None


Scene = Callable[[World], Awaitable[Ask]]
HttpScene = Callable[[World], Awaitable[Answer]]
SCENES: dict[type[errors.Refusal], Scene] = {}
HTTP_SCENES: dict[type[errors.Refusal], HttpScene] = {}
NOT_PROVOKED: dict[type[errors.Refusal], str] = {
    errors.BatchRefused: "an item's outcome, and no call's: tests/e2e/test_transfers.py",
}


def provokes(refusal: type[errors.Refusal]) -> Callable[[Any], Any]:
    """Registers a scene, after which its call is refused so."""

    def register(scene: Any) -> Any:
        scenes: dict[type[errors.Refusal], Any] = (
            HTTP_SCENES if issubclass(refusal, http.HttpRefusal) else SCENES
        )
        assert refusal not in scenes
        scenes[refusal] = scene
        return scene

    return register


# Requests that are wrong in themselves


@provokes(errors.InvalidFields)
async def amount_that_is_none(world: World) -> Ask:
    return Ask("DepositService/CreateDeposit", v1.CreateDepositRequest(amount="x"), world.anna)


@provokes(errors.MalformedRequest)
async def bytes_that_are_no_message(world: World) -> Ask:
    return Ask("DepositService/CreateDeposit", b"\xff", world.anna)


@provokes(errors.PageTokenInvalid)
async def page_token_of_nobody(world: World) -> Ask:
    request = v1.ListDepositsRequest(page_token="x")
    return Ask("DepositService/ListDeposits", request, world.anna)


# Who calls, and what they may


@provokes(errors.TokenMissing)
async def no_token(world: World) -> Ask:
    return Ask("UserService/GetMe", v1.GetMeRequest())


@provokes(errors.TokenInvalid)
async def token_that_is_none(world: World) -> Ask:
    return Ask("UserService/GetMe", v1.GetMeRequest(), token="x")


@provokes(errors.TokenExpired)
async def old_token(world: World) -> Ask:
    past = int((datetime.now(UTC) - timedelta(hours=1)).timestamp())
    token = signed(world.service, world.anna.token.token, exp=past)
    return Ask("UserService/GetMe", v1.GetMeRequest(), token=token)


@provokes(errors.ConfirmationCodeInvalid)
async def code_that_was_not_sent(world: World) -> Ask:
    request = v1.CreateTokenRequest(email="nobody@example.com", confirmation_code="12345678")
    return Ask("AuthService/CreateToken", request)


@provokes(errors.ConfirmationCodeLimit)
async def second_code_at_once(world: World) -> Ask:
    request = v1.SendConfirmationCodeRequest(email="often@example.com")
    await world.service.client().auth.SendConfirmationCode(request)
    return Ask("AuthService/SendConfirmationCode", request)


@provokes(errors.ClientCredentialsInvalid)
async def wrong_secret(world: World) -> Ask:
    request = v1.CreateTokenRequest(client_id="billing", client_secret="wrong")
    return Ask("AuthService/CreateToken", request)


@provokes(errors.RefreshTokenInvalid)
async def refresh_token_of_nobody(world: World) -> Ask:
    return Ask("AuthService/RefreshToken", v1.RefreshTokenRequest(refresh_token="x"))


@provokes(errors.PermissionMissing)
async def catalogue_changed_by_a_user(world: World) -> Ask:
    request = v1.CreateServiceRequest(service=v1.Service(name="Tea", price="1"))
    return Ask("PurchaseService/CreateService", request, world.anna)


# Users


@provokes(errors.UserNotFound)
async def user_that_is_not_there(world: World) -> Ask:
    return Ask("UserService/GetUser", v1.GetUserRequest(user=str(uuid4())), world.admin)


@provokes(errors.UsernameTaken)
async def username_of_another(world: World) -> Ask:
    request = v1.UpdateMeRequest(
        user=v1.User(username="boris"), update_mask=FieldMask(paths=["username"])
    )
    await world.boris.client.users.UpdateMe(request)
    return Ask("UserService/UpdateMe", request, world.anna)


@provokes(errors.ExternalIdConflict)
async def external_id_of_another(world: World) -> Ask:
    request = v1.SetUserExternalIdRequest(external_id="42", source="service:crm")
    request.user = world.boris.user_id
    await world.admin.client.users.SetUserExternalId(request)
    request.user = world.anna.user_id
    return Ask("UserService/SetUserExternalId", request, world.admin)


@provokes(errors.EtagMismatch)
async def etag_of_no_version(world: World) -> Ask:
    sold = await world.sell("5")
    request = v1.UpdateServiceRequest(
        id=sold,
        service=v1.Service(price="6", etag="other"),
        update_mask=FieldMask(paths=["price"]),
    )
    return Ask("PurchaseService/UpdateService", request, world.admin)


# Accounts


@provokes(errors.AccountNotFound)
async def account_that_is_not_there(world: World) -> Ask:
    return Ask("AccountService/GetAccount", v1.GetAccountRequest(account=str(uuid4())), world.anna)


@provokes(errors.AccountFrozen)
async def deposit_to_a_frozen_account(world: World) -> Ask:
    account = await world.open_frozen(world.anna, "GBP")
    request = v1.CreateDepositRequest(account=account, amount="1", currency="GBP")
    return Ask("DepositService/CreateDeposit", request, world.anna)


@provokes(errors.AccountClosed)
async def deposit_to_a_closed_account(world: World) -> Ask:
    account = (await world.admin.open("JPY")).id
    await world.admin.client.accounts.CloseAccount(v1.CloseAccountRequest(account=account))
    request = v1.CreateDepositRequest(account=account, amount="1", currency="JPY")
    return Ask("DepositService/CreateDeposit", request, world.admin)


@provokes(errors.AccountNotEmpty)
async def account_with_money_closed(world: World) -> Ask:
    request = v1.CloseAccountRequest(account=world.account)
    return Ask("AccountService/CloseAccount", request, world.admin)


@provokes(errors.LimitBelowBalance)
async def limit_below_a_debt(world: World) -> Ask:
    account = (await world.admin.open("EUR")).id
    accounts = world.admin.client.accounts
    await accounts.SetAccountLimit(v1.SetAccountLimitRequest(account=account, limit="50"))
    await world.admin.client.withdrawals.CreateWithdrawal(
        v1.CreateWithdrawalRequest(account=account, amount="40", currency="EUR")
    )
    request = v1.SetAccountLimitRequest(account=account, limit="39.99")
    return Ask("AccountService/SetAccountLimit", request, world.admin)


@provokes(errors.OverdraftAboveMax)
async def overdraft_above_the_ceiling(world: World) -> Ask:
    request = v1.SetAccountLimitRequest(account=world.account, limit="500000.01")
    return Ask("AccountService/SetAccountLimit", request, world.admin)


@provokes(errors.AccountNotClosed)
async def open_account_reopened(world: World) -> Ask:
    request = v1.ReopenAccountRequest(account=world.account, reason="By mistake")
    return Ask("AccountService/ReopenAccount", request, world.admin)


# Movements of money


async def limited(world: World, debit: str = "", daily: str = "") -> Person:
    """Somebody with 1000 RUB, whose debits are limited."""
    person, account = await somebody(world.service, "1000")
    request = v1.SetAccountLimitsRequest(
        account=account, debit_limit=debit, daily_limit=daily, reason="To be safe"
    )
    await world.admin.client.accounts.SetAccountLimits(request)
    return person


@provokes(errors.DebitLimitExceeded)
async def withdrawal_beyond_the_limit_for_one(world: World) -> Ask:
    person = await limited(world, debit="10")
    request = v1.CreateWithdrawalRequest(amount="10.01")
    return Ask("WithdrawalService/CreateWithdrawal", request, person)


@provokes(errors.DailyLimitExceeded)
async def transfer_beyond_the_limit_of_the_day(world: World) -> Ask:
    person = await limited(world, daily="10")
    await person.client.withdrawals.CreateWithdrawal(v1.CreateWithdrawalRequest(amount="7"))
    request = v1.CreateTransferRequest(to_account=world.account, amount="3.01")
    return Ask("TransferService/CreateTransfer", request, person)


@provokes(errors.InsufficientFunds)
async def withdrawal_beyond_the_balance(world: World) -> Ask:
    request = v1.CreateWithdrawalRequest(amount="1000.01")
    return Ask("WithdrawalService/CreateWithdrawal", request, world.anna)


@provokes(errors.CurrencyMismatch)
async def dollars_to_an_account_in_roubles(world: World) -> Ask:
    request = v1.CreateDepositRequest(account=world.account, amount="1", currency="USD")
    return Ask("DepositService/CreateDeposit", request, world.anna)


@provokes(errors.SameAccount)
async def transfer_to_its_sender(world: World) -> Ask:
    request = v1.CreateTransferRequest(to_account=world.account, amount="1")
    return Ask("TransferService/CreateTransfer", request, world.anna)


@provokes(errors.BalanceOverflow)
async def deposit_beyond_what_a_balance_can_be(world: World) -> Ask:
    request = v1.CreateDepositRequest(account=world.account, amount=AMOUNT_MAX)
    return Ask("DepositService/CreateDeposit", request, world.anna)


@provokes(errors.ReceiverUnavailable)
async def transfer_to_a_strangers_frozen_account(world: World) -> Ask:
    account = await world.open_frozen(await world.service.person())
    request = v1.CreateTransferRequest(to_account=account, amount="1")
    return Ask("TransferService/CreateTransfer", request, world.anna)


@provokes(errors.MovementNotFound)
async def deposit_that_is_not_there(world: World) -> Ask:
    return Ask("DepositService/GetDeposit", v1.GetDepositRequest(deposit=str(uuid4())), world.anna)


@provokes(errors.IdempotencyKeyReused)
async def key_of_another_deposit(world: World) -> Ask:
    request = v1.CreateDepositRequest(amount="1", request_id="order 42")
    await world.anna.client.deposits.CreateDeposit(request)
    request.amount = "2"
    return Ask("DepositService/CreateDeposit", request, world.anna)


@provokes(errors.ReferenceReused)
async def reference_of_another_deposit(world: World) -> Ask:
    request = v1.CreateDepositRequest(amount="1", reference="ch_1")
    await world.anna.client.deposits.CreateDeposit(request)
    request.request_id = ""
    return Ask("DepositService/CreateDeposit", request, world.anna)


# What the service cannot do now


@provokes(errors.DeadlinePassed)
async def moment_that_is_not_over_in_time(world: World) -> Ask:
    moment = Timestamp()
    moment.GetCurrentTime()
    request = v1.GetAccountRequest(account=world.account, as_of=moment)
    return Ask("AccountService/GetAccount", request, world.anna, timeout_seconds=0.5)


@provokes(errors.Overloaded)
async def more_calls_than_are_taken(world: World) -> Ask:
    world.patch.setattr(world.service.app.calls, "_calls_max", 0)
    return Ask("UserService/GetMe", v1.GetMeRequest(), world.anna)


@provokes(errors.QuotaExceeded)
async def more_calls_than_one_user_may_have(world: World) -> Ask:
    quotas = world.service.app.calls._quotas
    world.patch.setitem(quotas._calls, f"user:{world.anna.user_id}", 100)
    return Ask("UserService/GetMe", v1.GetMeRequest(), world.anna)


@provokes(errors.Unavailable)
async def database_that_is_away(world: World) -> Ask:
    async def wait_in_vain(**_: object) -> NoReturn:
        raise PoolTimeout

    world.patch.setattr(world.service.app.pool, "getconn", wait_in_vain)
    return Ask("DepositService/ListDeposits", v1.ListDepositsRequest(), world.anna)
