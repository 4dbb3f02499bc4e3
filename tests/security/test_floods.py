"""Floods and games of HTTP/2 and HTTP/1.1, at both doors: whoever behaves is answered meanwhile.

Heads, bodies that drip and requests that are in doubt are in `tests/e2e/test_heads.py` and
`tests/e2e/test_gateway.py`.
"""

import asyncio
import struct
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import pytest

from balance_client import v1
from tests.security.frames import (
    CANCEL,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Socket,
    call_head,
    dial,
    frame,
    literal,
)
from tests.service import Service

Attack: TypeAlias = Callable[[Socket, int], Awaitable[None]]
OPENED = PREFACE + frame(SETTINGS)


async def rapid_reset(socket: Socket, size: int) -> None:
    """CVE-2023-44487: streams that are taken back as soon as they are opened."""
    streams = range(1, 2 * size, 2)
    await socket.send(
        b"".join(
            frame(HEADERS, stream, call_head(), END_HEADERS) + frame(RST_STREAM, stream, CANCEL)
            for stream in streams
        )
    )


async def resets_provoked(socket: Socket, size: int) -> None:
    """CVE-2025-8671: streams that the server is made to reset, by a window of nothing."""
    nothing = struct.pack(">I", 0)
    await socket.send(
        b"".join(
            frame(HEADERS, stream, call_head(), END_HEADERS) + frame(WINDOW_UPDATE, stream, nothing)
            for stream in range(1, 2 * size, 2)
        )
    )


async def pings(socket: Socket, size: int) -> None:
    await socket.send(frame(PING, payload=b"x" * 8) * size)


async def settings(socket: Socket, size: int) -> None:
    change = struct.pack(">HI", 4, 0) + struct.pack(">HI", 4, 1 << 30)
    await socket.send(frame(SETTINGS, payload=change) * size)


async def empty_frames(socket: Socket, size: int) -> None:
    await socket.send(frame(HEADERS, 1, call_head(), END_HEADERS) + frame(DATA, 1) * size)


async def priorities(socket: Socket, size: int) -> None:
    await socket.send(
        b"".join(
            frame(PRIORITY, stream, struct.pack(">IB", 1, 7)) for stream in range(3, 2 * size, 2)
        )
    )


async def continuations(socket: Socket, size: int) -> None:
    """CVE-2024-27316 and others: a head that never ends."""
    more = frame(CONTINUATION, 1, literal(b"x-more", b"y" * 200))
    await socket.send(frame(HEADERS, 1, call_head()) + more * size)


async def windows_of_nothing(socket: Socket, size: int) -> None:
    """Calls whose answers may not be sent."""
    shut = frame(SETTINGS, payload=struct.pack(">HI", 4, 0))
    calls = b"".join(
        frame(HEADERS, stream, call_head(), END_HEADERS) + frame(DATA, stream, bytes(5), END_STREAM)
        for stream in range(1, 2 * min(size, 500), 2)
    )
    await socket.send(shut + calls)


async def windows_beyond_all_bounds(socket: Socket, size: int) -> None:
    most = struct.pack(">I", (1 << 31) - 1)
    await socket.send(frame(WINDOW_UPDATE, payload=most) * min(size, 100))


async def bombs_of_hpack(socket: Socket, size: int) -> None:
    """One long field in the table, and heads that name it again and again."""
    kept = b"\x40" + literal(b"x-bomb", b"y" * 4000)[1:]
    head = call_head() + kept + b"\xbe" * min(size, 4000)
    await socket.send(frame(HEADERS, 1, head[:16_000], END_HEADERS))


async def wrong_frames(socket: Socket, size: int) -> None:
    """Frames where, or of a size that, they may not be."""
    await socket.send(
        frame(DATA, 0, b"x")
        + frame(PUSH_PROMISE, 1, bytes(4))
        + frame(SETTINGS, 1, b"x" * 5)
        + frame(RST_STREAM, 0, b"x")
        + frame(GOAWAY, 3, b"")
        + frame(77, 9, b"x" * 100, 255)
        + b"\xff" * min(size, 10_000)
    )


async def first_lines(socket: Socket, size: int) -> None:
    """HTTP/1.1 to the door of gRPC, and HTTP/2 to that of HTTP/1.1."""
    await socket.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * min(size, 500))


async def halves(socket: Socket, size: int) -> None:
    """A message of gRPC that says it is larger than what comes."""
    await socket.send(
        frame(HEADERS, 1, call_head(), END_HEADERS)
        + frame(DATA, 1, b"\x00\xff\xff\xff\xff" + b"x" * 100)
        + frame(DATA, 1, b"\x07\x00\x00\x00\x01x", END_STREAM)
    )


ATTACKS: list[Attack] = [
    rapid_reset,
    resets_provoked,
    pings,
    settings,
    empty_frames,
    priorities,
    continuations,
    windows_of_nothing,
    windows_beyond_all_bounds,
    bombs_of_hpack,
    wrong_frames,
    first_lines,
    halves,
]


async def answers_who_behaves(service: Service) -> None:
    """Both doors answer a call, within the patience of a person."""
    client = service.client()
    listed = await client.rates.ListCurrencies(v1.ListCurrenciesRequest(), timeout=10)
    assert listed.currencies
    async with asyncio.timeout(30):
        assert (await service.http("GET", "/api/v1/currencies")).status == 200


async def attack(service: Service, by: Attack, size: int, connections: int) -> None:
    targets = [service.target, service.http.url.removeprefix("http://")]
    for target in targets:
        for _ in range(connections):
            async with dial(target) as socket:
                if by is not first_lines:
                    await socket.send(OPENED)
                await by(socket, size)
                # While the attacker is still there, too.
                await answers_who_behaves(service)
                await socket.received()


async def test_floods_leave_others_answered(service: Service) -> None:
    for by in ATTACKS:
        await attack(service, by, 1500, 1)
    await answers_who_behaves(service)


@pytest.mark.long
@pytest.mark.parametrize("by", ATTACKS, ids=[each.__name__ for each in ATTACKS])
async def test_large_floods_leave_others_answered(service: Service, by: Attack) -> None:
    await attack(service, by, 60_000, 8)
    await answers_who_behaves(service)


async def test_connections_that_say_nothing_keep_nobody_out(service: Service) -> None:
    target, http_target = service.target, service.http.url.removeprefix("http://")
    async with asyncio.TaskGroup() as silent:
        leaving = asyncio.Event()

        async def stay(where: str, said: bytes) -> None:
            async with dial(where) as socket:
                await socket.send(said)
                await leaving.wait()

        for _ in range(100):
            silent.create_task(stay(target, PREFACE[:10]))
            silent.create_task(stay(http_target, b"POST /api/v1/actions HTTP/1.1\r\nhost: x\r\n"))
        await asyncio.sleep(0.1)
        await answers_who_behaves(service)
        leaving.set()
