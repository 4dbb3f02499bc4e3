"""gRPC's wire format over ASGI: frames that lie, calls that end early, and nothing left hanging."""

import asyncio
import base64
import gzip
import zlib
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from hypothesis import given
from hypothesis import strategies as st

from balance_service.server.wire import application
from balance_service.server.wire.application import Grpc
from balance_service.server.wire.frames import frame
from balance_service.server.wire.methods import LibraryMethods
from tests.wire import MAX, METHODS, Answered, Echo, call

Code = grpc.StatusCode


@pytest.mark.parametrize("path", METHODS)
async def test_each_kind_of_stream(path: str) -> None:
    requests_many, answers_many = METHODS[path]
    sent = [b"a", b"", b"c"] if requests_many else [b"a"]
    answered = await call(path, [b"".join(frame(part) for part in sent)])
    assert answered.code == Code.OK
    if not answers_many:
        assert answered.body == frame(b"+".join(sent))
    else:
        expected = sent if requests_many else sent * 2
        assert answered.body == b"".join(frame(part) for part in expected)


async def test_messages_may_be_cut_anywhere() -> None:
    whole = frame(b"hello") + frame(b"") + frame(b"x" * 300)
    for cut in range(len(whole)):
        answered = await call("/t/many-one", [whole[:cut], b"", whole[cut:]])
        assert (answered.code, answered.body) == (Code.OK, frame(b"hello++" + b"x" * 300))


HOSTILE = {
    "nothing": (b"", Code.UNIMPLEMENTED),
    "two": (frame(b"a") + frame(b"b"), Code.UNIMPLEMENTED),
    "half a prefix": (b"\0\0\0", Code.INTERNAL),
    "half a message": (frame(b"abc")[:-1], Code.INTERNAL),
    "garbage behind": (frame(b"abc") + b"zz", Code.INTERNAL),
    "a length of 4 GiB": (b"\0\xff\xff\xff\xff", Code.RESOURCE_EXHAUSTED),
    "a byte too many": (frame(b"x" * (MAX + 1)), Code.RESOURCE_EXHAUSTED),
    "unknown flags": (b"\x02\0\0\0\0", Code.INTERNAL),
    "compressed without encoding": (b"\1" + frame(gzip.compress(b"a", mtime=0))[1:], Code.INTERNAL),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("path", ["/t/one-one", "/t/one-many"])
async def test_hostile_frames_get_a_status(name: str, path: str) -> None:
    body, code = HOSTILE[name]
    echo = Echo(requests_many=False, answers_many=path.endswith("many"))
    answered = await call(path, [body], echo=echo)
    assert (answered.status, answered.code, answered.body) == (200, code, b"")
    assert echo.calls == [], "a method does not hear of it"
    assert len(answered.headers["grpc-message"]) < 100


@pytest.mark.parametrize("path", ["/t/many-many", "/t/many-one"])
async def test_hostile_frame_within_a_stream_ends_the_call(path: str) -> None:
    for name in ("half a message", "a length of 4 GiB", "compressed without encoding"):
        body, code = HOSTILE[name]
        answered = await call(path, [frame(b"a"), body])
        assert answered.code == code
        assert answered.body in (b"", frame(b"a"))


@given(st.lists(st.binary(max_size=40), max_size=6), st.sampled_from(sorted(METHODS)))
def test_any_bytes_get_one_answer(parts: list[bytes], path: str) -> None:
    answered = asyncio.run(call(path, parts, [("grpc-encoding", "gzip")]))
    assert answered.status == 200
    assert answered.code in (
        Code.OK,
        Code.UNIMPLEMENTED,
        Code.INTERNAL,
        Code.RESOURCE_EXHAUSTED,
    )


def compressed(data: bytes) -> bytes:
    return b"\1" + len(data).to_bytes(4, "big") + data


@pytest.mark.parametrize(
    ("encoding", "data"),
    [("gzip", gzip.compress(b"hi" * 99, mtime=0)), ("deflate", zlib.compress(b"hi" * 99))],
)
async def test_compressed_requests(encoding: str, data: bytes) -> None:
    answered = await call("/t/one-one", [compressed(data)], [("grpc-encoding", encoding)])
    assert (answered.code, answered.body) == (Code.OK, frame(b"hi" * 99))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (gzip.compress(b"\0" * 100_000_000, 9, mtime=0)[:900], Code.RESOURCE_EXHAUSTED),
        (gzip.compress(b"\0" * (MAX + 1), mtime=0), Code.RESOURCE_EXHAUSTED),
        (gzip.compress(b"abc", mtime=0)[:-4], Code.INTERNAL),
        (gzip.compress(b"abc", mtime=0) + b"more", Code.INTERNAL),
        (b"not gzip", Code.INTERNAL),
        (b"", Code.INTERNAL),
    ],
)
async def test_compressed_messages_are_bounded(data: bytes, code: Code) -> None:
    answered = await call("/t/one-one", [compressed(data)], [("grpc-encoding", "gzip")])
    assert (answered.code, answered.body) == (code, b"")


