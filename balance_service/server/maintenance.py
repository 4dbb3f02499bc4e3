"""What a worker does in the background: health, rates, revocations, watches, events, webhooks,
roll-ups, expiry, sealing, checkpoints, clearing.

Some of it every worker does for itself, and some of it one does for all: of that, each takes its
turn, and the intervals are those of all workers together.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from balance_service.auth.askers import KNOWN_FOR
from balance_service.auth.keys import KeySet
from balance_service.auth.sessions import Sessions
from balance_service.calls.dispatch import Calls
from balance_service.database import cancelling
from balance_service.database.pool import Pool, transaction
from balance_service.domain.days import Calendar
from balance_service.ledger.checkpoints import Checkpoints
from balance_service.ledger.expiry import HoldExpiry
from balance_service.reading.events import EventLog
from balance_service.reading.rates import ExchangeRates
from balance_service.reading.watch import AccountWatch
from balance_service.repositories import (
    audit_seals,
    events,
    outbox,
    quotes,
    retention,
    sub_accounts,
    system_accounts,
    totals,
    webhook_deliveries,
    webhook_endpoints,
)
from balance_service.server.health import Health
from balance_service.servicers.account_changes import AccountChanges
from balance_service.servicers.schedule_runs import ScheduleRuns
from balance_service.webhooks.delivery import Deliveries

HEALTH_INTERVAL_SECONDS = 0.5
RATES_INTERVAL_SECONDS = 60
WATCH_INTERVAL_SECONDS = 0.25
EVENTS_INTERVAL_SECONDS = 0.25
ENDED_INTERVAL_SECONDS = 2
TOTALS_INTERVAL_SECONDS = 1
ROLL_UP_INTERVAL_SECONDS = 5
# Deltas that one transaction rolls up, so that it stays short; the next goes on at once.
ROLL_UP_DELTAS_MAX = 10_000
EXPIRY_INTERVAL_SECONDS = 1
SEAL_INTERVAL_SECONDS = 5
CHECKPOINT_INTERVAL_SECONDS = 1
HISTORY_INTERVAL_SECONDS = 60
SCHEDULES_INTERVAL_SECONDS = 1
STREAMS_INTERVAL_SECONDS = 1
DELETE_INTERVAL_SECONDS = 600
# The last access token of a sign-in outlives it by a day and the leeway at most.
LAST_USE = timedelta(days=2)
# Quotes that one transaction clears, for the same reason.
CLEARED_QUOTES_MAX = 1_000
# Commits whose events one transaction deletes.
DELETED_EVENTS_MAX = 1_000
WEBHOOKS_INTERVAL_SECONDS = 0.5
DELETED_DELIVERIES_MAX = 1_000

_log = structlog.get_logger()


class Maintenance:
    """A worker's background tasks.

    Args:
        pool: Connections for what is rolled up and deleted here.
        health: Checked for whether Postgres answers.
        keys: Read again, for operators rotate and revoke them.
        sessions: Learn which of them ended elsewhere.
        rates: Fetches exchange rates when they are due.
        calls: Ends streams whose token is not good any more.
        watch: Looks for changes of the accounts that callers watch.
        event_log: Reads what is new of the log of events for those who follow it.
        expiry: Gives back what is left of holds whose time is over.
        changes: Has limits go back whose time is over.
        checkpoints: Makes them when they are due.
        schedules: Carries out what is due.
        answers_kept: How long answers of calls that move no money are kept, and quotes after their
            end that were not carried out.
        webhooks: Sends events to those who asked for it.
        events_kept: How long events are kept.
        webhooks_kept: How long it is kept what became of those that were sent.
        calendar: The days on which debits count.
        workers: How many share what one does for all.
    """

    def __init__(
        self,
        *,
        pool: Pool,
        health: Health,
        keys: KeySet,
        sessions: Sessions,
        rates: ExchangeRates,
        watch: AccountWatch,
        event_log: EventLog,
        calls: Calls,
        expiry: HoldExpiry,
        changes: AccountChanges,
        webhooks: Deliveries,
        checkpoints: Checkpoints,
        schedules: ScheduleRuns,
        answers_kept: timedelta,
        events_kept: timedelta,
        webhooks_kept: timedelta,
        calendar: Calendar,
        workers: int,
    ) -> None:
        self._pool = pool
        self._health = health
        self._keys = keys
        self._sessions = sessions
        self._rates = rates
        self._watch = watch
        self._event_log = event_log
        self._calls = calls
        self._expiry = expiry
        self._changes = changes
        self._webhooks = webhooks
        self._checkpoints = checkpoints
        self._schedules = schedules
        self._answers_kept = answers_kept
        self._events_kept = events_kept
        self._webhooks_kept = webhooks_kept
        self._calendar = calendar
        self._workers = workers
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Loads what answers depend on, then does everything at intervals until `stop`."""
        await self._sessions.load_ended()
        await self._rates.refresh()
        for seconds, work in (
            (HEALTH_INTERVAL_SECONDS, self._health.check_database),
            (ENDED_INTERVAL_SECONDS, self._sessions.load_ended),
            (ENDED_INTERVAL_SECONDS, self._keys.load),
            (STREAMS_INTERVAL_SECONDS, self._calls.end_streams),
            (RATES_INTERVAL_SECONDS, self._rates.refresh),
            (WATCH_INTERVAL_SECONDS, self._watch.look),
            (EVENTS_INTERVAL_SECONDS, self._event_log.look),
        ):
            self._tasks.append(asyncio.create_task(_repeat(seconds, work)))
        for seconds, work in (
            (EVENTS_INTERVAL_SECONDS, self.number_events),
            (WEBHOOKS_INTERVAL_SECONDS, self._webhooks.look),
            (ROLL_UP_INTERVAL_SECONDS, self.roll_up),
            (TOTALS_INTERVAL_SECONDS, self.roll_up_totals),
            (EXPIRY_INTERVAL_SECONDS, self._expiry.sweep),
            (EXPIRY_INTERVAL_SECONDS, self._changes.end_limits),
            (SCHEDULES_INTERVAL_SECONDS, self._schedules.run_due),
            (SEAL_INTERVAL_SECONDS, self.seal_audit_log),
            (CHECKPOINT_INTERVAL_SECONDS, self._checkpoints.cover_new),
            (HISTORY_INTERVAL_SECONDS, self._checkpoints.cover_old),
            (DELETE_INTERVAL_SECONDS, self.delete_expired),
            (DELETE_INTERVAL_SECONDS, self.clear_quotes),
            (DELETE_INTERVAL_SECONDS, self.delete_old_events),
            (DELETE_INTERVAL_SECONDS, self.delete_old_deliveries),
            (DELETE_INTERVAL_SECONDS, self._schedules.delete_old),
            (DELETE_INTERVAL_SECONDS, self._keys.remove_old),
        ):
            self._tasks.append(asyncio.create_task(_repeat(seconds * self._workers, work)))

    async def stop(self) -> None:
        """Ends every task, also in the middle of its work: transactions roll back."""
        await cancelling.end(self._tasks)
        await self._webhooks.stop()

    async def roll_up(self) -> None:
        """Moves what commits added to system accounts into their balances."""
        moved = ROLL_UP_DELTAS_MAX
        while moved == ROLL_UP_DELTAS_MAX:
            async with transaction(self._pool) as conn:
                moved = await system_accounts.roll_up(conn, ROLL_UP_DELTAS_MAX)

    async def roll_up_totals(self) -> None:
        """Adds what was posted since to the totals of its day and minute."""
        more = True
        while more:
            async with transaction(self._pool) as conn:
                more = await totals.roll_up(conn) > 0

    async def number_receipts(self) -> None:
        """Numbers what has waited on sub-accounts for a while, an account at a time."""
        async with self._pool.connection() as conn:
            waiting = await sub_accounts.find_waiting(conn)
        for account_id in waiting:
            async with transaction(self._pool) as conn:
                if await sub_accounts.lock_if_free(conn, account_id):
                    await sub_accounts.number(conn, account_id, self._calendar)

    async def number_events(self) -> None:
        """Numbers the events of what was committed since, so that they can be read."""
        async with self._pool.connection() as conn:
            waiting = await outbox.look(conn)
        if waiting.receipts:
            await self.number_receipts()
        numbered = outbox.NUMBERED_AT_ONCE_MAX if waiting.commits else 0
        while numbered == outbox.NUMBERED_AT_ONCE_MAX:
            async with transaction(self._pool) as conn:
                numbered = await outbox.number(conn)

    async def seal_audit_log(self) -> None:
        """Seals events of the audit log, and logs the chain's head: a copy of it out of reach."""
        sealing = True
        while sealing:
            async with transaction(self._pool) as conn:
                head = await audit_seals.seal(conn)
            if head:
                _tell_acts(head)
                _log.info("audit_log_sealed", sequence=head.sequence, hash=head.hash.hex())
            sealing = head is not None

    async def delete_expired(self) -> None:
        """Deletes kept answers, codes and sessions that nobody can use any more."""
        kept = {
            "idempotency_keys": self._answers_kept,
            "verifications": timedelta(),
            "sign_in_quotas": timedelta(),
            "known_askers": KNOWN_FOR,
            "confirmation_codes": LAST_USE,
            "refresh_tokens": LAST_USE,
            "sessions": LAST_USE,
        }
        for table in retention.BY_TIME:
            more = True
            while more:
                async with transaction(self._pool) as conn:
                    more = await retention.delete_old(conn, table, kept[table])
        for table in retention.BY_KEY:
            after = None
            while True:
                async with transaction(self._pool) as conn:
                    after = await retention.delete_old_of_part(conn, table, kept[table], after)
                if after is None:
                    break

    async def delete_old_events(self) -> None:
        """Deletes events that are not kept any more, oldest first."""
        deleted = DELETED_EVENTS_MAX
        while deleted == DELETED_EVENTS_MAX:
            async with transaction(self._pool) as conn:
                deleted = await events.delete_old(conn, self._events_kept, DELETED_EVENTS_MAX)

    async def delete_old_deliveries(self) -> None:
        """Deletes what became of events that were sent long ago, and what is left of endpoints."""
        deleted = DELETED_DELIVERIES_MAX
        while deleted == DELETED_DELIVERIES_MAX:
            async with transaction(self._pool) as conn:
                deleted = await webhook_deliveries.delete_old(
                    conn, self._webhooks_kept, DELETED_DELIVERIES_MAX
                )
        async with transaction(self._pool) as conn:
            await webhook_endpoints.clear_deleted(conn)

    async def clear_quotes(self) -> None:
        """Deletes quotes that nobody carried out."""
        cleared = CLEARED_QUOTES_MAX
        while cleared == CLEARED_QUOTES_MAX:
            async with transaction(self._pool) as conn:
                cleared = await quotes.clear_expired(conn, self._answers_kept, CLEARED_QUOTES_MAX)


def _tell_acts(head: audit_seals.Head) -> None:
    """Logs what was done with more than a caller's own rights, once it is sealed."""
    first = head.sequence - len(head.sealed) + 1
    for sequence, event in enumerate(head.sealed, first):
        if event.is_privileged:
            _log.info(
                "privileged_act",
                action=event.action,
                actor=event.actor.principal,
                target=event.target,
                reason=event.refusal,
                request_id=event.actor.request_id,
                sequence=sequence,
            )


async def _repeat(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    """Does some work for ever, pausing before each round; a failed round is logged and passed."""
    # Workers start at once, and are to take turns.
    await asyncio.sleep(random.uniform(0, seconds))  # noqa: S311 - no secret
    while True:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - the next round tries again
            _log.warning("maintenance_failed", work=work.__name__, cause=type(error).__name__)
        await asyncio.sleep(seconds)
