"""The Python client's shortcuts, interceptors and log, for threads and for asyncio."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import grpc
import pytest

from balance_client import (
    AsyncClient,
    AsyncServiceCredentials,
    BalanceError,
    Client,
    Reason,
    ServiceCredentials,
    money,
    v1,
)
from balance_service.domain.principals import Scope
from balance_service.operations import administration
from tests.service import Service, somebody

STORY = [
    ("deposit", "100.50 RUB", "100.50"),
    ("withdrawal", "0.50 RUB", "100.00"),
    ("transfer", "9.90 RUB", "90.10"),
    ("purchase", "5.00 RUB", "85.10"),
    ("capture", "20.00 RUB", "65.10"),
    ("balance", "65.10 RUB", "65.10"),
    ("entries", "100.50 -0.50 -9.90 -5.00 -20.00", ""),
]


async def billing(service: Service) -> str:
    return await administration.create_service_principal(
        service.settings, "billing", "", list(Scope)
    )


async def offered(service: Service) -> str:
    """A service of the catalogue at 5 RUB."""
    admin = await service.admin()
    coffee = v1.Service(name="Coffee", price="5", currency="RUB")
    return (await admin.client.purchases.CreateService(v1.CreateServiceRequest(service=coffee))).id


def tell(balance: Client, user: str, shop: str, coffee: str) -> list[tuple[str, str, str]]:
    anna = balance.open_account(user).id
    told: list[tuple[str, Any]] = [
        ("deposit", balance.deposit(anna, Decimal("100.50"), "RUB", source="psp", reference="r")),
        ("withdrawal", balance.withdraw(anna, "0.50", "RUB", description="Cash")),
        ("transfer", balance.transfer(anna, shop, Decimal("9.9"), "RUB", metadata={"a": "b"})),
        ("purchase", balance.purchase(anna, coffee, expected_price=5)),
    ]
    later = datetime.now(UTC) + timedelta(minutes=5)
    hold = balance.hold(anna, 30, "RUB", to_account=shop, expire_time=later)
    assert balance.balance(anna)[1:3] == (Decimal(30), Decimal("55.10"))
    told.append(("capture", balance.capture(hold.id, 20, keep_rest=True)))
    assert balance.void(hold.id, reason="Enough").status == v1.HOLD_STATUS_VOIDED
    lines = [(name, str(money(moved)), moved.balance) for name, moved in told]
    left = balance.balance(anna)
    lines.append(("balance", f"{left.balance} {left.currency}", f"{left.available}"))
    return [*lines, ("entries", " ".join(entry.amount for entry in balance.entries(anna)), "")]


async def tell_with_asyncio(
    balance: AsyncClient, user: str, shop: str, coffee: str
) -> list[tuple[str, str, str]]:
    anna = (await balance.open_account(user)).id
    amount = Decimal("100.50")
    told: list[tuple[str, Any]] = [
        ("deposit", await balance.deposit(anna, amount, "RUB", source="psp", reference="s")),
        ("withdrawal", await balance.withdraw(anna, "0.50", "RUB", description="Cash")),
        ("transfer", await balance.transfer(anna, shop, Decimal("9.9"), "RUB")),
        ("purchase", await balance.purchase(anna, coffee, expected_price=5)),
    ]
    hold = await balance.hold(anna, 30, "RUB", to_account=shop)
    told.append(("capture", await balance.capture(hold.id, 20, keep_rest=True)))
    assert (await balance.void(hold.id)).status == v1.HOLD_STATUS_VOIDED
    lines = [(name, str(money(moved)), moved.balance) for name, moved in told]
    left = await balance.balance(anna)
    lines.append(("balance", f"{left.balance} {left.currency}", f"{left.available}"))
    amounts = [entry.amount async for entry in balance.entries(anna)]
    return [*lines, ("entries", " ".join(amounts), "")]


async def test_both_clients_tell_the_story_in_short(service: Service) -> None:
    secret, coffee = await billing(service), await offered(service)
    anna, boris = await service.person(), await service.person()
    _, shop = await somebody(service)

    def with_threads() -> list[tuple[str, str, str]]:
        with Client(service.target, ServiceCredentials("billing", secret)) as balance:
            return tell(balance, anna.user_id, shop, coffee)

    assert await asyncio.to_thread(with_threads) == STORY
    client = service.client(AsyncServiceCredentials("billing", secret))
    assert await tell_with_asyncio(client, boris.user_id, shop, coffee) == STORY


async def test_float_is_refused_before_it_is_sent() -> None:
    with (
        Client("127.0.0.1:1") as balance,
        pytest.raises(TypeError, match="and not a float"),
    ):
        balance.transfer("a", "b", 0.1, "RUB")  # type: ignore[arg-type]


class Hook(grpc.UnaryUnaryClientInterceptor):
    """Notes each call's method, request id and kind of token."""

    def __init__(self, name: str, seen: list[tuple[str, str, str, bool]]) -> None:
        self.name, self.seen = name, seen

    def intercept_unary_unary(
        self, continuation: Any, client_call_details: Any, request: Any
    ) -> Any:
        self.note(client_call_details, request)
        return continuation(client_call_details, request)

    def note(self, details: Any, request: Any) -> None:
        method = details.method.decode() if isinstance(details.method, bytes) else details.method
        names = [name for name, _ in details.metadata or ()]
        id_ = getattr(request, "request_id", "")
        self.seen.append((self.name, method.rpartition("/")[2], id_, "authorization" in names))