async def test_unknown_encoding_names_those_that_are_known() -> None:
    answered = await call("/t/one-one", [frame(b"a")], [("grpc-encoding", "zstd")])
    assert answered.code == Code.UNIMPLEMENTED
    assert answered.headers["grpc-accept-encoding"] == "identity,gzip,deflate"


async def test_unknown_method_and_what_is_not_grpc() -> None:
    assert (await call("/t/none", [frame(b"")])).code == Code.UNIMPLEMENTED
    for media_type in ("application/json", "application/grpcx", ""):
        answered = await call("/t/one-one", [frame(b"")], media_type=media_type)
        assert (answered.status, answered.body) == (415, b"")
    assert (await call("/t/one-one", [b""], verb="GET")).status == 405


async def test_media_type_and_metadata_reach_the_method() -> None:
    echo = Echo(requests_many=False, answers_many=False)
    headers = [
        ("grpc-timeout", "1500m"),
        ("x-a", "1"),
        ("x-b-bin", "AAE"),
        ("grpc-previous-rpc-attempts", "2"),
    ]
    answered = await call(
        "/t/one-one", [frame(b"a")], headers, echo=echo, media_type="application/grpc+json"
    )
    (context,) = echo.calls
    assert (context.codec, context.timeout_seconds) == ("json", 1.5)
    assert dict(context.metadata) == {"x-a": "1", "grpc-previous-rpc-attempts": "2"}
    assert answered.headers["content-type"] == "application/grpc+json"
    assert answered.headers["x-request-id"] == "r"


@pytest.mark.parametrize("path", ["/t/one-one", "/t/one-many"])
async def test_refusal_is_a_status_with_details(path: str) -> None:
    answered = await call(path, [frame(b"refuse")])
    assert answered.code == Code.NOT_FOUND
    assert answered.headers["grpc-message"] == "no: 100%25 %D0%B6%0A"
    assert base64.b64decode(answered.headers["grpc-status-details-bin"] + "==") == b"\x01\x02"
    assert answered.headers["x-more"] == "m"
    assert not answered.events[0].get("trailers"), "sent at once, as headers alone"


async def test_fault_of_a_method_tells_nothing() -> None:
    answered = await call("/t/one-one", [frame(b"fault")])
    assert answered.code == Code.INTERNAL
    assert "secret" not in repr(answered.events)


@pytest.mark.parametrize("path", METHODS)
async def test_call_that_awaits_what_others_cancelled_is_told_so(path: str) -> None:
    """If it raised that it was cancelled, the server would reset its stream."""
    answered = await call(path, [frame(b"others")])
    assert answered.code == (Code.INTERNAL if path != "/t/many-one" else Code.OK)


@pytest.mark.parametrize("path", METHODS)
async def test_deadline_ends_the_call_and_its_work(path: str) -> None:
    requests_many, answers_many = METHODS[path]
    echo = Echo(requests_many=requests_many, answers_many=answers_many)
    answered = await call(
        path,
        [frame(b"wait")],
        [("grpc-timeout", "50m")],
        echo=echo,
        ending="open" if requests_many else "end",
    )
    assert answered.code == Code.DEADLINE_EXCEEDED
    if path != "/t/many-one":
        assert "cancelled" in echo.ended


@pytest.mark.parametrize("path", ["/t/one-one", "/t/one-many"])
async def test_deadline_beyond_the_first_look_ends_the_call_too(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "WATCHED_AFTER_SECONDS", 0.01)
    requests_many, answers_many = METHODS[path]
    echo = Echo(requests_many=requests_many, answers_many=answers_many)
    answered = await call(path, [frame(b"wait")], [("grpc-timeout", "50m")], echo=echo)
    assert answered.code == Code.DEADLINE_EXCEEDED
    assert echo.ended == ["cancelled"] * (1 + answers_many)


async def test_calls_that_come_at_different_times_are_each_watched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(application, "WATCHED_AFTER_SECONDS", 0.05)
    echo = Echo(requests_many=False, answers_many=False)
    app, sent = Grpc(lambda _: echo, MAX), list[Any]()

    async def ask(delay_seconds: float) -> None:
        coming = [{"type": "http.request", "body": frame(b"wait")}]

        async def receive() -> Any:
            return coming.pop() if coming else {"type": "http.disconnect"}

        async def send(event: Any) -> None:
            sent.append(event)

        await asyncio.sleep(delay_seconds)
        headers = [(b"content-type", b"application/grpc")]
        scope = {"type": "http", "method": "POST", "path": "/t/one-one", "headers": headers}
        await app(scope, receive, send)

    async with asyncio.timeout(30):
        await asyncio.gather(*map(ask, [0, 0.02, 0.04, 0.2]))
    assert (echo.ended, sent) == (["cancelled"] * 4, [])


