"""How events are sent on real Postgres: none missing, whoever dies and whatever fails."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from balance_service.auth.sealing import Secrets
from balance_service.database import pool as pools
from balance_service.database.pool import Pool, transaction
from balance_service.domain import ids
from balance_service.domain.webhooks import DisabledReason, Endpoint
from balance_service.repositories import events
from balance_service.repositories import webhook_deliveries as deliveries
from balance_service.repositories import webhook_endpoints as endpoints
from balance_service.webhooks import delivery, secrets
from balance_service.webhooks.delivery import Deliveries
from balance_service.webhooks.sending import Sender
from tests.events import ALL, beginning, number_all, read_on
from tests.integration.small_ledger import history
from tests.integration.test_webhook_sending import LOCAL
from tests.webhooks import OK, Got, receiver, status

SECRET = "one-of-tests-and-long-enough-0123456789"
OTHER = "another-of-tests-and-long-enough-987654"
SECRETS = Secrets(SECRET)


def worker(pool: Pool) -> Deliveries:
    return Deliveries(pool, SECRETS, Sender(LOCAL), "tests")


async def add(pool: Pool, url: str, sealed_by: Secrets = SECRETS) -> UUID:
    """Adds an endpoint that hears everything that is in the log."""
    now = datetime.now(UTC)
    endpoint = Endpoint(
        ids.new_id(), "operator:tests", url, "", [], [], False, DisabledReason.NONE,
        secrets.make(sealed_by), now, None, None, 1, now, now, await beginning(pool), 0, None,
    )  # fmt: skip
    async with transaction(pool) as conn:
        await endpoints.insert(conn, endpoint)
    return endpoint.endpoint_id


async def told(pool: Pool) -> set[str]:
    """The ids of all events of the log."""
    await history(pool)
    await number_all(pool)
    found, _ = await read_on(pool, await beginning(pool), limit=100)
    return {str(event.place.event_id) for event in found}


async def change(pool: Pool, statement: str) -> None:
    """Changes what nobody could wait for."""
    async with pool.connection() as conn:
        await conn.execute(statement)


async def hurry(owner: Pool) -> None:
    """Has nothing wait that failed."""
    # What is under way is due already, and stays as it is.
    await change(
        owner,
        "UPDATE webhook_deliveries SET next_attempt_at = now()"
        " WHERE state = 1 AND next_attempt_at > now()",
    )
    await change(owner, "UPDATE webhook_endpoints SET rests_until = now()")


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[Pool]:
    """Connections of somebody whom no grant holds back."""
    async with pools.create(database_url, 2) as connections:
        yield connections


@asynccontextmanager
async def at_work(*workers: Deliveries) -> AsyncIterator[None]:
    """Has workers look, again and again."""

    async def work() -> None:
        while True:
            for each in workers:
                await each.look()
            await asyncio.sleep(0.02)

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        for each in workers:
            await each.stop()


def more_than(heard: int, most: int) -> Callable[[list[Got]], bool]:
    return lambda got: len(got) > heard or len(got) >= most


async def until(done: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(60):
        while not await done():
            await asyncio.sleep(0.02)


async def test_nothing_is_missing_though_receivers_fail_and_workers_die(
    pool: Pool, owner: Pool
) -> None:
    wanted = await told(pool)
    chance = random.Random(7)

    def answer(_: Got) -> bytes:
        return chance.choice([OK, OK, OK, status(500), status(503), b""])

    async with receiver(answer) as there:
        await add(pool, there.url)

        async def all_delivered() -> bool:
            await hurry(owner)
            async with pool.connection() as conn:
                rows = await conn.execute("SELECT event_id FROM webhook_deliveries WHERE state = 2")
                return {str(row[0]) for row in await rows.fetchall()} == wanted

        for _ in range(5):
            # One dies in the middle of what it does, and lets go of nothing.
            dying = worker(pool)
            async with at_work(dying):
                await there.until(more_than(len(there.got), len(wanted)))
            await change(owner, "UPDATE webhook_endpoints SET leased_until = now()")
        async with at_work(worker(pool), worker(pool)):
            await until(all_delivered)
        assert {got.event_id for got in there.got} == wanted


async def test_what_was_sent_and_not_recorded_is_sent_again(pool: Pool) -> None:
    wanted = await told(pool)
    first = asyncio.Event()

    async def answer(got: Got) -> bytes:
        if not first.is_set():
            first.set()
            await asyncio.Event().wait()
        return OK

    async with receiver(answer) as there:
        await add(pool, there.url)
        dying = worker(pool)
        await dying.look()
        async with asyncio.timeout(60):
            await first.wait()
        await dying.stop()
        lost = there.got[0].event_id
        async with at_work(worker(pool)):
            await there.until(
                lambda got: (
                    {each.event_id for each in got} == wanted
                    and [each.event_id for each in got].count(lost) == 2
                )
            )


async def test_what_is_to_be_sent_again_while_it_is_sent_is_sent_again(pool: Pool) -> None:
    await told(pool)
    going_on = asyncio.Event()

    async def answer(_: Got) -> bytes:
        await going_on.wait()
        return OK

    async with receiver(answer) as there:
        endpoint = await add(pool, there.url)
        async with at_work(worker(pool)):
            first, *_ = await there.until(len)
            async with transaction(pool) as conn:
                assert await deliveries.again(conn, endpoint, [UUID(first.event_id)]) == 1
            going_on.set()
            await there.until(lambda got: [e.event_id for e in got].count(first.event_id) == 2)


async def test_endpoint_that_does_not_answer_holds_up_no_other(pool: Pool) -> None:
    wanted = await told(pool)
    never = asyncio.Event()

    async def silence(_: Got) -> bytes:
        await never.wait()
        return OK

    async with receiver(silence) as slow, receiver() as quick:
        for url in [slow.url] * 5 + [quick.url]:
            await add(pool, url)
        async with at_work(worker(pool)):
            await quick.until_told(*wanted)
            # All that may be sent to one at once, and no more.
            assert len(slow.got) <= 5 * delivery.SENT_AT_ONCE_MAX
        never.set()


async def test_one_worker_at_a_time_sends_to_an_endpoint(pool: Pool, owner: Pool) -> None:
    await told(pool)
    endpoint = await add(pool, "http://127.0.0.1:1/")
    life, mine, other = timedelta(seconds=60), ids.new_id(), ids.new_id()
    async with pool.connection() as conn:
        assert await endpoints.claim(conn, mine, life, 10) == [endpoint]
        assert await endpoints.claim(conn, other, life, 10) == []
        assert await endpoints.renew(conn, endpoint, mine, life)
        await change(owner, "UPDATE webhook_endpoints SET leased_until = now()")
        assert await endpoints.claim(conn, other, life, 10) == [endpoint]
        # Whoever was too slow does nothing more.
        assert await endpoints.renew(conn, endpoint, mine, life) is None
        assert not await endpoints.advance(conn, endpoint, mine, await events.newest(conn))
        await endpoints.release(conn, endpoint, mine)
        assert await endpoints.claim(conn, mine, life, 10) == []


async def test_what_waits_for_an_endpoint_is_bounded(
    pool: Pool, owner: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "PENDING_MAX", 3)
    monkeypatch.setattr(delivery, "TAKEN_MAX", 2)
    wanted = await told(pool)
    failing = True
    async with receiver(lambda _: status(500) if failing else OK) as there:
        endpoint = await add(pool, there.url)

        async def waiting() -> int:
            async with pool.connection() as conn:
                return await deliveries.count_pending(conn, endpoint, 1000)

        async def full() -> bool:
            return await waiting() >= 3

        async with at_work(worker(pool)):
            await until(full)
            await there.until(lambda got: len(got) >= 4)
            assert await waiting() <= 3 + 2
            failing = False

            async def everything() -> bool:
                await hurry(owner)
                return wanted <= {got.event_id for got in there.got}

            await until(everything)


async def test_event_that_is_not_kept_any_more_is_dead(pool: Pool, owner: Pool) -> None:
    await told(pool)
    endpoint = await add(pool, "http://127.0.0.1:1/")
    async with transaction(pool) as conn:
        first = await events.at(conn, 1)
        assert first
        await deliveries.add(conn, endpoint, [first])
        place = await events.newest(conn)
    await change(
        owner,
        f"UPDATE webhook_endpoints SET place_sequence = {place.sequence},"
        f" place_event_id = '{place.event_id}'",
    )
    await change(
        owner, "DELETE FROM events WHERE last_sequence < (SELECT max(last_sequence) FROM events)"
    )
    async with at_work(worker(pool)):

        async def dead() -> bool:
            async with pool.connection() as conn:
                found = await deliveries.find(conn, endpoint, first.place.event_id)
            return found is not None and found.error == "the event is not kept any more"

        await until(dead)


async def test_old_deliveries_and_those_of_deleted_endpoints_go(pool: Pool, owner: Pool) -> None:
    await told(pool)
    kept, leaving = [await add(pool, "http://127.0.0.1:1/") for _ in range(2)]
    async with transaction(pool) as conn:
        page = await events.page(conn, await beginning(pool), ALL, 9, 9)
        for endpoint in (kept, leaving):
            await deliveries.add(conn, endpoint, page.events)
        await endpoints.delete(conn, leaving)
    old = [str(event.place.event_id) for event in page.events[:2]]
    await change(
        owner,
        "UPDATE webhook_deliveries SET state = 2, next_attempt_at = NULL,"
        f" attempted_at = now() - interval '2 days' WHERE event_id IN ('{old[0]}', '{old[1]}')",
    )
    async with transaction(pool) as conn:
        assert await deliveries.delete_old(conn, timedelta(days=1), 5) == 5
        await deliveries.delete_old(conn, timedelta(days=1), 100)
        await endpoints.clear_deleted(conn)
        assert await deliveries.count(conn, kept, None) == len(page.events) - 2
        assert await deliveries.count(conn, leaving, None) == 0
        left = await conn.execute("SELECT endpoint_id FROM webhook_endpoints")
        assert await left.fetchall() == [(kept,)]


async def test_secrets_are_sealed_again(pool: Pool) -> None:
    before = Secrets(OTHER)
    endpoint = await add(pool, "http://127.0.0.1:1/", before)
    both = Secrets(SECRET, OTHER)
    async with transaction(pool) as conn:
        found = await endpoints.get(conn, endpoint)
        assert found
        told_before = secrets.tell(before, found)
        assert await secrets.reseal(conn, both) == 1
        assert await secrets.reseal(conn, both) == 0
        again = await endpoints.get(conn, endpoint)
        assert again
        assert secrets.tell(SECRETS, again) == told_before
