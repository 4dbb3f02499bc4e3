"""Follows the log of events while faults are injected, and holds what it saw to the journal."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import psycopg

from balance_client import AsyncClient, AsyncServiceCredentials, v1
from rehearsals import stage

# A restart of the reader comes after so many events, on average.
RESTART_AFTER = 300
# A stream is never silent for longer: the next one is begun, as a reader would.
SILENCE_SECONDS_MAX = 30
CAUGHT_UP_SECONDS_MAX = 120
# Before every event; a token goes before it.
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)

_ENTRIES = (
    "SELECT account_id::text, sequence, movement_id::text, balance_after_minor FROM entries"
    " ORDER BY account_id, sequence"
)


@dataclass
class Watcher:
    """A reader that keeps its token with what it saw, and is stopped and started now and then.

    Args:
        target: Where the service is, behind a proxy.
        secret: The rehearsal's caller's.
        rng: Decides when it restarts.
    """

    target: str
    secret: str
    rng: random.Random
    seen: list[v1.Event] = field(default_factory=list)
    page_token: str = ""
    restarts: int = 0

    async def run(self) -> None:
        """Follows until it is cancelled.

        Raises:
            BalanceError: The service refused what it must not refuse.
        """
        while True:
            async with AsyncClient(
                self.target, AsyncServiceCredentials(stage.CALLER, self.secret)
            ) as client:
                await self._follow(client)
            self.restarts += 1

    async def _follow(self, client: AsyncClient) -> None:
        following = client.events(self.page_token, start_time=BEGINNING)
        try:
            while self.rng.randrange(RESTART_AFTER):
                message = await asyncio.wait_for(anext(following), SILENCE_SECONDS_MAX)
                # One step, as a reader's transaction is.
                if message.HasField("event"):
                    self.seen.append(message.event)
                self.page_token = message.page_token
        except TimeoutError:
            pass
        finally:
            following.cancel()

    async def catch_up(self, database: str) -> None:
        """Returns once it has seen all that was committed, or after CAUGHT_UP_SECONDS_MAX."""
        loop = asyncio.get_running_loop()
        end = loop.time() + CAUGHT_UP_SECONDS_MAX
        while loop.time() < end:
            last = self.seen[-1].sequence if self.seen else 0
            if last == await asyncio.to_thread(_head, database):
                return
            await asyncio.sleep(0.2)

    def find_anomalies(self, database: str) -> Iterator[str]:
        """What it saw otherwise than the journal has it: missing, twice, changed or in disorder."""
        numbers = [event.sequence for event in self.seen]
        if numbers != list(range(1, len(numbers) + 1)):
            gaps = [b for a, b in zip([0, *numbers], numbers, strict=False) if b != a + 1]
            yield f"events are not numbered as they came, first before {gaps[0]}"
        with psycopg.connect(database) as conn:
            made = {row[0] for row in conn.execute("SELECT movement_id::text FROM movements")}
            entries = conn.execute(_ENTRIES).fetchall()
        told = [event.id for event in self.seen if event.HasField("movement")]
        yield from (f"movement without an event: {each}" for each in made - set(told))
        yield from (f"event without a movement: {each}" for each in set(told) - made)
        if len(told) != len(set(told)):
            yield "a movement was told of twice"
        by_account: dict[str, list[tuple[int, str, int]]] = defaultdict(list)
        for event in self.seen:
            for left in event.balances:
                minor = int(left.balance.replace(".", ""))
                by_account[left.account].append((left.sequence, event.id, minor))
        kept: dict[str, list[tuple[int, str, int]]] = defaultdict(list)
        for account, sequence, movement, minor in entries:
            kept[account].append((sequence, movement, minor))
        for account in by_account.keys() | kept.keys():
            if by_account[account] != kept[account]:
                yield f"account {account} was told of otherwise than its statement has it"


def _head(database: str) -> int:
    """The number of the last event, once everything is numbered; -1 until then."""
    with psycopg.connect(database) as conn:
        row = conn.execute(
            "SELECT CASE WHEN EXISTS (SELECT FROM outbox) THEN -1"
            " ELSE (SELECT max(last_sequence) FROM events) END"
        ).fetchone()
    assert row is not None
    return int(row[0])
