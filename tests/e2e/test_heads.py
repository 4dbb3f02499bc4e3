"""Heads of HTTP requests: their size, their time and their doubts, byte by byte."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
import structlog

from balance_service.server import http_protocol, standalone_gateway
from balance_service.server.http_protocol import FIELDS_MAX, HEAD_BYTES_MAX
from tests.service import Service, StartService

# What uvicorn and our reader within it refuse; Envoy's own refusals are in `test_envoy.py`.
pytestmark = pytest.mark.usefixtures("within")

GUARDED = (
    "content-security-policy",
    "referrer-policy",
    "x-content-type-options",
    "x-frame-options",
)
ME = b"GET /api/v1/users/me HTTP/1.1\r\nhost: x\r\n"


@dataclass(frozen=True)
class Raw:
    """An answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def violations(self) -> list[str]:
        details = json.loads(self.body)["details"]
        found: list[Any] = next(d for d in details if d["@type"].endswith("BadRequest"))[
            "field_violations"
        ]
        return [violation["field"] for violation in found]


class Wire:
    """A connection that says what it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def answer(self, *, head: bool = False) -> Raw:
        async with asyncio.timeout(30):
            start, *lines = (
                (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            )
            headers = dict(line.lower().split(": ", 1) for line in lines if line)
            length = 0 if head else int(headers.get("content-length", "0"))
            body = await self._reader.readexactly(length)
            return Raw(int(start.split(" ")[1]), headers, body)

    async def ends(self) -> bytes:
        """What comes until the server has closed."""
        async with asyncio.timeout(30):
            return await self._reader.read()


Dial = Callable[[bytes], Any]


@pytest.fixture
async def dial(service: Service) -> AsyncIterator[Dial]:
    opened: list[Wire] = []

    async def connect(data: bytes) -> Wire:
        host, port = service.http.url.removeprefix("http://").split(":")
        opened.append(Wire(*await asyncio.open_connection(host, int(port))))
        opened[-1].writer.write(data)
        return opened[-1]

    yield connect
    for wire in opened:
        wire.writer.close()


LINES = b"a: b\r\n"
TOO_LARGE = {
    "fields": ME + LINES * FIELDS_MAX + b"\r\n",
    "fields without end": ME + LINES * 500_000,
    "one value": ME + b"a: " + b"x" * HEAD_BYTES_MAX + b"\r\n\r\n",
    "one value without end": ME + b"a: " + b"x" * 500_000,
    "one name without end": ME + b"x" * 500_000,
    "values": ME + (b"a: " + b"x" * 1000 + b"\r\n") * 66 + b"\r\n",
    "target": b"GET /" + b"x" * HEAD_BYTES_MAX + b" HTTP/1.1\r\nhost: x\r\n\r\n",
    "target without end": b"GET /" + b"x" * 500_000,
}


@pytest.mark.parametrize("data", TOO_LARGE.values(), ids=TOO_LARGE)
async def test_head_of_no_size_is_refused(dial: Dial, data: bytes) -> None:
    wire = await dial(data)
    answer = await wire.answer()
    assert (answer.status, answer.violations) == (431, ["head"])
    assert answer.headers["connection"] == "close"
    assert set(GUARDED) <= set(answer.headers)
    assert await wire.ends() == b""


async def test_head_of_the_largest_size_is_read_however_it_comes(dial: Dial) -> None:
    head = ME + (b"a: " + b"x" * 800 + b"\r\n") * 80 + b"\r\n"
    wire = await dial(b"")
    for start in range(0, len(head), 777):
        wire.writer.write(head[start : start + 777])
        await asyncio.sleep(0)
    assert (await wire.answer()).status == 401
    wire.writer.write(head * 5)
    assert [(await wire.answer()).status for _ in range(5)] == [401] * 5


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"GET", ME, ME + b"a: b"])
async def test_head_that_does_not_come_is_given_up(
    dial: Dial, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_TIMEOUT_SECONDS", 0.3)
    first = await dial(sent)
    assert (await first.answer()).status == 408
    assert await first.ends() == b""
    kept = await dial(ME + b"\r\n")
    assert (await kept.answer()).status == 401
    # Idle it may be for longer, for as long as it says nothing at all.
    await asyncio.sleep(0.6)
    kept.writer.write(ME + b"\r\n")
    assert (await kept.answer()).status == 401
    if sent:
        kept.writer.write(sent)
        assert (await kept.answer()).status == 408


async def test_dripping_head_is_given_up(dial: Dial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_TIMEOUT_SECONDS", 0.5)
    wire = await dial(ME)

    async def drip() -> None:
        while True:
            wire.writer.write(LINES)
            await asyncio.sleep(0.1)

    dripping = asyncio.create_task(drip())
    assert (await wire.answer()).status == 408
    dripping.cancel()


REFUSED = [
    (b"OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n", "target"),
    (b"CONNECT x:443 HTTP/1.1\r\nhost: x:443\r\n\r\n", "target"),
    (b"GET x HTTP/1.1\r\nhost: x\r\n\r\n", "head"),
    (b"GET ftp://x/ HTTP/1.1\r\nhost: x\r\n\r\n", "target"),
    (b"GET http://[::/ HTTP/1.1\r\nhost: x\r\n\r\n", "target"),
    ("GET /ж HTTP/1.1\r\nhost: x\r\n\r\n".encode(), "head"),
    (b"GET / HTTP/1.1\r\n\r\n", "host"),
    (b"GET / HTTP/1.1\r\nhost: x\r\nhost: x\r\n\r\n", "host"),
    (b"GET / HTTP/1.1\r\nhost: x y\r\n\r\n", "host"),
    (b"GET / HTTP/1.0\r\nhost: x\r\nhost: y\r\n\r\n", "host"),
    (b"GET / HTTP/2.0\r\nhost: x\r\n\r\n", "version"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "head"),
    (b"GET / HTTP/1.1\r\nhost: x\r\na\x00b: c\r\n\r\n", "head"),
    (b"GET /\x00 HTTP/1.1\r\nhost: x\r\n\r\n", "head"),
    (b"\x16\x03\x01\x02\x00\x01\x00", "head"),
    (ME + b"authorization: Bearer a\r\nauthorization: Bearer b\r\n\r\n", "authorization"),
    (ME + "authorization: Bearer ж\r\n\r\n".encode(), "authorization"),
    (ME + "accept-language: ж\r\n\r\n".encode(), "accept-language"),
    (ME + b"x-request-id: a\tb\r\n\r\n", "x-request-id"),
    (ME + b"traceparent: \xff\r\n\r\n", "traceparent"),
    (ME + b"idempotency-key: a\r\nidempotency-key: a\r\n\r\n", "idempotency-key"),
    (ME + b"content-type: a/b\r\ncontent-type: a/c\r\n\r\n", "content-type"),
    (ME + b"content-length: 1\r\ncontent-length: 1\r\n\r\na", "head"),
    (ME + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\na", "head"),
    (ME + b"transfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n", None),
    (ME + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "transfer-encoding"),
    (ME + b"transfer-encoding: gzip\r\n\r\n", None),
    (ME + b"content-length: +1\r\n\r\na", "head"),
    (ME + b"content-length: " + b"9" * 5000 + b"\r\n\r\na", "head"),
]


@pytest.mark.parametrize(("data", "place"), REFUSED, ids=[str(data[-60:]) for data, _ in REFUSED])
async def test_request_that_is_in_doubt_is_refused(
    dial: Dial, data: bytes, place: str | None
) -> None:
    with structlog.testing.capture_logs() as lines:
        wire = await dial(data)
        answer = await wire.answer()
        assert answer.status == 400
        if place:
            assert answer.violations == [place]
        assert len(answer.body) < 1000
        assert set(GUARDED) <= set(answer.headers)
        assert await wire.ends() == b""
    assert [line for line in lines if line["log_level"] == "error"] == []


ANSWERED = [
    (b"GET http://elsewhere/api/v1/users/me HTTP/1.1\r\nhost: x\r\n\r\n", 401),
    (b"GET http://elsewhere HTTP/1.1\r\nhost: x\r\n\r\n", 307),
    (b"TRACE /api/v1/users/me HTTP/1.1\r\nhost: x\r\n\r\n", 405),
    (b"GET /api/v1/users/me HTTP/1.0\r\n\r\n", 401),
    (b"GET /api/v1/accounts/%00 HTTP/1.1\r\nhost: x\r\n\r\n", 401),
    (b"GET /api/v1/accounts/%ff HTTP/1.1\r\nhost: x\r\n\r\n", 400),
    (b"GET /api/v1/accounts/%zz HTTP/1.1\r\nhost: x\r\n\r\n", 401),
    (b"GET /assets/%00 HTTP/1.1\r\nhost: x\r\n\r\n", 404),
    (b"GET /assets/..%2f..%2fapp.py HTTP/1.1\r\nhost: x\r\n\r\n", 404),
    (b"GET //assets HTTP/1.1\r\nhost: x\r\n\r\n", 404),
    (b"GET /%2f HTTP/1.1\r\nhost: x\r\n\r\n", None),
    (b"PUT /healthz HTTP/1.1\r\nhost: x\r\n\r\n", 405),
    (ME + b"upgrade: websocket\r\nconnection: upgrade\r\n\r\n", 401),
    (ME + b"upgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: x\r\n\r\n", 401),
    (ME + b"expect: 100-continue\r\ncontent-length: 5\r\n\r\n", 401),
    (ME + b"accept-language: ru\r\naccept-language: en\r\n\r\n", 401),
]


@pytest.mark.parametrize(("data", "status"), ANSWERED, ids=[str(data[:60]) for data, _ in ANSWERED])
async def test_request_that_is_odd_is_answered(dial: Dial, data: bytes, status: int | None) -> None:
    with structlog.testing.capture_logs() as lines:
        answer = await (await dial(data)).answer()
    assert answer.status == status or (status is None and answer.status < 500)
    assert set(GUARDED) <= set(answer.headers)
    assert [line for line in lines if line["log_level"] == "error"] == []


async def test_what_is_no_page_is_refused_in_the_contract_s_form(service: Service) -> None:
    for verb, path, status, reason in (
        ("GET", "//x", 404, "ROUTE_NOT_FOUND"),
        ("GET", "/healthz/", 404, "ROUTE_NOT_FOUND"),
        ("PUT", "/healthz", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/assets/nothing", 404, "ROUTE_NOT_FOUND"),
    ):
        answer = await service.http(verb, path)
        assert (answer.status, answer.reason) == (status, reason), path
        assert ("allow" in answer.headers) == (status == 405)


async def test_trailers_and_extensions_of_chunks_are_no_head(service: Service, dial: Dial) -> None:
    token = (await service.person()).token.token.encode()
    head = b"POST /api/v1/accounts HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n"
    trailed = head + b"\r\n0\r\nauthorization: Bearer " + token + b"\r\n\r\n"
    wire = await dial(trailed)
    assert (await wire.answer()).status == 401
    known = head + b"content-type: application/json\r\nauthorization: Bearer " + token + b"\r\n\r\n"
    wire = await dial(
        known + b"2;" + b"x" * 50_000 + b"\r\n{}\r\n0\r\na: " + b"b" * 50_000 + b"\r\n\r\n"
    )
    assert (await wire.answer()).status == 201
    for endless in (b"2;" + b"x" * 3_000_000, b"0\r\na: " + b"b" * 3_000_000):
        wire = await dial(known + endless)
        answer = await wire.answer()
        assert (answer.status, answer.violations) == (400, ["body"])
        assert await wire.ends() == b""
    wire = await dial(known + b"zz\r\n")
    assert (await wire.answer()).violations == ["body"]


async def test_body_that_nobody_reads_ends_its_connection(dial: Dial) -> None:
    for path in (b"/healthz", b"/api/v1/users/me", b"/nothing"):
        wire = await dial(b"GET " + path + b" HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{")
        assert (await wire.answer()).status in (200, 401, 404)
        assert await wire.ends() == b""
    large = b"POST /api/v1/actions HTTP/1.1\r\nhost: x\r\ncontent-length: 5000000\r\n\r\n"
    wire = await dial(large + b"x" * 5_000_000)
    answer = await wire.answer()
    assert (answer.status, answer.headers["connection"]) == (401, "close")


async def test_answers_that_are_owed_come_before_a_refusal(service: Service, dial: Dial) -> None:
    person = await service.person()
    account = await person.open()
    body = b'{"amount": "5"}'
    deposit = (
        b"POST /api/v1/actions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b"authorization: Bearer %b\r\ncontent-length: %d\r\n\r\n%b"
        % (person.token.token.encode(), len(body), body)
    )
    wire = await dial(deposit + deposit + b"\x00 no request")
    assert [(await wire.answer()).status for _ in range(2)] == [201, 201]
    assert await wire.ends() == b""
    assert await person.balance(account.id) == "10.00"


async def test_only_so_many_requests_wait_for_their_turn(dial: Dial) -> None:
    wire = await dial((ME + b"\r\n") * 5000)
    statuses = []
    try:
        while True:
            statuses.append((await wire.answer()).status)
    except asyncio.IncompleteReadError:
        pass
    assert set(statuses) == {401}
    assert http_protocol.PIPELINED_MAX <= len(statuses) <= http_protocol.PIPELINED_MAX + 2


async def test_connections_beyond_the_bound_are_refused(
    dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "CONNECTIONS_MAX", 2)
    held = [await dial(ME) for _ in range(2)]
    await asyncio.sleep(0.1)
    answer = await (await dial(ME + b"\r\n")).answer()
    assert (answer.status, answer.headers["retry-after"]) == (429, "1")
    held[0].writer.write(b"\r\n")
    assert (await held[0].answer()).status == 401


async def test_gateway_alone_refuses_what_metadata_cannot_hold(service: Service) -> None:
    settings = service.settings.model_copy(update={"http_port": 0})
    server, upstream = standalone_gateway.build(settings, service.target)
    await server.start()
    try:
        for header in (
            b"authorization: Bearer \xff",
            b"accept-language: \xd0",
            b"x-request-id: a\tb",
        ):
            for path in (b"users/me", b"services"):
                wire = Wire(*await asyncio.open_connection("127.0.0.1", server.port))
                wire.writer.write(
                    b"GET /api/v1/%b HTTP/1.1\r\nhost: x\r\n%b\r\n\r\n" % (path, header)
                )
                answer = await wire.answer()
                assert (answer.status, answer.violations) == (400, [header.split(b":")[0].decode()])
                wire.writer.close()
        # Together more than gRPC's metadata hold, and no more than they mean to the service itself.
        for name, status in (
            (b"authorization: Bearer ", 401),
            (b"x-request-id: ", 200),
            (b"accept-language: ", 200),
            (b"traceparent: ", 200),
        ):
            for port in (server.port, int(service.http.url.rpartition(":")[2])):
                wire = Wire(*await asyncio.open_connection("127.0.0.1", port))
                head = b"GET /api/v1/services HTTP/1.1\r\nhost: x\r\n"
                wire.writer.write(head + name + b"ru," * 20_000 + b"\r\n\r\n")
                assert (await wire.answer()).status == status, (name, port)
                wire.writer.close()
        wire = Wire(*await asyncio.open_connection("127.0.0.1", server.port))
        wire.writer.write(b"POST /api/v1/actions HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n")
        assert (await wire.answer()).status == 401
        wire.writer.close()
    finally:
        await server.stop()
        await upstream.close()


async def test_every_answer_is_guarded(start_service: StartService) -> None:
    service = await start_service(http_cors_origins="https://shop.example")
    asked = {"origin": "https://shop.example", "access_control_request_method": "POST"}
    for verb, path, status in (
        ("GET", "/", 200),
        ("GET", "/healthz", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/openapi-pages.json", 200),
        ("GET", "/swagger", 200),
        ("GET", "/redoc/", 200),
        ("GET", "/assets/swagger.js", 200),
        ("HEAD", "/assets/redoc.js", 200),
        ("GET", "/assets", 404),
        ("GET", "/assets/", 404),
        ("GET", "/healthz/", 404),
        ("DELETE", "/assets/swagger.js", 405),
        ("GET", "/api/v1/nothing", 404),
        ("PUT", "/api/v1/actions", 405),
        ("OPTIONS", "/api/v1/actions", 200),
        ("GET", "/api/v1/users/me", 401),
        ("GET", "/api/v1/services", 200),
    ):
        answer = await service.http(verb, path, **(asked if verb == "OPTIONS" else {}))
        assert answer.status == status, path
        for name in GUARDED:
            assert len(answer.headers.getall(name)) == 1, (path, name)  # type: ignore[attr-defined]


async def test_page_is_sent_once(service: Service) -> None:
    first = await service.http("GET", "/assets/swagger-ui-bundle.js", accept_encoding="gzip")
    assert first.headers["content-encoding"] == "gzip"
    assert int(first.headers["content-length"]) < len(first.text) / 2
    tag = first.headers["etag"]
    again = await service.http("GET", "/assets/swagger-ui-bundle.js", if_none_match=tag)
    assert (again.status, again.text) == (304, "")
