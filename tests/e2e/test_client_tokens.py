"""How the Python client keeps its token: through restarts, refusals, wrong clocks and crowds."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import grpc
import pytest

from balance_client import (
    AsyncClient,
    AsyncServiceCredentials,
    AsyncUserCredentials,
    BalanceError,
    Client,
    Reason,
    RetryPolicy,
    ServiceCredentials,
    UserCredentials,
    v1,
)
from balance_client.policy import new_request_id
from balance_service.auth.tokens import IssuedToken, Tokens
from balance_service.domain import errors
from balance_service.domain.principals import Scope
from balance_service.operations import administration
from tests.service import Person, Service, StartService, free_port, refused

ME = v1.GetMeRequest()
FAST = RetryPolicy(backoff_seconds=0.01)


class Desk:
    """Stands before the service's tokens: counts what is asked for, and may spoil it."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.sign_ins = 0
        self.refreshes: list[str] = []
        self.refreshing = 0
        self.refreshing_max = 0
        self.failures: list[Exception] = []
        self.open = asyncio.Event()
        self.open.set()
        self.expired = 0
        self.lost = 0
        sign_in, refresh, sign_in_user = Tokens.sign_in_service, Tokens.refresh, Tokens.sign_in
        self.tokens: Tokens | None = None

        async def remember(tokens: Tokens, user_id: UUID) -> IssuedToken:
            self.tokens = tokens
            return await sign_in_user(tokens, user_id)

        async def count_sign_in(tokens: Tokens, client_id: str, secret: str) -> IssuedToken:
            self.sign_ins += 1
            await self.open.wait()
            self._fail()
            return self._spoil(tokens, await sign_in(tokens, client_id, secret))

        async def count_refresh(tokens: Tokens, token: str) -> IssuedToken:
            self.refreshes.append(token)
            self.refreshing += 1
            self.refreshing_max = max(self.refreshing_max, self.refreshing)
            try:
                await self.open.wait()
                self._fail()
                issued = await refresh(tokens, token)
            finally:
                self.refreshing -= 1
            if self.lost:
                self.lost -= 1
                raise errors.Unavailable
            return self._spoil(tokens, issued)

        patch.setattr(Tokens, "sign_in_service", count_sign_in)
        patch.setattr(Tokens, "refresh", count_refresh)
        patch.setattr(Tokens, "sign_in", remember)

    def _fail(self) -> None:
        if self.failures:
            raise self.failures.pop(0)

    def _spoil(self, tokens: Tokens, issued: IssuedToken) -> IssuedToken:
        """The token, or for the next few one that has expired though its caller cannot know."""
        if not self.expired:
            return issued
        self.expired -= 1
        past = datetime.now(UTC) - timedelta(minutes=3)
        spoilt = tokens._sign({"sub": "service:billing", "scope": ""}, past, past)
        return IssuedToken(
            spoilt, issued.expires_at, issued.life, issued.refresh_token, issued.refresh_expires_at
        )


@pytest.fixture
def desk() -> Iterator[Desk]:
    with pytest.MonkeyPatch.context() as patch:
        yield Desk(patch)


async def sibling(service: Service) -> str:
    """The secret of `billing`, which may read and pay in."""
    scopes = [Scope.ACCOUNTS_READ, Scope.DEPOSITS_WRITE, Scope.TRANSFERS_WRITE]
    return await administration.create_service_principal(service.settings, "billing", "", scopes)


def expired(desk: Desk, person: Person) -> v1.Token:
    """What a caller holds whose clock is slow: a token that has expired, without its looking so."""
    past = datetime.now(UTC) - timedelta(seconds=90)
    token = v1.Token()
    token.CopyFrom(person.token)
    subject = {"sub": f"user:{person.user_id}", "role": "user", "scope": ""}
    assert desk.tokens
    token.token = desk.tokens._sign(subject, past, past + timedelta(seconds=30))
    return token


Account = tuple[Person, v1.GetAccountRequest]


