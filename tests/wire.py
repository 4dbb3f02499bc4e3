"""A gRPC application under test, without a server: methods that echo, and calls as ASGI events."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any

import grpc

from balance_service.server.wire.application import Context, Grpc, Write
from balance_service.server.wire.frames import Failure

Code = grpc.StatusCode
MAX = 1000


class Echo:
    """Answers what it is asked, in each of the four ways."""

    def __init__(self, *, requests_many: bool, answers_many: bool) -> None:
        self.requests_many, self.answers_many = requests_many, answers_many
        self.calls: list[Context] = []
        self.ended: list[str] = []

    async def unary(self, request: Any, context: Context) -> bytes:
        self.calls.append(context)
        if self.requests_many:
            return b"+".join([part async for part in request])
        context.trailers = {"x-request-id": "r"}
        return await self.answer(request)

    async def stream(self, request: Any, context: Context, write: Write) -> None:
        self.calls.append(context)
        try:
            async for part in request if self.requests_many else _twice(request):
                await write(await self.answer(part))
            self.ended.append("done")
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise

    async def answer(self, request: bytes) -> bytes:
        if request == b"wait":
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                self.ended.append("cancelled")
                raise
        if request == b"refuse":
            raise Failure(Code.NOT_FOUND, "no: 100% ж\n", b"\x01\x02", {"x-more": "m"})
        if request == b"others":
            cancelled = asyncio.get_running_loop().create_future()
            cancelled.cancel()
            await cancelled
        if request == b"fault":
            raise RuntimeError("secret")
        return request


async def _twice(request: bytes) -> AsyncIterator[bytes]:
    yield request
    yield request


@dataclass
class Answered:
    """What a server heard from the application."""

    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def status(self) -> int:
        return int(self.events[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        """Of the head, and of the trailers."""
        told: dict[str, str] = {}
        for event in self.events:
            pairs = event.get("headers", ())
            told |= {name.decode(): value.decode() for name, value in pairs}
        return told

    @property
    def code(self) -> Code:
        return next(code for code in Code if code.value[0] == int(self.headers["grpc-status"]))

    @property
    def body(self) -> bytes:
        return b"".join(event.get("body", b"") for event in self.events)

    def in_order(self) -> None:
        """Insists on ASGI's order, and on an end."""
        kinds = [event["type"].rpartition(".")[2] for event in self.events]
        bodies = [event for event in self.events if event["type"] == "http.response.body"]
        assert kinds[0] == "start"
        assert [body.get("more_body", False) for body in bodies] == [True] * (len(bodies) - 1) + [
            False
        ]
        trailers = ["trailers"] if self.events[0].get("trailers") else []
        assert kinds[1:] == ["body"] * len(bodies) + trailers


METHODS = {
    f"/t/{'many' if requests else 'one'}-{'many' if answers else 'one'}": (requests, answers)
    for requests, answers in itertools.product([False, True], repeat=2)
}


async def call(
    path: str,
    parts: Iterable[bytes],
    headers: Iterable[tuple[str, str]] = (),
    *,
    ending: str = "end",
    echo: Echo | None = None,
    media_type: str = "application/grpc",
    verb: str = "POST",
) -> Answered:
    """Makes a call whose body comes in parts, and whose caller then ends, goes, or does nothing."""
    told = [(b"content-type", media_type.encode()), (b"te", b"trailers")]
    told += [(name.encode(), value.encode()) for name, value in headers]
    *some, last = list(parts) or [b""]
    coming = [{"type": "http.request", "body": part, "more_body": True} for part in some]
    coming.append({"type": "http.request", "body": last, "more_body": False})
    if ending == "gone":
        coming.append({"type": "http.disconnect"})
    coming[len(some)]["more_body"] = ending != "end"
    answered = Answered()

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0)
        if coming:
            return coming.pop(0)
        await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async def send(event: Any) -> None:
        await asyncio.sleep(0)
        answered.events.append(event)

    def find(asked: str) -> Echo | None:
        if asked not in METHODS:
            return None
        requests_many, answers_many = METHODS[asked]
        return echo or Echo(requests_many=requests_many, answers_many=answers_many)

    scope = {"type": "http", "method": verb, "path": path, "headers": told}
    async with asyncio.timeout(30):
        await Grpc(find, MAX)(scope, receive, send)
    if ending != "gone":
        answered.in_order()
    return answered