async def test_answer_is_sent_though_its_deadline_passes_meanwhile() -> None:
    echo, sent = Echo(requests_many=False, answers_many=False), list[Any]()

    async def receive() -> Any:
        return {"type": "http.request", "body": frame(b"a")}

    async def send(event: Any) -> None:
        await asyncio.sleep(0.05)
        sent.append(event["type"].rpartition(".")[2])

    headers = [(b"content-type", b"application/grpc"), (b"grpc-timeout", b"20m")]
    scope = {"type": "http", "method": "POST", "path": "/t/one-one", "headers": headers}
    await Grpc(lambda _: echo, MAX)(scope, receive, send)
    assert sent == ["start", "body", "trailers"]


@pytest.mark.parametrize("patience", ["0n", "0S"])
async def test_passed_deadline_is_not_begun(patience: str) -> None:
    echo = Echo(requests_many=False, answers_many=False)
    answered = await call("/t/one-one", [frame(b"a")], [("grpc-timeout", patience)], echo=echo)
    assert (answered.code, echo.calls) == (Code.DEADLINE_EXCEEDED, [])


@pytest.mark.parametrize("patience", ["", "5", "S", "-1S", "1.5S", "123456789S", "٣S", "1s"])
async def test_malformed_deadline_is_refused(patience: str) -> None:
    answered = await call("/t/one-one", [frame(b"a")], [("grpc-timeout", patience)])
    assert answered.code == Code.INTERNAL


@pytest.mark.parametrize("path", METHODS)
async def test_caller_who_goes_is_told_nothing(path: str) -> None:
    answered = await call(path, [frame(b"a")], ending="gone")
    assert "grpc-status" not in answered.headers


async def test_work_of_a_caller_who_goes_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "WATCHED_AFTER_SECONDS", 0.01)
    for path in ("/t/one-one", "/t/one-many"):
        requests_many, answers_many = METHODS[path]
        echo = Echo(requests_many=requests_many, answers_many=answers_many)
        asked, sent = asyncio.Event(), list[Any]()
        coming = [{"type": "http.request", "body": frame(b"wait")}]

        async def receive(coming: Any = coming, asked: asyncio.Event = asked) -> Any:
            if coming:
                return coming.pop()
            asked.set()
            return {"type": "http.disconnect"}

        async def send(event: Any, sent: Any = sent) -> None:
            sent.append(event)

        headers = [(b"content-type", b"application/grpc")]
        scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
        async with asyncio.timeout(30):
            await Grpc(lambda _, echo=echo: echo, MAX)(scope, receive, send)  # type: ignore[misc]
        assert asked.is_set()
        assert echo.ended[0] == "cancelled"
        assert sent == []


async def test_caller_who_cannot_be_written_to_ends_the_method() -> None:
    echo = Echo(requests_many=False, answers_many=True)

    async def receive() -> Any:
        return {"type": "http.request", "body": frame(b"a")}

    async def send(event: Any) -> None:
        raise OSError("gone")

    headers = [(b"content-type", b"application/grpc")]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    await Grpc(lambda _: echo, MAX)(scope, receive, send)
    assert echo.ended == []


async def test_writes_wait_for_the_reader() -> None:
    echo, sent = Echo(requests_many=True, answers_many=True), list[Any]()
    reads = asyncio.Semaphore(2)
    asked = 0

    async def receive() -> Any:
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": frame(b"a"), "more_body": True}

    async def send(event: Any) -> None:
        await reads.acquire()
        sent.append(event)

    headers = [(b"content-type", b"application/grpc")]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    calling = asyncio.create_task(Grpc(lambda _: echo, MAX)(scope, receive, send))
    await asyncio.sleep(0.05)
    assert (len(sent), asked) == (2, 2)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling


async def test_servicers_of_the_library_are_served() -> None:
    checks, registered = health.aio.HealthServicer(), LibraryMethods()
    health_pb2_grpc.add_HealthServicer_to_server(checks, registered)  # type: ignore[arg-type]

    async def ask(path: str, service: str, seconds: str = "5S") -> Answered:
        request = health_pb2.HealthCheckRequest(service=service).SerializeToString()
        return await ask_raw(path, frame(request), seconds)

    async def ask_raw(path: str, body: bytes, seconds: str) -> Answered:
        answered = Answered()

        async def receive() -> Any:
            return {"type": "http.request", "body": body}

        async def send(event: Any) -> None:
            answered.events.append(event)

        headers = [(b"content-type", b"application/grpc"), (b"grpc-timeout", seconds.encode())]
        scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
        await Grpc(registered.find, MAX)(scope, receive, send)
        return answered

    checked = await ask("/grpc.health.v1.Health/Check", "")
    assert health_pb2.HealthCheckResponse.FromString(checked.body[5:]).status == 1
    assert (await ask("/grpc.health.v1.Health/Check", "none")).code == Code.NOT_FOUND
    assert (await ask("/grpc.health.v1.Health/None", "")).code == Code.UNIMPLEMENTED
    watched = await ask("/grpc.health.v1.Health/Watch", "none", "50m")
    assert health_pb2.HealthCheckResponse.FromString(watched.body[5:]).status == 3
    assert watched.code == Code.DEADLINE_EXCEEDED
    malformed = await ask_raw("/grpc.health.v1.Health/Check", frame(b"\xff"), "5S")
    assert malformed.code == Code.INTERNAL