async def account(service: Service) -> Account:
    person = await service.person()
    opened = await person.open()
    await person.deposit("100", opened.id)
    return person, v1.GetAccountRequest(account=opened.id)


async def test_call_waits_for_its_token_through_a_restart(
    start_service: StartService, desk: Desk
) -> None:
    port = free_port()
    service = await start_service(grpc_port=port)
    secret = await sibling(service)
    _, request = await account(service)
    async with AsyncClient(service.target, AsyncServiceCredentials("billing", secret)) as client:
        await service.app.stop()
        calls = [asyncio.create_task(read(client, request)) for _ in range(20)]
        blocking = Client(service.target, ServiceCredentials("billing", secret))
        by_thread = asyncio.create_task(
            asyncio.to_thread(blocking.accounts.GetAccount, request, timeout=20)
        )
        done, _ = await asyncio.wait([*calls, by_thread], timeout=0.3)
        assert not done
        again = await start_service(grpc_port=port)
        # It is up, but not well yet.
        desk.failures = [errors.Unavailable(), errors.Unavailable()] * 4
        found = await asyncio.gather(*calls, by_thread)
        assert [answer.balance for answer in found] == ["100.00"] * 21
        assert again.target == service.target
    await asyncio.to_thread(blocking.close)


async def test_every_call_waits_for_a_connection(start_service: StartService) -> None:
    port = free_port()
    service = await start_service(grpc_port=port)
    secret = await sibling(service)
    _, request = await account(service)
    sign_in = v1.CreateTokenRequest(client_id="billing", client_secret=secret)
    client = AsyncClient(service.target, AsyncServiceCredentials("billing", secret))
    await read(client, request)
    await service.app.stop()
    fresh = AsyncClient(service.target)
    calls = [
        asyncio.create_task(read(client, request)),
        *(asyncio.ensure_future(c.auth.CreateToken(sign_in, timeout=20)) for c in (client, fresh)),
    ]
    done, _ = await asyncio.wait(calls, timeout=0.5)
    assert not done
    await start_service(grpc_port=port)
    await asyncio.gather(*calls)
    await client.close()
    await fresh.close()


async def read(client: AsyncClient, request: v1.GetAccountRequest) -> v1.Account:
    return await client.accounts.GetAccount(request, timeout=20)


async def test_calls_wait_for_a_token_no_longer_than_their_time(
    service: Service, desk: Desk
) -> None:
    secret = await sibling(service)
    _, request = await account(service)
    desk.open.clear()
    client = service.client(AsyncServiceCredentials("billing", secret))
    error = await refused(client.accounts.GetAccount(request, timeout=0.2))
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    with Client(service.target, ServiceCredentials("billing", secret)) as blocking:

        def call() -> BalanceError:
            with pytest.raises(BalanceError) as ended:
                blocking.accounts.GetAccount(request, timeout=0.2)
            return ended.value

        assert (await asyncio.to_thread(call)).code() == grpc.StatusCode.DEADLINE_EXCEEDED
        # The renewals went on without those that waited for them.
        desk.open.set()
        await client.accounts.GetAccount(request)
        await asyncio.to_thread(blocking.accounts.GetAccount, request)
    assert desk.sign_ins == 2


async def test_many_calls_at_once_ask_for_one_token(service: Service, desk: Desk) -> None:
    secret = await sibling(service)
    _, request = await account(service)
    credentials = AsyncServiceCredentials("billing", secret)
    clients = [service.client(credentials) for _ in range(3)]
    await asyncio.gather(*(read(client, request) for client in clients for _ in range(100)))
    assert desk.sign_ins == 1

    with Client(service.target, ServiceCredentials("billing", secret)) as blocking:
        start = threading.Barrier(30)

        def call() -> str:
            start.wait(10)
            return blocking.accounts.GetAccount(request).balance

        with ThreadPoolExecutor(30) as pool:
            loop = asyncio.get_running_loop()
            found = await asyncio.gather(*(loop.run_in_executor(pool, call) for _ in range(30)))
        assert found == ["100.00"] * 30
    assert desk.sign_ins == 2


