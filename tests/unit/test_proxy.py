"""The proxy that rehearsals put between servers (rehearsals/servers.py)."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from rehearsals.servers import Proxy

PIECES = 40
LAST_WORDS = b"last words"


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    """In front of a server that sends everything back, and goes after its last words."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
            if data == LAST_WORDS:
                break
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        proxy = Proxy(server.sockets[0].getsockname()[1])
        await proxy.start()
        yield proxy
        await proxy.close()


async def test_delay_keeps_order(proxy: Proxy) -> None:
    proxy.delay_seconds = 0.1
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    loop = asyncio.get_running_loop()
    began, sent = loop.time(), b""
    async with asyncio.timeout(30):
        for number in range(PIECES):
            piece = b"%d;" % number
            writer.write(piece)
            sent += piece
            await asyncio.sleep(0)
        assert await reader.readexactly(len(sent)) == sent
    assert loop.time() - began >= 2 * proxy.delay_seconds
    writer.close()


async def test_what_is_under_way_arrives_before_the_end(proxy: Proxy) -> None:
    proxy.delay_seconds = 0.05
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(LAST_WORDS)
    async with asyncio.timeout(30):
        assert await reader.read() == LAST_WORDS
    writer.close()


async def test_nothing_passes_while_it_stands_still(proxy: Proxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    proxy.stand_still()
    writer.write(b"held")
    reading = asyncio.create_task(reader.readexactly(4))
    await asyncio.sleep(0.1)
    assert not reading.done()
    proxy.go_on()
    async with asyncio.timeout(30):
        assert await reading == b"held"
    writer.close()
