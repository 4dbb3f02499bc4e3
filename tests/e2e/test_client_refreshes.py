"""How the Python client refreshes a user's token: wrong clocks, lost answers and crowds."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import grpc

from balance_client import (
    AsyncClient,
    AsyncUserCredentials,
    Client,
    Reason,
    RetryPolicy,
    UserCredentials,
    v1,
)
from balance_service.domain import errors
from tests.service import Service, StartService, refused
from tests.tokens import ME, TokenProbe, expired

FAST = RetryPolicy(backoff_seconds=0.01)


async def test_expired_token_of_a_slow_clock_is_refreshed(
    service: Service, probe: TokenProbe
) -> None:
    person = await service.person()
    token = expired(probe, person)
    stored: list[v1.Token] = []
    client = service.client(AsyncUserCredentials(token, stored.append))
    found = await asyncio.gather(*(whoami(client) for _ in range(50)))
    assert {user.id for user in found} == {person.user_id}
    assert len(probe.refreshes) == len(stored) == 1

    with Client(service.target, UserCredentials(stored[0], stored.append)) as blocking:
        spoilt = expired(probe, person)
        spoilt.refresh_token = stored[0].refresh_token
        blocking_too = Client(service.target, UserCredentials(spoilt, stored.append))
        with ThreadPoolExecutor(20) as pool, blocking_too:
            loop = asyncio.get_running_loop()
            calls = [loop.run_in_executor(pool, blocking_too.users.GetMe, ME) for _ in range(20)]
            assert {user.id for user in await asyncio.gather(*calls)} == {person.user_id}
        assert (await asyncio.to_thread(blocking.users.GetMe, ME)).id == person.user_id
    assert len(probe.refreshes) == 2
    assert probe.refreshing_max == 1


async def whoami(client: AsyncClient) -> v1.User:
    return await client.users.GetMe(ME)


async def test_refresh_that_failed_before_it_was_done_is_sent_again(
    service: Service, probe: TokenProbe
) -> None:
    person = await service.person()
    probe.failures = [errors.Unavailable()] * 3
    credentials = AsyncUserCredentials(expired(probe, person))
    async with AsyncClient(service.target, credentials, policy=FAST) as client:
        assert (await whoami(client)).id == person.user_id
    assert probe.refreshes == [person.token.refresh_token] * 4
    assert probe.refreshing_max == 1


async def test_lost_answer_to_a_refresh_is_asked_for_again(
    service: Service, probe: TokenProbe
) -> None:
    person = await service.person()
    probe.lost = 2
    credentials = AsyncUserCredentials(expired(probe, person))
    async with AsyncClient(service.target, credentials, policy=FAST) as client:
        assert (await whoami(client)).id == person.user_id
    assert probe.refreshes == [person.token.refresh_token] * 3


async def test_lost_answer_after_the_grace_ends_the_sign_in_and_is_reported(
    start_service: StartService, probe: TokenProbe
) -> None:
    service = await start_service(refresh_grace_seconds=0)
    person = await service.person()
    probe.lost = 1
    credentials = AsyncUserCredentials(expired(probe, person))
    async with AsyncClient(service.target, credentials, policy=FAST) as client:
        for _ in range(3):
            error = await refused(client.users.GetMe(ME))
            assert error.reason == Reason.REFRESH_TOKEN_INVALID
            assert "was not answered" in error.message
            assert "Sign in again" in error.message
    # What the service has refused is not sent to it again.
    assert len(probe.refreshes) == 2


async def test_cancelled_caller_does_not_lose_a_refresh(
    service: Service, probe: TokenProbe
) -> None:
    person = await service.person()
    stored: list[v1.Token] = []
    probe.open.clear()
    client = AsyncClient(
        service.target, AsyncUserCredentials(expired(probe, person), stored.append)
    )
    call = asyncio.create_task(whoami(client))
    while not probe.refreshes:
        await asyncio.sleep(0.01)
    call.cancel()
    closing = asyncio.create_task(client.close())
    await asyncio.sleep(0.05)
    probe.open.set()
    await closing
    assert len(stored) == 1
    after = service.client(AsyncUserCredentials(stored[0]))
    assert (await after.users.GetMe(ME)).id == person.user_id


async def test_user_without_a_refresh_token_must_sign_in_again(
    service: Service, probe: TokenProbe
) -> None:
    person = await service.person()
    token = expired(probe, person)
    token.refresh_token = ""
    error = await refused(service.client(AsyncUserCredentials(token)).users.GetMe(ME))
    assert (error.code(), error.reason) == (
        grpc.StatusCode.UNAUTHENTICATED,
        Reason.TOKEN_EXPIRED,
    )
    assert probe.refreshes == []