async def test_cancelled_caller_does_not_cancel_the_renewal_of_others(
    service: Service, desk: Desk
) -> None:
    secret = await sibling(service)
    _, request = await account(service)
    desk.open.clear()
    client = service.client(AsyncServiceCredentials("billing", secret))
    first, *others = (asyncio.create_task(read(client, request)) for _ in range(5))
    while not desk.sign_ins:
        await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.wait([first])
    desk.open.set()
    assert [answer.balance for answer in await asyncio.gather(*others)] == ["100.00"] * 4
    assert first.cancelled()
    assert desk.sign_ins == 1


async def test_everybody_is_told_that_the_secret_is_wrong(service: Service, desk: Desk) -> None:
    _, request = await account(service)
    client = service.client(AsyncServiceCredentials("billing", "wrong"))
    ends = await asyncio.gather(*(refused(read(client, request)) for _ in range(50)))
    assert {end.reason for end in ends} == {Reason.CLIENT_CREDENTIALS_INVALID}
    assert len({id(end) for end in ends}) == 50
    assert desk.sign_ins == 1


async def test_one_client_may_close_while_another_waits_for_their_token(
    service: Service, desk: Desk
) -> None:
    secret = await sibling(service)
    _, request = await account(service)
    desk.open.clear()
    credentials = AsyncServiceCredentials("billing", secret)
    one, other = AsyncClient(service.target, credentials), service.client(credentials)
    leaving, staying = (asyncio.create_task(read(client, request)) for client in (one, other))
    while not desk.sign_ins:
        await asyncio.sleep(0.01)
    await one.close()
    desk.open.set()
    assert (await staying).balance == "100.00"
    leaving.cancel()
    await asyncio.wait([leaving])


async def test_refused_token_is_renewed_once_and_the_call_keeps_its_id(
    service: Service, desk: Desk
) -> None:
    secret = await sibling(service)
    _, request = await account(service)
    create = v1.CreateDepositRequest(account=request.account, amount="1")
    desk.expired = 1
    client = service.client(AsyncServiceCredentials("billing", secret))
    made = await asyncio.gather(*(client.deposits.CreateDeposit(create) for _ in range(20)))
    assert len({deposit.id for deposit in made}) == 20
    assert desk.sign_ins == 2

    desk.expired = 1
    with Client(service.target, ServiceCredentials("billing", secret)) as blocking:
        again = v1.CreateDepositRequest(
            account=request.account, amount="1", request_id=str(new_request_id())
        )
        first = await asyncio.to_thread(blocking.deposits.CreateDeposit, again)
        second = await asyncio.to_thread(blocking.deposits.CreateDeposit, again)
    assert first == second
    assert desk.sign_ins == 4
    assert (await read(client, request)).balance == "121.00"


async def test_token_refused_again_is_the_callers_to_know(service: Service, desk: Desk) -> None:
    secret = await sibling(service)
    _, request = await account(service)
    desk.expired = 100
    client = service.client(AsyncServiceCredentials("billing", secret))
    error = await refused(read(client, request))
    assert (error.code(), error.reason) == (
        grpc.StatusCode.UNAUTHENTICATED,
        Reason.TOKEN_EXPIRED,
    )
    assert desk.sign_ins == 2


