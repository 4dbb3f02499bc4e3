"""Sends what happens to endpoints: at least once, each by one worker at a time.

A worker takes turns with endpoints by a lease that expires, so that another goes on where one died.
In a turn, events of the log become deliveries and the endpoint's place moves, in one transaction;
what is due is sent, a few at a time, and what came of it is written. A worker that dies in between
has sent what another sends again.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import structlog

from balance_service._generated.balance.v1 import event_pb2
from balance_service.auth.sealing import Secrets
from balance_service.database import cancelling
from balance_service.database.pool import Connection, Pool, transaction
from balance_service.domain import errors, ids, webhooks
from balance_service.domain.audit import Action, Actor, AuditEvent
from balance_service.domain.events import Event
from balance_service.domain.paging import REACH_MAX
from balance_service.domain.webhooks import (
    Answer,
    Delivery,
    DeliveryState,
    DisabledReason,
    Endpoint,
    Outcome,
)
from balance_service.messages import event_messages
from balance_service.repositories import audit, events
from balance_service.repositories import webhook_deliveries as deliveries
from balance_service.repositories import webhook_endpoints as endpoints
from balance_service.telemetry import metrics
from balance_service.webhooks import owners, secrets
from balance_service.webhooks.sending import Sender

# Endpoints that a worker sends to at once, and what it sends to each at once.
TURNS_MAX = 32
SENT_AT_ONCE_MAX = 8
# Postgres connections that a worker's turns have at once; calls need the others.
CONNECTIONS_MAX = 2
# After which an endpoint is left to others, so that all get their turn.
TURN_SECONDS = 10.0
# Longer than an attempt: nobody else sends what is under way.
LEASE_LIFE = timedelta(seconds=60)
# Events that one transaction takes from the log.
TAKEN_MAX = 100
# Events that wait for an endpoint; more wait in the log.
PENDING_MAX = 10_000

_log = structlog.get_logger()


class _Message(NamedTuple):
    """What is sent for a delivery; None where its event is not to be had any more."""

    delivery: Delivery
    event: event_pb2.Event | None


class _Round(NamedTuple):
    """What is done at once in a turn.

    Args:
        keys: What is signed with.
        more: Whether the log has more that was not looked at.
    """

    endpoint: Endpoint
    keys: Sequence[bytes]
    messages: Sequence[_Message]
    more: bool


class Deliveries:
    """Sends events to endpoints.

    Args:
        pool: Where both are.
        service_secrets: Unseal what is signed with.
        sender: Sends requests.
        source: What events name as where they happened.
        second_factor_required: Whether moderators and admins without a second factor are users.
    """

    def __init__(
        self,
        pool: Pool,
        service_secrets: Secrets,
        sender: Sender,
        source: str,
        *,
        second_factor_required: bool = False,
    ) -> None:
        self._pool = pool
        self._secrets = service_secrets
        self._sender = sender
        self._source = source
        self._second_factor_required = second_factor_required
        self._lease = ids.new_id()
        self._turns: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(CONNECTIONS_MAX)

    async def look(self) -> None:
        """Begins turns with endpoints that something can be sent to; to be called often."""
        free = TURNS_MAX - len(self._turns)
        if not free:
            return
        async with self._room, self._pool.connection() as conn:
            claimed = await endpoints.claim(conn, self._lease, LEASE_LIFE, free)
        for endpoint_id in claimed:
            turn = asyncio.create_task(self._take_turn(endpoint_id))
            self._turns.add(turn)
            turn.add_done_callback(self._turns.discard)

    async def stop(self) -> None:
        """Ends every turn; what is under way is sent again by another worker."""
        await cancelling.end(list(self._turns))
        self._sender.close()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        async with self._room, transaction(self._pool) as conn:
            yield conn

    async def _take_turn(self, endpoint_id: UUID) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + TURN_SECONDS
        try:
            while loop.time() < end and await self._go_round(endpoint_id):
                pass
        except Exception as error:  # noqa: BLE001 - another turn tries again
            _log.warning("webhook_turn_failed", cause=type(error).__name__)
        finally:
            with suppress(Exception):
                async with self._transaction() as conn:
                    await endpoints.release(conn, endpoint_id, self._lease)

    async def _go_round(self, endpoint_id: UUID) -> bool:
        """Sends what is due, or some of it; whether there may be more."""
        try:
            async with self._transaction() as conn:
                begun = await self._begin(conn, endpoint_id)
        except (errors.EventsExpired, errors.EventsLost):
            async with self._transaction() as conn:
                await disable(conn, endpoint_id, DisabledReason.EVENTS_MISSED)
            return False
        if begun is None:
            return False
        if begun.messages:
            answers = await asyncio.gather(*(self._send(begun, each) for each in begun.messages))
            tried = [message.delivery for message in begun.messages]
            await self._record(begun.endpoint, tried, answers)
        return begun.more or bool(begun.messages)

    async def _begin(self, conn: Connection, endpoint_id: UUID) -> _Round | None:
        """Takes what is new from the log, and what is due; None if the turn is over.

        Raises:
            EventsExpired, EventsLost: Events are missing that it had not come to.
        """
        endpoint = await endpoints.renew(conn, endpoint_id, self._lease, LEASE_LIFE)
        if endpoint is None:
            return None
        permitted = await owners.may_listen(
            conn, endpoint.owner, second_factor_required=self._second_factor_required
        )
        if not permitted:
            await disable(conn, endpoint_id, DisabledReason.OWNER_NOT_PERMITTED)
            return None
        # While it fails, one event shows whether it still does.
        room = 1 if endpoint.failures else SENT_AT_ONCE_MAX
        due = await deliveries.due(conn, endpoint_id, room)
        taken: Mapping[UUID, Event] = {}
        more = False
        if len(due) < room:
            taken, more = await self._take(conn, endpoint)
            due = await deliveries.due(conn, endpoint_id, room)
        messages = [_Message(each, await self._event(conn, each, taken)) for each in due]
        keys = secrets.signing_keys(self._secrets, endpoint, datetime.now(UTC))
        return _Round(endpoint, keys, messages, more)

    async def _take(
        self, conn: Connection, endpoint: Endpoint
    ) -> tuple[Mapping[UUID, Event], bool]:
        """Has what is new in the log be sent; what that is, and whether there is more."""
        waiting = await deliveries.count_pending(conn, endpoint.endpoint_id, PENDING_MAX)
        if waiting >= PENDING_MAX:
            return {}, False
        page = await events.page(conn, endpoint.place, endpoint.wanted, REACH_MAX, TAKEN_MAX)
        if page.end != page.start:
            await deliveries.add(conn, endpoint.endpoint_id, page.events)
            await endpoints.advance(conn, endpoint.endpoint_id, self._lease, page.end)
        told = {event.place.event_id: event for event in page.events}
        return told, page.end.sequence < page.head

    async def _event(
        self, conn: Connection, delivery: Delivery, taken: Mapping[UUID, Event]
    ) -> event_pb2.Event | None:
        if delivery.sequence is None:
            return event_messages.test_event(delivery, self._source)
        found = taken.get(delivery.event_id) or await events.at(conn, delivery.sequence)
        if found is None or found.place.event_id != delivery.event_id:
            return None
        return event_messages.event(found, self._source)

    async def _send(self, begun: _Round, message: _Message) -> Answer | None:
        """What came of an attempt; None if there was nothing to send."""
        if message.event is None:
            return None
        body = event_messages.body(message.event)
        headers = webhooks.sign(begun.keys, message.event.id, int(time.time()), body)
        return await self._sender.send(begun.endpoint.url, headers, body)

    async def _record(
        self, endpoint: Endpoint, tried: Sequence[Delivery], answers: Sequence[Answer | None]
    ) -> None:
        """Writes what came of attempts, and disables an endpoint that is gone or only fails."""
        outcomes = []
        failures = endpoint.failures
        for delivery, answer in zip(tried, answers, strict=True):
            if answer is None:
                outcomes.append(_never(delivery))
                continue
            outcome = webhooks.conclude(delivery, answer)
            failures = 0 if outcome.state is DeliveryState.DELIVERED else failures + 1
            outcomes.append(outcome)
        waits = [each.retry_after for each in answers if each and each.retry_after]
        asked = max(waits, default=None)
        delivered = any(each.state is DeliveryState.DELIVERED for each in outcomes)
        async with self._transaction() as conn:
            await deliveries.record(conn, endpoint.endpoint_id, outcomes)
            since = await endpoints.note_attempts(
                conn,
                endpoint.endpoint_id,
                failures,
                webhooks.rest(failures, asked),
                succeeded=delivered,
            )
            if any(each and each.http_status == webhooks.GONE for each in answers):
                await disable(conn, endpoint.endpoint_id, DisabledReason.GONE)
            elif since and datetime.now(UTC) - since > webhooks.FAILING_MAX:
                await disable(conn, endpoint.endpoint_id, DisabledReason.FAILING)
        for outcome in outcomes:
            metrics.webhook_tried(_result(outcome))


async def disable(conn: Connection, endpoint_id: UUID, reason: DisabledReason) -> None:
    """Disables an endpoint, unless it is so already; what it would have heard waits in the log.

    Args:
        conn: Within a transaction.
        endpoint_id: The endpoint.
        reason: Why the service does so.
    """
    endpoint = await endpoints.lock(conn, endpoint_id)
    if endpoint is None or endpoint.disabled:
        return
    after = endpoint._replace(
        disabled=True,
        disabled_reason=reason,
        version=endpoint.version + 1,
        updated_at=datetime.now(UTC),
    )
    await endpoints.update(conn, after)
    why = {"disabled": "yes", "disabled_reason": reason.name}
    event = AuditEvent(
        Action.WEBHOOK_ENDPOINT_DISABLED,
        Actor(),
        f"webhook_endpoint:{endpoint_id}",
        {"disabled": "no"},
        why,
    )
    await audit.record(conn, event)
    _log.warning("webhook_endpoint_disabled", endpoint=str(endpoint_id), reason=reason.name)


def _never(delivery: Delivery) -> Outcome:
    """What becomes of an event that the log does not have any more."""
    error = "the event is not kept any more"
    tried = delivery.event_id, delivery.next_attempt_at
    return Outcome(*tried, DeliveryState.DEAD, delivery.attempts, 0, error)


def _result(outcome: Outcome) -> str:
    return {
        DeliveryState.DELIVERED: "delivered",
        DeliveryState.PENDING: "failed",
        DeliveryState.DEAD: "dead",
    }[outcome.state]
