"""Calls begin a few at a time, in fair turns between networks, and too many are refused."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import structlog
from google.rpc.status_pb2 import Status
from starlette.types import Send

from balance_service.calls import refusals
from balance_service.domain import errors, retry_after
from balance_service.server.admission import CALLS_A_TURN, Admission
from balance_service.server.envoy.prepared import PreparedRefusal

CROWDED = errors.Overloaded(retry_after.CROWDED_SECONDS)
FLOOD, OTHER = "192.0.2.1", "192.0.2.2"


async def come(admission: Admission, network: str, begun: list[str]) -> None:
    if not admission.begin():
        await admission.wait(network)
    begun.append(network)


async def test_few_begin_in_a_turn_and_all_in_the_end() -> None:
    admission, begun = Admission(1000), list[str]()
    calls = [asyncio.create_task(come(admission, FLOOD, begun)) for _ in range(CALLS_A_TURN * 3)]
    seen = []
    while len(begun) < len(calls):
        await asyncio.sleep(0)
        seen.append(len(begun))
    steps = [after - before for before, after in zip([0, *seen], seen, strict=False)]
    assert max(steps) == CALLS_A_TURN
    await asyncio.gather(*calls)
    # Once nobody waits, calls begin at once again.
    await asyncio.sleep(0)
    assert admission.begin()


async def test_few_calls_of_a_network_do_not_wait_behind_many_of_another() -> None:
    admission, begun = Admission(10_000), list[str]()
    flood = [asyncio.create_task(come(admission, FLOOD, begun)) for _ in range(CALLS_A_TURN * 50)]
    await asyncio.sleep(0)
    others = [asyncio.create_task(come(admission, OTHER, begun)) for _ in range(4)]
    await asyncio.gather(*others)
    assert begun.count(FLOOD) <= CALLS_A_TURN * 5
    await asyncio.gather(*flood)


async def test_line_has_an_end_and_leaves_room_for_others() -> None:
    admission, begun = Admission(100), list[str]()
    with structlog.testing.capture_logs() as logs:
        flood = [asyncio.create_task(come(admission, FLOOD, begun)) for _ in range(300)]
        others = [asyncio.create_task(come(admission, OTHER, begun)) for _ in range(40)]
        ends = await asyncio.gather(*flood, return_exceptions=True)
        await asyncio.gather(*others)
        refused = [end for end in ends if end is not None]
        assert len(refused) == 300 - CALLS_A_TURN - 100
        assert all(end == errors.Overloaded(retry_after.CROWDED_SECONDS) for end in refused)
        await asyncio.sleep(1.1)
    # One line, however many were refused.
    assert logs == [{"event": "calls_refused", "log_level": "warning", "count": len(refused)}]


async def test_call_that_is_cancelled_leaves_its_place() -> None:
    admission, begun = Admission(100), list[str]()
    calls = [asyncio.create_task(come(admission, FLOOD, begun)) for _ in range(CALLS_A_TURN * 2)]
    await asyncio.sleep(0)
    calls[-1].cancel()
    with pytest.raises(asyncio.CancelledError):
        await calls[-1]
    await asyncio.gather(*calls[:-1])
    assert len(begun) == CALLS_A_TURN * 2 - 1


async def answered(send: Callable[[Send], Awaitable[None]]) -> tuple[int, dict[str, str], bytes]:
    """What an answer sends: status, headers and body."""
    events: list[Any] = []

    async def keep(event: Any) -> None:
        events.append(event)

    await send(keep)
    start, body = events
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], headers, body["body"]


async def test_refusal_over_grpc_is_whole() -> None:
    status, headers, body = await answered(PreparedRefusal(CROWDED).send_grpc)
    assert (status, headers["content-type"], body) == (200, "application/grpc", b"")
    told = Status.FromString(base64.b64decode(headers["grpc-status-details-bin"] + "=="))
    assert headers["grpc-status"] == str(told.code) == "8"
    assert told == refusals.status(CROWDED)


@pytest.mark.parametrize("method", ["POST", "HEAD"])
async def test_refusal_over_http_is_whole(method: str) -> None:
    answer = PreparedRefusal(CROWDED)
    status, headers, body = await answered(lambda send: answer.send_http({"method": method}, send))
    assert (status, headers["retry-after"]) == (429, "1")
    assert headers["content-type"].startswith("application/json")
    if method == "HEAD":
        assert body == b""
    else:
        assert len(body) == int(headers["content-length"])
        assert json.loads(body)["details"][0]["reason"] == "OVERLOADED"


async def test_caller_who_has_gone_is_not_told() -> None:
    async def gone(_: Any) -> None:
        raise ConnectionError

    await PreparedRefusal(CROWDED).send_grpc(gone)