@pytest.mark.parametrize("seconds", [-120, 120, 86_400, -86_400])
async def test_wrong_wall_clock_costs_nothing(
    service: Service, desk: Desk, seconds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = await sibling(service)
    _, request = await account(service)
    person = await service.person()
    credentials = AsyncServiceCredentials("billing", secret)
    clock = SimpleNamespace(time=lambda: time.time() + seconds, monotonic=time.monotonic)
    monkeypatch.setattr("balance_client.access_tokens.time", clock)
    user_credentials = AsyncUserCredentials(person.token)
    client, user = service.client(credentials), service.client(user_credentials)
    for _ in range(5):
        await read(client, request)
        await user.users.GetMe(ME)
    assert desk.sign_ins == 1
    assert len(desk.refreshes) == (seconds > 600)


async def test_expired_token_of_a_slow_clock_is_refreshed(service: Service, desk: Desk) -> None:
    person = await service.person()
    token = expired(desk, person)
    stored: list[v1.Token] = []
    client = service.client(AsyncUserCredentials(token, stored.append))
    found = await asyncio.gather(*(whoami(client) for _ in range(50)))
    assert {user.id for user in found} == {person.user_id}
    assert len(desk.refreshes) == len(stored) == 1

    with Client(service.target, UserCredentials(stored[0], stored.append)) as blocking:
        spoilt = expired(desk, person)
        spoilt.refresh_token = stored[0].refresh_token
        blocking_too = Client(service.target, UserCredentials(spoilt, stored.append))
        with ThreadPoolExecutor(20) as pool, blocking_too:
            loop = asyncio.get_running_loop()
            calls = [loop.run_in_executor(pool, blocking_too.users.GetMe, ME) for _ in range(20)]
            assert {user.id for user in await asyncio.gather(*calls)} == {person.user_id}
        assert (await asyncio.to_thread(blocking.users.GetMe, ME)).id == person.user_id
    assert len(desk.refreshes) == 2
    assert desk.refreshing_max == 1


async def whoami(client: AsyncClient) -> v1.User:
    return await client.users.GetMe(ME)


async def test_refresh_that_failed_before_it_was_done_is_sent_again(
    service: Service, desk: Desk
) -> None:
    person = await service.person()
    desk.failures = [errors.Unavailable()] * 3
    credentials = AsyncUserCredentials(expired(desk, person))
    async with AsyncClient(service.target, credentials, policy=FAST) as client:
        assert (await whoami(client)).id == person.user_id
    assert desk.refreshes == [person.token.refresh_token] * 4
    assert desk.refreshing_max == 1


async def test_lost_answer_to_a_refresh_ends_the_sign_in_and_is_reported(
    service: Service, desk: Desk
) -> None:
    person = await service.person()
    desk.lost = 1
    credentials = AsyncUserCredentials(expired(desk, person))
    async with AsyncClient(service.target, credentials, policy=FAST) as client:
        for _ in range(3):
            error = await refused(client.users.GetMe(ME))
            assert error.reason == Reason.REFRESH_TOKEN_INVALID
            assert "was not answered" in error.message
            assert "Sign in again" in error.message
    # What the service has refused is not sent to it again.
    assert len(desk.refreshes) == 2


async def test_cancelled_caller_does_not_lose_a_refresh(service: Service, desk: Desk) -> None:
    person = await service.person()
    stored: list[v1.Token] = []
    desk.open.clear()
    client = AsyncClient(service.target, AsyncUserCredentials(expired(desk, person), stored.append))
    call = asyncio.create_task(whoami(client))
    while not desk.refreshes:
        await asyncio.sleep(0.01)
    call.cancel()
    closing = asyncio.create_task(client.close())
    await asyncio.sleep(0.05)
    desk.open.set()
    await closing
    assert len(stored) == 1
    after = service.client(AsyncUserCredentials(stored[0]))
    assert (await after.users.GetMe(ME)).id == person.user_id


async def test_user_without_a_refresh_token_must_sign_in_again(
    service: Service, desk: Desk
) -> None:
    person = await service.person()
    token = expired(desk, person)
    token.refresh_token = ""
    error = await refused(service.client(AsyncUserCredentials(token)).users.GetMe(ME))
    assert (error.code(), error.reason) == (
        grpc.StatusCode.UNAUTHENTICATED,
        Reason.TOKEN_EXPIRED,
    )
    assert desk.refreshes == []


async def test_good_token_is_used_while_its_successor_cannot_be_had(
    service: Service, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = await sibling(service)
    _, request = await account(service)
    client = service.client(AsyncServiceCredentials("billing", secret))
    await read(client, request)
    known = client._credentials._known  # type: ignore[union-attr]
    monkeypatch.setattr(
        client._credentials,
        "_known",
        replace(known, renew_at=0.0),  # type: ignore[type-var]
    )
    desk.failures = [errors.ClientCredentialsInvalid()]
    assert (await read(client, request)).balance == "100.00"
    assert desk.sign_ins == 2


async def test_watching_is_begun_again_with_another_token(service: Service, desk: Desk) -> None:
    secret = await sibling(service)
    _, request = await account(service)
    watch = v1.WatchAccountRequest(account=request.account)
    desk.expired = 2
    client = service.client(AsyncServiceCredentials("billing", secret))
    stream = client.accounts.WatchAccount(watch)
    # The second was refused as well, and once is enough.
    with pytest.raises(BalanceError) as ended:
        await anext(stream)
    assert ended.value.reason == Reason.TOKEN_EXPIRED
    stream = client.accounts.WatchAccount(watch)
    assert (await anext(stream)).balance == "100.00"
    stream.cancel()

    def by_thread() -> str:
        with Client(service.target, ServiceCredentials("billing", secret)) as blocking:
            watching = blocking.accounts.WatchAccount(watch)
            balance = next(watching).balance
            watching.cancel()
            return balance

    desk.expired = 1
    assert await asyncio.to_thread(by_thread) == "100.00"
    assert desk.sign_ins == 5


def transfers(sender: str, receiver: str) -> Iterator[v1.CreateTransferRequest]:
    for _ in range(500):
        yield v1.CreateTransferRequest(
            from_account=sender,
            to_account=receiver,
            amount="0.01",
            request_id=str(new_request_id()),
        )


async def slowly(
    requests: Iterator[v1.CreateTransferRequest],
) -> AsyncIterator[v1.CreateTransferRequest]:
    for index, request in enumerate(requests):
        if index % 50 == 0:
            await asyncio.sleep(0.02)
        yield request


def slowly_by_thread(
    requests: Iterator[v1.CreateTransferRequest],
) -> Iterator[v1.CreateTransferRequest]:
    for index, request in enumerate(requests):
        if index % 50 == 1:
            time.sleep(0.02)
        yield request


@pytest.mark.parametrize("pace", [iter, slowly])
async def test_stream_of_requests_is_sent_again_from_the_first(
    service: Service, desk: Desk, pace: Callable[[Any], Any]
) -> None:
    secret = await sibling(service)
    (_, request), (_, other) = await account(service), await account(service)
    for _ in range(5):
        desk.expired = 1
        client = service.client(AsyncServiceCredentials("billing", secret))
        requests = pace(transfers(request.account, other.account))
        outcomes = [o.transfer.amount async for o in client.transfers.StreamTransfers(requests)]
        assert outcomes == ["0.01"] * 500
    assert (await read(client, request)).balance == "75.00"
    assert desk.sign_ins == 10


@pytest.mark.parametrize("pace", [iter, slowly_by_thread])
async def test_stream_of_requests_is_sent_again_by_threads_too(
    service: Service, desk: Desk, pace: Callable[[Any], Any]
) -> None:
    secret = await sibling(service)
    (_, request), (_, other) = await account(service), await account(service)

    def story() -> list[str]:
        with Client(service.target, ServiceCredentials("billing", secret)) as blocking:
            requests = pace(transfers(request.account, other.account))
            made = blocking.transfers.StreamTransfers(requests)
            return [outcome.transfer.amount for outcome in made]

    for _ in range(5):
        desk.expired = 1
        assert await asyncio.to_thread(story) == ["0.01"] * 500
    client = service.client(AsyncServiceCredentials("billing", secret))
    assert (await read(client, request)).balance == "75.00"


async def test_callers_own_token_is_left_alone(service: Service, desk: Desk) -> None:
    secret = await sibling(service)
    person, request = await account(service)
    client = service.client(AsyncServiceCredentials("billing", secret))
    metadata = (("authorization", f"Bearer {person.token.token}"),)
    assert (await client.users.GetMe(ME, metadata=metadata)).id == person.user_id
    bad = (("authorization", "Bearer nonsense"),)
    error = await refused(client.accounts.GetAccount(request, metadata=bad))
    assert error.reason == Reason.TOKEN_INVALID
    assert desk.sign_ins == 0
