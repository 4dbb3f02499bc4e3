"""Events as they are exported: in their order, none missing, by one process at a time."""

import asyncio
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import nats
import pytest

from balance_service._generated.balance.v1 import event_pb2
from balance_service.database import pool as pools
from balance_service.database.pool import Pool, transaction
from balance_service.domain import errors, ids
from balance_service.domain.events import EventType
from balance_service.operations import event_export, nats_stream
from balance_service.operations.event_export import Exporter, NotPublished
from balance_service.repositories import outbox
from tests.events import beginning, number_all, read_on
from tests.integration.small_ledger import history

SERVER = shutil.which("nats-server", path=f"{Path(sys.executable).parent}") or shutil.which(
    "nats-server"
)
REASON = "nats-server is not here: go install github.com/nats-io/nats-server/v2@latest"


class Accepted:
    """Takes events; some of them only when they are sent again."""

    def __init__(self, *refused: int) -> None:
        self.ids: list[str] = []
        self._refused = set(refused)

    async def __call__(self, event: event_pb2.Event) -> None:
        if event.sequence in self._refused:
            self._refused.remove(event.sequence)
            raise NotPublished
        self.ids.append(event.id)


async def told(pool: Pool) -> list[str]:
    """The ids of all events of the log, in their order."""
    await number_all(pool)
    found, _ = await read_on(pool, await beginning(pool), limit=100)
    return [str(event.place.event_id) for event in found]


@asynccontextmanager
async def at_work(exporter: Exporter) -> AsyncIterator[None]:
    stopping = asyncio.Event()
    task = asyncio.create_task(exporter.run(stopping))
    try:
        yield
    finally:
        stopping.set()
        await task


async def until_accepted(accepted: Accepted, wanted: list[str]) -> None:
    async with asyncio.timeout(60):
        while accepted.ids != wanted:
            assert len(accepted.ids) <= len(wanted)
            await asyncio.sleep(0.02)


async def test_log_is_exported_in_its_order_and_gone_on_with(pool: Pool) -> None:
    await history(pool)
    wanted = await told(pool)
    accepted = Accepted()
    async with at_work(Exporter(pool, "x", accepted, "tests")):
        await until_accepted(accepted, wanted)
    async with transaction(pool) as conn:
        await outbox.record(conn, EventType.USER_CREATED, ids.new_id())
    both = await told(pool)
    assert len(both) > len(wanted)
    async with at_work(Exporter(pool, "x", accepted, "tests")):
        await until_accepted(accepted, both)
    # Another exporter begins by itself.
    other = Accepted()
    async with at_work(Exporter(pool, "y", other, "tests")):
        await until_accepted(other, both)


async def test_what_was_not_accepted_is_published_again(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_export, "PAGE_EVENTS_MAX", 4)
    monkeypatch.setattr(event_export, "RETRY_SECONDS", 0.01)
    await history(pool)
    wanted = await told(pool)
    accepted = Accepted(3, 5, 6)
    async with at_work(Exporter(pool, "x", accepted, "tests")):
        async with asyncio.timeout(60):
            while set(accepted.ids) != set(wanted):
                await asyncio.sleep(0.02)
    # Whoever drops what has an id that was seen has the log.
    assert list(dict.fromkeys(accepted.ids)) == wanted
    assert len(accepted.ids) > len(wanted)


async def test_one_process_of_an_exporter_works_at_a_time(
    pool: Pool, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_export, "PAGE_EVENTS_MAX", 2)
    await history(pool)
    wanted = await told(pool)
    first, second = Accepted(), Accepted()
    one, other = (Exporter(pool, "x", accepted, "tests") for accepted in (first, second))
    stopping = asyncio.Event()
    stopping.set()
    await one.run(stopping)
    assert await one.export_page()
    assert not await other.export_page()
    assert (first.ids, second.ids) == (wanted[:2], [])
    # One that was too slow is followed by the other, and does not move the place back.
    async with pools.create(database_url, 1) as owner, owner.connection() as conn:
        await conn.execute("UPDATE event_exporters SET leased_until = now()")
    assert await other.export_page()
    assert second.ids == wanted[2:4]
    assert not await one.export_page()


async def test_events_that_are_gone_end_it(pool: Pool, database_url: str) -> None:
    await history(pool)
    await told(pool)
    exporter = Exporter(pool, "x", Accepted(), "tests")
    stopping = asyncio.Event()
    stopping.set()
    await exporter.run(stopping)
    async with pools.create(database_url, 1) as owner, owner.connection() as conn:
        await conn.execute(
            "DELETE FROM events WHERE last_sequence < (SELECT max(last_sequence) FROM events)"
        )
    with pytest.raises(errors.EventsExpired):
        await exporter.run(asyncio.Event())


@asynccontextmanager
async def nats_server(folder: Path) -> AsyncIterator[str]:
    """A server with JetStream, and a stream that takes all events."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert SERVER
    process = await asyncio.create_subprocess_exec(
        SERVER, "-js", "-sd", str(folder), "-a", "127.0.0.1", "-p", str(port),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    url = f"nats://127.0.0.1:{port}"
    try:
        async with asyncio.timeout(60):
            while True:
                with suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                await asyncio.sleep(0.05)
        client = await nats.connect(url)
        await client.jetstream().add_stream(name="BALANCE", subjects=["balance.v1.>"])
        await client.close()
        yield url
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.skipif(SERVER is None, reason=REASON)
async def test_stream_of_nats_has_the_log_once(pool: Pool, tmp_path: Path) -> None:
    await history(pool)
    wanted = await told(pool)
    async with nats_server(tmp_path) as url:
        # The second begins anew: its messages are known.
        for name in ("x", "y"):
            async with nats_stream.connected(url) as publish:
                exporter = Exporter(pool, name, publish, "tests")
                stopping = asyncio.Event()
                stopping.set()
                await exporter.run(stopping)
                while await exporter.export_page():
                    pass
        client = await nats.connect(url)
        stream = client.jetstream()
        state = (await stream.stream_info("BALANCE")).state
        assert state.messages == len(wanted)
        found = [await stream.get_msg("BALANCE", seq) for seq in range(1, len(wanted) + 1)]
        await client.close()
    assert [message.headers and message.headers["Nats-Msg-Id"] for message in found] == wanted
    assert {str(message.subject) for message in found} > {"balance.v1.transfer.created"}


@pytest.mark.skipif(SERVER is None, reason=REASON)
async def test_subject_without_a_stream_is_no_acceptance(pool: Pool, tmp_path: Path) -> None:
    async with nats_server(tmp_path) as url, nats_stream.connected(url) as publish:
        with pytest.raises(NotPublished):
            await publish(event_pb2.Event(id="e1", type="elsewhere.created"))


async def test_server_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nats_stream, "CONNECT_SECONDS_MAX", 0.2)
    with pytest.raises(RuntimeError, match="NATS cannot be reached"):
        async with nats_stream.connected("nats://127.0.0.1:1"):
            pass
