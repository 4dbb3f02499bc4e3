"""Every refusal of the table, provoked through gRPC and through HTTP, in each language."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2

from balance_client import v1
from balance_service.calls import http, refusals
from balance_service.calls.refusals import TABLE
from balance_service.domain import errors
from balance_service.gateway import app
from balance_service.server.http_protocol import HEAD_BYTES_MAX
from tests.grpc import assert_same_refusal, over_grpc
from tests.http import BY_METHOD, Answer
from tests.rates import age_rates
from tests.service import Person, Service, StartService, somebody
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
        patch: Undone at the end.
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
    request = v1.CreateTokenRequest(email="nobody@example.com", confirmation_code="123456")
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


# Movements of money


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


# Purchases


@provokes(errors.ServiceNotFound)
async def service_that_is_not_there(world: World) -> Ask:
    request = v1.GetServiceRequest(service=str(uuid4()))
    return Ask("PurchaseService/GetService", request, world.anna)


@provokes(errors.RateUnavailable)
async def price_in_a_currency_without_a_rate(world: World) -> Ask:
    request = v1.CreatePurchaseRequest(service=await world.sell("10", "ZWG"))
    return Ask("PurchaseService/CreatePurchase", request, world.anna)


@provokes(errors.ChargeTooSmall)
async def price_of_less_than_a_cent(world: World) -> Ask:
    dollars = (await world.anna.open("USD")).id
    request = v1.CreatePurchaseRequest(service=await world.sell("1", "VND"), account=dollars)
    return Ask("PurchaseService/CreatePurchase", request, world.anna)


@provokes(errors.RateStale)
async def price_by_an_old_rate(world: World) -> Ask:
    request = v1.CreatePurchaseRequest(service=await world.sell("10", "USD"))
    age_rates(world.service)
    return Ask("PurchaseService/CreatePurchase", request, world.anna)


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


@provokes(errors.Unavailable)
async def database_that_is_away(world: World) -> Ask:
    # Nothing else can be asked for after this, so this scene is the last.
    world.patch.undo()
    await world.service.app.pool.close()
    return Ask("DepositService/ListDeposits", v1.ListDepositsRequest(), world.anna)


# What only HTTP refuses


@provokes(http.RequestMalformed)
async def half_a_body(world: World) -> Answer:
    return await world.anna.http("POST", "/api/v1/actions", "{")


@provokes(http.HeadTooLarge)
async def large_head(world: World) -> Answer:
    return await send_raw(world.service, b"a: " + b"x" * HEAD_BYTES_MAX + b"\r\n\r\n")


@provokes(http.RouteNotFound)
async def path_to_nothing(world: World) -> Answer:
    return await world.anna.http("GET", "/api/v1/nothing")


@provokes(http.MethodNotAllowed)
async def wrong_verb(world: World) -> Answer:
    return await world.anna.http("PUT", "/api/v1/actions")


@provokes(http.RequestTimeout)
async def body_that_does_not_come(world: World) -> Answer:
    world.patch.setattr(app, "BODY_TIMEOUT_SECONDS", 0.2)
    token = world.anna.token.token.encode()
    rest = b"content-type: application/json\r\nauthorization: Bearer " + token
    return await send_raw(world.service, rest + b"\r\ncontent-length: 50\r\n\r\n{")


@provokes(http.BodyTooLarge)
async def large_body(world: World) -> Answer:
    body = {"description": "x" * BODY_BYTES_MAX}
    return await world.anna.http("POST", "/api/v1/actions", body)


@provokes(http.MediaTypeUnsupported)
async def body_that_is_no_json(world: World) -> Answer:
    return await world.anna.http("POST", "/api/v1/actions", "x", content_type="text/plain")


@provokes(http.PageNotFound)
async def page_after_the_last(world: World) -> Answer:
    return await world.anna.http("GET", "/api/v1/actions?page=9")


@provokes(http.AnswerTimeout)
async def answer_that_does_not_come(world: World) -> Answer:
    caller = world.hasty.http.signed_in(world.anna.token.token)
    with psycopg.connect(world.database_url) as conn:
        conn.execute("SELECT 1 FROM accounts FOR UPDATE")
        return await caller("POST", "/api/v1/actions", {"amount": "1"})


async def send_raw(service: Service, rest: bytes) -> Answer:
    """Sends the bytes of a request after its first lines; the answer, as far as it has a length."""
    host, port = service.http.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /api/v1/actions HTTP/1.1\r\nhost: x\r\n" + rest)
    async with asyncio.timeout(15):
        start, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines if line)
        body = await reader.readexactly(int(headers["content-length"]))
    writer.close()
    return Answer(int(start.split(" ")[1]), headers, body.decode())


def test_every_row_has_a_scene_or_a_reason_for_none() -> None:
    provoked = [*SCENES, *HTTP_SCENES, *NOT_PROVOKED]
    assert len(provoked) == len(set(provoked))
    assert set(provoked) == set(TABLE)
    assert all(NOT_PROVOKED.values())


@pytest.fixture
async def world(
    start_service: StartService, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> World:
    service = await start_service(http_body_bytes_max=BODY_BYTES_MAX)
    hasty = await start_service(http_timeout_seconds=0.5)
    anna, account = await somebody(service, "1000")
    boris, _ = await somebody(service, "1000")
    admin = await service.admin()
    return World(service, hasty, anna, account, boris, admin, database_url, monkeypatch)


async def test_every_refusal_is_provoked_over_grpc_and_over_http(world: World) -> None:
    for refusal, scene in SCENES.items():
        ask = await scene(world)
        for language in ("en", "ru"):
            await assert_refused(world, ask, refusal, language)


async def assert_refused(
    world: World, ask: Ask, refusal: type[errors.Refusal], language: str
) -> None:
    """Makes a call through each door, and compares the refusals with the table and each other."""
    row = TABLE[refusal]
    binding = BY_METHOD[f"/balance.v1.{ask.method}"]
    token = ask.token or (ask.caller.token.token if ask.caller else "")
    call = await over_grpc(
        world.service, binding, ask.request, token, language, ask.timeout_seconds
    )
    info, text = error_details_pb2.ErrorInfo(), error_details_pb2.LocalizedMessage()
    assert call.status.details, refusal
    assert call.status.details[0].Unpack(info)
    assert call.status.details[-1].Unpack(text)
    assert (info.reason, call.status.code) == (row.reason, row.code), (refusal, call.status)
    assert text.locale == language
    if language == "ru":
        assert text.message == row.russian.format_map(info.metadata)
    if isinstance(ask.request, bytes) or ask.timeout_seconds:
        return
    caller = world.service.http.signed_in(token)
    answer = await caller.call(binding, ask.request, accept_language=language)
    assert_same_refusal(call, answer)
    assert answer.status == refusals.http_status(row.code, row.reason)
    assert answer.headers["content-language"] == language
    delays = [detail for detail in answer.json["details"] if "retry_delay" in detail]
    assert ("retry-after" in answer.headers) == bool(delays) or row.reason == "UNAVAILABLE"


async def test_every_refusal_of_http_alone_is_provoked(world: World) -> None:
    for refusal, scene in HTTP_SCENES.items():
        row, answer = TABLE[refusal], await scene(world)
        assert (answer.json["code"], answer.reason) == (row.code, row.reason), refusal
        assert answer.status == (row.http_status or refusals.http_status(row.code)), refusal
