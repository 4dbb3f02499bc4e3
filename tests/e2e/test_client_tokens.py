"""How the Python client keeps a service's token: through restarts, refusals and crowds."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import grpc
import pytest

from balance_client import (
    AsyncClient,
    AsyncServiceCredentials,
    AsyncUserCredentials,
    BalanceError,
    Client,
    Reason,
    ServiceCredentials,
    v1,
)
from balance_client.policy import new_request_id
from balance_service.domain import errors
from tests.service import Service, StartService, free_port, refused
from tests.tokens import ME, TokenProbe, account, read, sibling


async def test_call_waits_for_its_token_through_a_restart(
    start_service: StartService, probe: TokenProbe
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
        probe.failures = [errors.Unavailable(), errors.Unavailable()] * 4
        found = await asyncio.gather(*calls, by_thread)
        assert [answer.balance for answer in found] == ["100.00"] * 21
        assert again.target == service.target
    await asyncio.to_thread(blocking.close)


@pytest.mark.usefixtures("within")
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


async def test_calls_wait_for_a_token_no_longer_than_their_time(
    service: Service, probe: TokenProbe
) -> None:
    secret = await sibling(service)
    _, request = await account(service)
    probe.open.clear()
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
        probe.open.set()
        await client.accounts.GetAccount(request)
        await asyncio.to_thread(blocking.accounts.GetAccount, request)
    assert probe.sign_ins == 2


async def test_many_calls_at_once_ask_for_one_token(service: Service, probe: TokenProbe) -> None:
    secret = await sibling(service)
    _, request = await account(service)
    credentials = AsyncServiceCredentials("billing", secret)
    clients = [service.client(credentials) for _ in range(3)]
    await asyncio.gather(*(read(client, request) for client in clients for _ in range(100)))
    assert probe.sign_ins == 1

    with Client(service.target, ServiceCredentials("billing", secret)) as blocking:
        start = threading.Barrier(30)

        def call() -> str:
            start.wait(10)
            return blocking.accounts.GetAccount(request).balance

        with ThreadPoolExecutor(30) as pool:
            loop = asyncio.get_running_loop()
            found = await asyncio.gather(*(loop.run_in_executor(pool, call) for _ in range(30)))
        assert found == ["100.00"] * 30
    assert probe.sign_ins == 2


async def test_cancelled_caller_does_not_cancel_the_renewal_of_others(
    service: Service, probe: TokenProbe
) -> None:
    secret = await sibling(service)
    _, request = await account(service)
    probe.open.clear()
    client = service.client(AsyncServiceCredentials("billing", secret))
    first, *others = (asyncio.create_task(read(client, request)) for _ in range(5))
    while not probe.sign_ins:
        await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.wait([first])
    probe.open.set()
    assert [answer.balance for answer in await asyncio.gather(*others)] == ["100.00"] * 4
    assert first.cancelled()
    assert probe.sign_ins == 1


async def test_everybody_is_told_that_the_secret_is_wrong(
    service: Service, probe: TokenProbe
) -> None:
    _, request = await account(service)
    client = service.client(AsyncServiceCredentials("billing", "wrong"))
    ends = await asyncio.gather(*(refused(read(client, request)) for _ in range(50)))
    assert {end.reason for end in ends} == {Reason.CLIENT_CREDENTIALS_INVALID}
    assert len({id(end) for end in ends}) == 50
    assert probe.sign_ins == 1


async def test_one_client_may_close_while_another_waits_for_their_token(
    service: Service, probe: TokenProbe
) -> None:
    secret = await sibling(service)
    _, request = await account(service)
    probe.open.clear()
    credentials = AsyncServiceCredentials("billing", secret)
    one, other = AsyncClient(service.target, credentials), service.client(credentials)
    leaving, staying = (asyncio.create_task(read(client, request)) for client in (one, other))
    while not probe.sign_ins:
        await asyncio.sleep(0.01)
    await one.close()
    probe.open.set()
    assert (await staying).balance == "100.00"
    leaving.cancel()
    await asyncio.wait([leaving])


async def test_refused_token_is_renewed_once_and_the_call_keeps_its_id(
    service: Service, probe: TokenProbe
) -> None:
    secret = await sibling(service)
    _, request = await account(service)
    create = v1.CreateDepositRequest(account=request.account, amount="1")
    probe.expired = 1
    client = service.client(AsyncServiceCredentials("billing", secret))
    made = await asyncio.gather(*(client.deposits.CreateDeposit(create) for _ in range(20)))
    assert len({deposit.id for deposit in made}) == 20
    assert probe.sign_ins == 2

    probe.expired = 1
    with Client(service.target, ServiceCredentials("billing", secret)) as blocking:
        again = v1.CreateDepositRequest(
            account=request.account, amount="1", request_id=str(new_request_id())
        )
        first = await asyncio.to_thread(blocking.deposits.CreateDeposit, again)
        second = await asyncio.to_thread(blocking.deposits.CreateDeposit, again)
    assert first == second
    assert probe.sign_ins == 4
    assert (await read(client, request)).balance == "121.00"


async def test_token_refused_again_is_the_callers_to_know(
    service: Service, probe: TokenProbe
) -> None:
    secret = await sibling(service)
    _, request = await account(service)
    probe.expired = 100
    client = service.client(AsyncServiceCredentials("billing", secret))
    error = await refused(read(client, request))
    assert (error.code(), error.reason) == (
        grpc.StatusCode.UNAUTHENTICATED,
        Reason.TOKEN_EXPIRED,
    )
    assert probe.sign_ins == 2


@pytest.mark.parametrize("seconds", [-120, 120, 86_400, -86_400])
async def test_wrong_wall_clock_costs_nothing(
    service: Service, probe: TokenProbe, seconds: int, monkeypatch: pytest.MonkeyPatch
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
    assert probe.sign_ins == 1
    assert len(probe.refreshes) == (seconds > 600)


async def test_good_token_is_used_while_its_successor_cannot_be_had(
    service: Service, probe: TokenProbe, monkeypatch: pytest.MonkeyPatch
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
    probe.failures = [errors.ClientCredentialsInvalid()]
    assert (await read(client, request)).balance == "100.00"
    assert probe.sign_ins == 2


async def test_callers_own_token_is_left_alone(service: Service, probe: TokenProbe) -> None:
    secret = await sibling(service)
    person, request = await account(service)
    client = service.client(AsyncServiceCredentials("billing", secret))
    metadata = (("authorization", f"Bearer {person.token.token}"),)
    assert (await client.users.GetMe(ME, metadata=metadata)).id == person.user_id
    bad = (("authorization", "Bearer nonsense"),)
    error = await refused(client.accounts.GetAccount(request, metadata=bad))
    assert error.reason == Reason.TOKEN_INVALID
    assert probe.sign_ins == 0
