"""One caller's share of a worker, and streams that end with their token."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from balance_client import BalanceError, v1
from balance_service.calls.strangers import BURST_SECONDS
from balance_service.server import health
from tests.http import Answer
from tests.service import Person, Service, StartService, refused, rich
from tests.write_races import answer_said

ME = v1.GetMeRequest()


async def test_user_who_calls_too_fast_is_told_when_to_come_again(
    start_service: StartService,
) -> None:
    service = await start_service(user_calls_per_second=1.0)
    anna, boris = await service.person(), await service.person()
    answers = [await anna.http("GET", "/api/v1/users/me") for _ in range(8)]
    over = next(answer for answer in answers if answer.status != 200)
    assert over.status == 429
    assert over.detail("ErrorInfo")["reason"] == "QUOTA_EXCEEDED"
    assert over.detail("ErrorInfo")["metadata"]["quota"] == "calls_per_second"
    assert over.headers["retry-after"] == "1"
    assert (await boris.client.users.GetMe(ME)).id == boris.user_id


async def test_strangers_have_a_share_by_network_and_users_another(
    start_service: StartService,
) -> None:
    service = await start_service(network_calls_per_second=20.0)
    anna = await service.person()

    async def refused_at_last(path: str) -> Answer:
        for _ in range(1000):
            answer = await service.http("GET", path)
            if answer.status == 429:
                return answer
        pytest.fail(f"{path} is not limited")

    for path in ("/.well-known/jwks.json", "/api/v1/services/", "/openapi.json", "/swagger/"):
        answer = await refused_at_last(path)
        assert answer.headers["retry-after"] == "1", path
        assert answer.detail("ErrorInfo")["metadata"]["quota"] == "network_calls_per_second"
    # Health has a share of its own, which is bounded, too.
    assert (await service.http("GET", "/healthz")).status == 200
    await refused_at_last("/healthz")
    async with grpc.aio.insecure_channel(service.target) as channel:
        reflect: Any = channel.stream_stream(
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
        )
        check: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
        asked: list[Any] = [lambda: reflect(iter([b""])).read(), lambda: check(b"")]
        for ask in asked:
            with pytest.raises(grpc.aio.AioRpcError) as too_often:
                for _ in range(1000):
                    await answer_said(ask)
            assert too_often.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    for _ in range(20):
        assert (await anna.client.users.GetMe(ME)).id == anna.user_id


async def test_network_has_a_share_of_tokens_that_are_not_good(start_service: StartService) -> None:
    service = await start_service(network_calls_per_second=20.0)
    anna = await service.person()
    head, claims, _ = anna.token.token.split(".")
    forger = service.http.signed_in(f"{head}.{claims}.{'A' * 86}")
    reasons = []
    while "QUOTA_EXCEEDED" not in reasons:
        reasons.append((await forger("GET", "/api/v1/users/me")).reason)
    assert set(reasons[:-1]) == {"TOKEN_INVALID"}
    assert len(reasons) > 20 * BURST_SECONDS
    # Who was verified before goes on, and so do those without a token.
    assert (await anna.client.users.GetMe(ME)).id == anna.user_id
    assert (await service.http("GET", "/.well-known/jwks.json")).status == 200


async def test_user_has_a_bounded_number_of_streams(start_service: StartService) -> None:
    service = await start_service(user_streams_max=2)
    anna, account = await rich(service)
    watch = v1.WatchAccountRequest(account=account)
    streams = [aiter(anna.client.accounts.WatchAccount(watch)) for _ in range(2)]
    for stream in streams:
        await anext(stream)
    error = await refused(anext(aiter(anna.client.accounts.WatchAccount(watch))))
    assert (error.reason, error.metadata["quota"]) == ("QUOTA_EXCEEDED", "streams_open")
    assert error.retry_after_seconds


async def _watch(anna: Person, account: str) -> BalanceError:
    stream = anna.client.accounts.WatchAccount(v1.WatchAccountRequest(account=account))
    with pytest.raises(BalanceError) as error:
        async for _ in stream:
            pass
    return error.value


async def _send_nothing(anna: Person, _account: str) -> BalanceError:
    async def requests() -> AsyncIterator[v1.CreateTransferRequest]:
        await asyncio.sleep(60)
        yield v1.CreateTransferRequest()

    with pytest.raises(BalanceError) as error:
        async for _outcome in anna.client.transfers.StreamTransfers(requests()):
            pass
    return error.value


@pytest.mark.parametrize("stream", [_watch, _send_nothing])
async def test_stream_on_which_nothing_happens_ends_with_its_token(
    service: Service, stream: object
) -> None:
    anna, account = await rich(service)
    open_ = asyncio.create_task(stream(anna, account))  # type: ignore[operator]
    await asyncio.sleep(0.5)
    assert not open_.done()
    revoke = v1.RevokeTokenRequest(refresh_token=anna.token.refresh_token)
    await service.client().auth.RevokeToken(revoke)
    async with asyncio.timeout(30):
        # The second is what a client is told that tries to renew it.
        assert (await open_).reason in ("TOKEN_INVALID", "REFRESH_TOKEN_INVALID")


@pytest.mark.usefixtures("within")
async def test_a_bounded_number_of_strangers_watch_the_health(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "WATCHERS_MAX", 2)
    request = health_pb2.HealthCheckRequest()
    async with grpc.aio.insecure_channel(service.target) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        watches = [stub.Watch(request) for _ in range(2)]  # type: ignore[attr-defined]
        for watch in watches:
            await watch.read()
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await stub.Watch(request).read()  # type: ignore[attr-defined]
        assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        watches[0].cancel()
        await asyncio.sleep(0.2)
        assert await stub.Watch(request).read()  # type: ignore[attr-defined]
