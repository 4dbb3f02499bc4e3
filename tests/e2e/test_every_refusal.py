"""Every refusal of the table, provoked through gRPC and through HTTP, in each language."""

import asyncio

import psycopg
import pytest
from google.rpc import error_details_pb2

from balance_service.calls import http, refusals
from balance_service.calls.refusals import TABLE
from balance_service.domain import errors
from balance_service.gateway import transcoder
from balance_service.server.http_protocol import HEAD_BYTES_MAX
from tests import (  # noqa: F401 - register scenes
    approval_scenes,
    event_scenes,
    follow_up_scenes,
    price_scenes,
    proof_scenes,
    schedule_scenes,
    sign_in_scenes,
    statement_scenes,
    webhook_scenes,
)
from tests.commits import LOCK_ACCOUNTS
from tests.grpc import assert_same_refusal, over_grpc
from tests.http import BY_METHOD, Answer
from tests.refusal_scenes import (
    BODY_BYTES_MAX,
    HTTP_SCENES,
    NOT_PROVOKED,
    SCENES,
    Ask,
    World,
    provokes,
)
from tests.service import Service, StartService, somebody

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
    world.patch.setattr(transcoder, "BODY_TIMEOUT_SECONDS", 0.2)
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
        conn.execute(LOCK_ACCOUNTS)
        return await caller("POST", "/api/v1/actions", {"amount": "1"})


async def send_raw(service: Service, rest: bytes) -> Answer:
    """Sends the bytes of a request after its first lines; the answer, as far as it has a length."""
    host, port = service.http.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /api/v1/actions HTTP/1.1\r\nhost: x\r\n" + rest)
    async with asyncio.timeout(30):
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
    service = await start_service(
        http_body_bytes_max=BODY_BYTES_MAX, overdraft_max="RUB=500000,USD=1"
    )
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
        world.patch.undo()


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
        world.patch.undo()
        assert (answer.json["code"], answer.reason) == (row.code, row.reason), refusal
        assert answer.status == (row.http_status or refusals.http_status(row.code)), refusal