class AsyncHook(grpc.aio.UnaryUnaryClientInterceptor):
    """The same for asyncio."""

    def __init__(self, hook: Hook) -> None:
        self.hook = hook

    async def intercept_unary_unary(
        self, continuation: Any, client_call_details: Any, request: Any
    ) -> Any:
        self.hook.note(client_call_details, request)
        return await continuation(client_call_details, request)


async def test_interceptors_see_every_attempt_in_order(service: Service) -> None:
    secret = await billing(service)
    _, account = await somebody(service)
    seen: list[tuple[str, str, str, bool]] = []
    hooks = [Hook("outer", seen), Hook("inner", seen)]
    expected = [
        ("outer", "CreateToken", "", False),
        ("inner", "CreateToken", "", False),
        ("outer", "CreateDeposit", "d-1", True),
        ("inner", "CreateDeposit", "d-1", True),
    ]

    def with_threads() -> None:
        credentials = ServiceCredentials("billing", secret)
        with Client(service.target, credentials, interceptors=hooks) as balance:
            balance.deposit(account, 1, "RUB", request_id="d-1")
            # Streams pass, too.
            request = v1.WatchAccountRequest(account=account)
            assert next(balance.accounts.WatchAccount(request)).balance == "1.00"

    await asyncio.to_thread(with_threads)
    assert seen == expected
    seen.clear()
    credentials = AsyncServiceCredentials("billing", secret)
    async_hooks = [AsyncHook(hook) for hook in hooks]
    async with AsyncClient(service.target, credentials, interceptors=async_hooks) as balance:
        moved = await balance.deposits.CreateDeposit.with_trailers(
            v1.CreateDepositRequest(account=account, amount="1", request_id="d-1")
        )
        assert ("idempotency-replayed", "true") in moved[1]
        with pytest.raises(BalanceError) as error:
            await balance.deposit(account, 2, "RUB", request_id="d-1")
        assert error.value.reason == Reason.IDEMPOTENCY_KEY_REUSED
    assert seen[:4] == expected


class StreamHook(grpc.UnaryStreamClientInterceptor, grpc.StreamStreamClientInterceptor):
    """Counts streams as they begin."""

    def __init__(self) -> None:
        self.begun = 0

    def intercept_unary_stream(
        self, continuation: Any, client_call_details: Any, request: Any
    ) -> Any:
        self.begun += 1
        return continuation(client_call_details, request)

    def intercept_stream_stream(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        self.begun += 1
        return continuation(client_call_details, request_iterator)


class AsyncWatchHook(grpc.aio.UnaryStreamClientInterceptor):
    """The same for asyncio, of streams of answers."""

    def __init__(self, hook: StreamHook) -> None:
        self.hook = hook

    async def intercept_unary_stream(
        self, continuation: Any, client_call_details: Any, request: Any
    ) -> Any:
        return await self.hook.intercept_unary_stream(continuation, client_call_details, request)


class AsyncDuplexHook(grpc.aio.StreamStreamClientInterceptor):
    """The same for asyncio, of streams of both."""

    def __init__(self, hook: StreamHook) -> None:
        self.hook = hook

    async def intercept_stream_stream(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        return await self.hook.intercept_stream_stream(
            continuation, client_call_details, request_iterator
        )


async def test_interceptors_see_streams(service: Service) -> None:
    secret = await billing(service)
    (_, anna), (_, boris) = await somebody(service, "9"), await somebody(service)
    watched = v1.WatchAccountRequest(account=anna)
    sent = [
        v1.CreateTransferRequest(from_account=anna, to_account=boris, amount="1", request_id=name)
        for name in "abc"
    ]
    hook = StreamHook()

    def with_threads() -> list[str]:
        credentials = ServiceCredentials("billing", secret)
        with Client(service.target, credentials, interceptors=[hook]) as balance:
            first = next(balance.accounts.WatchAccount(watched)).balance
            moved = balance.transfers.StreamTransfers(sent)
            return [first, *(outcome.transfer.balance for outcome in moved)]

    told = ["9.00", "8.00", "7.00", "6.00"]
    assert await asyncio.to_thread(with_threads) == told
    credentials = AsyncServiceCredentials("billing", secret)
    hooks = [AsyncWatchHook(hook), AsyncDuplexHook(hook)]
    async with AsyncClient(service.target, credentials, interceptors=hooks) as balance:
        first = await anext(balance.accounts.WatchAccount(watched))
        replayed = [o.transfer.balance async for o in balance.transfers.StreamTransfers(sent)]
    assert [first.balance, *replayed] == ["6.00", *told[1:]]
    assert hook.begun == 4


async def test_log_tells_how_calls_ended_and_no_secret(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    secret = await billing(service)
    _, account = await somebody(service)
    caplog.set_level(logging.DEBUG, "balance_client")
    async with AsyncClient(service.target, AsyncServiceCredentials("billing", secret)) as balance:
        await balance.deposit(account, 71, "RUB", description="Rent", request_id="d-1")
        with pytest.raises(BalanceError):
            await balance.withdraw(account, 7100, "RUB", request_id="w-1")
    said = [record.getMessage() for record in caplog.records if record.name == "balance_client"]
    ends = [line.rpartition(" in ")[0] for line in said if " in " in line]
    withdrawal = "/balance.v1.WithdrawalService/CreateWithdrawal"
    assert ends == [
        "/balance.v1.AuthService/CreateToken OK",
        "/balance.v1.DepositService/CreateDeposit request_id=d-1 OK",
        f"{withdrawal} request_id=w-1 FAILED_PRECONDITION INSUFFICIENT_FUNDS",
    ]
    assert [line for line in said if " in " not in line] == ["access token renewed, good for 600 s"]
    for hidden in (secret, "Bearer", "eyJ", "Rent"):
        assert not any(hidden in line for line in said), hidden
