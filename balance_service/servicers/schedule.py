"""ScheduleService: transfers and purchases that are made later, once or repeatedly."""

import itertools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol, TypeAlias
from uuid import UUID

from balance_service._generated.balance.v1 import schedule_pb2
from balance_service.calls.access import Condition, Rule
from balance_service.calls.call import Call
from balance_service.database.pool import Connection, Pool
from balance_service.domain import errors, ids
from balance_service.domain.audit import Action, AuditEvent
from balance_service.domain.events import EventType
from balance_service.domain.movements import Kind
from balance_service.domain.principals import OPERATOR, Principal
from balance_service.domain.recurrence import HORIZON
from balance_service.domain.schedules import Schedule, ScheduleChange, ScheduleStatus
from balance_service.messages import fields, masks, page_bytes, schedule_requests, time_places
from balance_service.messages.convert import timestamp
from balance_service.messages.once import once
from balance_service.messages.page_tokens import PageTokens
from balance_service.messages.schedule_access import (
    check_listed,
    check_sold,
    get_readable,
    lock_made,
    resolve,
)
from balance_service.messages.schedule_messages import (
    occurrence_message,
    schedule_message,
    schedule_texts,
)
from balance_service.messages.schedule_requests import Creation, Update
from balance_service.repositories import audit, outbox
from balance_service.repositories import schedules as repository

NEXT_MAX = 50

Stop: TypeAlias = schedule_pb2.PauseScheduleRequest | schedule_pb2.CancelScheduleRequest
Step: TypeAlias = Stop | schedule_pb2.ResumeScheduleRequest
Change: TypeAlias = Callable[[Schedule, datetime], Schedule]


class ScheduleLimits(Protocol):
    """What schedules are held to, of the settings."""

    schedules_max: int
    service_schedules_max: int
    schedule_interval_min_minutes: int


class _Step(NamedTuple):
    schedule: UUID
    reason: str


class ScheduleServicer:
    """Makes schedules, changes them and lists them.

    Args:
        pool: Where they are.
        page_tokens: Signs where a list goes on.
        rules: Who may make the calls that schedules stand for, by the names of RPCs.
        limits: What they are held to.
    """

    service = schedule_pb2.DESCRIPTOR.services_by_name["ScheduleService"]

    def __init__(
        self,
        pool: Pool,
        page_tokens: PageTokens,
        rules: Mapping[str, Rule],
        limits: ScheduleLimits,
    ) -> None:
        self._pool = pool
        self._page_tokens = page_tokens
        self._rules = {kind: rules[rpc] for kind, rpc in schedule_requests.METHODS.items()}
        self._limits = limits

    async def CreateSchedule(
        self, request: schedule_pb2.CreateScheduleRequest, call: Call
    ) -> schedule_pb2.Schedule:
        principal = call.principal
        if principal.name.startswith(f"{OPERATOR}:"):
            raise errors.PermissionMissing(required="a user's token")

        def read(sent: schedule_pb2.CreateScheduleRequest) -> Creation:
            return schedule_requests.read_creation(sent, principal)

        async def act(conn: Connection, creation: Creation) -> schedule_pb2.Schedule:
            schedule = await self._make(conn, creation, request.schedule, principal)
            await repository.insert(conn, schedule)
            await tell(conn, EventType.SCHEDULE_CREATED, schedule)
            return schedule_message(schedule)

        name = request.schedule.WhichOneof("movement")
        if name:
            kind = Kind.TRANSFER if name == "create_transfer" else Kind.PURCHASE
            self._rules[kind].admit(principal)
        call.prove(Condition.ITEMS)
        return await once(
            self._pool, request, call, read=read, act=act, answer_type=schedule_pb2.Schedule
        )

    async def GetSchedule(
        self, request: schedule_pb2.GetScheduleRequest, call: Call
    ) -> schedule_pb2.Schedule:
        schedule_id = fields.identifier(request.schedule, "schedule")

        async with self._pool.connection() as conn:
            schedule = await get_readable(conn, call, schedule_id)

        return schedule_message(schedule)

    async def ListSchedules(
        self, request: schedule_pb2.ListSchedulesRequest, call: Call
    ) -> schedule_pb2.ListSchedulesResponse:
        checks = fields.Checks()
        account_id = checks(fields.optional_identifier, request.account, "account")
        named = checks(fields.text, request, "principal")
        status = checks(schedule_requests.read_status, request.status)
        size = checks(fields.page_size, request.page_size)
        skip = checks(fields.skip, request.skip)
        checks.finish()

        query = (account_id, named, status)
        place = self._page_tokens.read(query, call, request.page_token)
        after = repository.Place(*time_places.read(place)) if place else None
        async with self._pool.connection() as conn:
            maker = await check_listed(conn, call, account_id, named)
            kept = ScheduleStatus(status) if status else None
            wanted = repository.Wanted(maker, account_id, kept)
            listed = await repository.page(conn, wanted, after, size + 1, skip)
            total = await repository.count(conn, wanted) if request.count_total else 0

        shown = page_bytes.fit(listed[:size], schedule_texts)
        answer = schedule_pb2.ListSchedulesResponse(
            schedules=map(schedule_message, shown), total_size=total
        )
        if len(listed) > len(shown):
            place = time_places.write(shown[-1].created_at, shown[-1].schedule_id)
            answer.next_page_token = self._page_tokens.write(query, call, place)
        return answer

    async def UpdateSchedule(
        self, request: schedule_pb2.UpdateScheduleRequest, call: Call
    ) -> schedule_pb2.Schedule:
        async def act(conn: Connection, update: Update) -> schedule_pb2.Schedule:
            before = await lock_made(conn, call, update.id)
            masks.check_etag(update.etag, before.version)
            if not before.is_live:
                raise errors.ScheduleNotActive(str(before.schedule_id), before.status.name)
            after = _changed(before, update, await repository.read_clock(conn))
            await repository.update(conn, after)
            await tell(conn, EventType.SCHEDULE_CHANGED, after)
            return schedule_message(after)

        # Checked within; whoever repeats a call that was answered has passed that.
        call.prove(Condition.MAKER)
        return await once(
            self._pool,
            request,
            call,
            read=schedule_requests.read_update,
            act=act,
            answer_type=schedule_pb2.Schedule,
        )

    async def PauseSchedule(
        self, request: schedule_pb2.PauseScheduleRequest, call: Call
    ) -> schedule_pb2.Schedule:
        def pause(before: Schedule, now: datetime) -> Schedule:
            if before.status is not ScheduleStatus.ACTIVE:
                raise errors.ScheduleNotActive(str(before.schedule_id), before.status.name)
            return before.paused(now)

        told = Action.SCHEDULE_PAUSED, EventType.SCHEDULE_PAUSED
        return await self._step(request, call, pause, *told)

    async def ResumeSchedule(
        self, request: schedule_pb2.ResumeScheduleRequest, call: Call
    ) -> schedule_pb2.Schedule:
        def resume(before: Schedule, now: datetime) -> Schedule:
            if before.status is not ScheduleStatus.PAUSED:
                raise errors.ScheduleNotPaused(str(before.schedule_id), before.status.name)
            return before.resumed(now)

        told = Action.SCHEDULE_RESUMED, EventType.SCHEDULE_RESUMED
        return await self._step(request, call, resume, *told)

    async def CancelSchedule(
        self, request: schedule_pb2.CancelScheduleRequest, call: Call
    ) -> schedule_pb2.Schedule:
        def cancel(before: Schedule, now: datetime) -> Schedule:
            return before.cancelled(now) if before.is_live else before

        told = Action.SCHEDULE_CANCELLED, EventType.SCHEDULE_CANCELLED
        return await self._step(request, call, cancel, *told)

    async def ListOccurrences(
        self, request: schedule_pb2.ListOccurrencesRequest, call: Call
    ) -> schedule_pb2.ListOccurrencesResponse:
        checks = fields.Checks()
        schedule_id = checks(fields.identifier, request.schedule, "schedule")
        size = checks(fields.page_size, request.page_size)
        skip = checks(fields.skip, request.skip)
        if not 0 <= request.next <= NEXT_MAX:
            checks.refuse("next", f"must be from 0 to {NEXT_MAX}")
        checks.finish()

        query = (schedule_id,)
        place = self._page_tokens.read(query, call, request.page_token)
        before = time_places.read(place)[0] if place else None
        async with self._pool.connection() as conn:
            schedule = await get_readable(conn, call, schedule_id)
            listed = await repository.occurrences(conn, schedule_id, before, size + 1, skip)
            total = 0
            if request.count_total:
                total = await repository.count_occurrences(conn, schedule_id)

        answer = schedule_pb2.ListOccurrencesResponse(
            occurrences=map(occurrence_message, listed[:size]),
            next_times=map(timestamp, _coming(schedule, request.next)),
            total_size=total,
        )
        if len(listed) > size:
            place = time_places.write(listed[size - 1].occurs_at, schedule_id)
            answer.next_page_token = self._page_tokens.write(query, call, place)
        return answer

    async def _make(
        self,
        conn: Connection,
        creation: Creation,
        sent: schedule_pb2.Schedule,
        principal: Principal,
    ) -> Schedule:
        """A schedule, checked as far as that does not depend on the moments of its occurrences."""
        movement, description, when, retry = creation.schedule
        limits = self._limits
        most = limits.schedules_max if principal.user_id else limits.service_schedules_max
        if await repository.count_live(conn, principal.name, most) >= most:
            raise errors.ScheduleLimit(most)
        account_id, request = await resolve(conn, movement, principal)
        if movement.service_id:
            await check_sold(conn, movement, sent, recurring=when.rule is not None)
        now = await repository.read_clock(conn)
        gap_min = timedelta(minutes=limits.schedule_interval_min_minutes)
        timing = schedule_requests.timing(when, sent, now, gap_min)
        first = timing.first_after(now - timedelta(microseconds=1))
        return Schedule(
            schedule_id=ids.dated_id(now),
            principal=principal.name,
            account_id=account_id,
            kind=movement.kind,
            request=request,
            description=description,
            timing=timing,
            retry=retry,
            status=ScheduleStatus.ACTIVE,
            version=1,
            created_at=now,
            updated_at=now,
            next_at=first,
            run_at=first,
            leased_until=None,
            attempts=0,
        )

    async def _step(
        self, request: Step, call: Call, change: Change, action: Action, event: EventType
    ) -> schedule_pb2.Schedule:
        """Takes a locked schedule from one status to another."""

        async def act(conn: Connection, step: _Step) -> schedule_pb2.Schedule:
            before = await lock_made(conn, call, step.schedule)
            after = change(before, await repository.read_clock(conn))
            if after != before:
                await repository.update(conn, after)
                await tell(conn, event, after)
                await _record_privileged(conn, call, action, before, after, step.reason)
            return schedule_message(after)

        # Checked within, as above.
        call.prove(Condition.MAKER)
        return await once(
            self._pool,
            request,
            call,
            read=_read_step,
            act=act,
            answer_type=schedule_pb2.Schedule,
        )


async def tell(conn: Connection, event: EventType, schedule: Schedule) -> None:
    """Says what happened to a schedule, within the transaction."""
    change = ScheduleChange(schedule.schedule_id, schedule.account_id, schedule.status)
    await outbox.record_schedule(conn, event, change)


async def _record_privileged(
    conn: Connection, call: Call, action: Action, before: Schedule, after: Schedule, reason: str
) -> None:
    """Records what somebody did to a schedule that another made."""
    if call.principal.name == before.principal:
        return
    target = f"schedule:{before.schedule_id}"
    about = {"account": str(before.account_id), "principal": before.principal}
    was, now = {"status": before.status.name}, {"status": after.status.name, **about}
    await audit.record(conn, AuditEvent(action, call.actor, target, was, now, reason))


def _changed(before: Schedule, update: Update, now: datetime) -> Schedule:
    names, ends_at = update.update_mask, before.timing.ends_at
    if "end_time" in names:
        ends_at = update.end_time
        if ends_at and not before.timing.rule:
            raise errors.invalid("schedule.end_time", "must be empty of what is done once")
        if ends_at and ends_at < now:
            raise errors.invalid("schedule.end_time", "must not be past")
    return before.changed(
        now,
        description=update.description if "description" in names else before.description,
        retry=update.insufficient_funds if "insufficient_funds" in names else before.retry,
        ends_at=ends_at,
    )


def _coming(schedule: Schedule, count: int) -> list[datetime]:
    """The next occurrences of an active schedule, within HORIZON."""
    if not count or schedule.status is not ScheduleStatus.ACTIVE or schedule.next_at is None:
        return []
    end = datetime.now(UTC) + HORIZON
    before = schedule.next_at - timedelta(microseconds=1)
    coming = itertools.takewhile(lambda each: each < end, schedule.timing.after(before))
    return list(itertools.islice(coming, count))


def _read_step(request: Step) -> _Step:
    checks = fields.Checks()
    schedule_id = checks(fields.identifier, request.schedule, "schedule")
    reason = checks(fields.text, request, "reason")
    checks.finish()
    return _Step(schedule_id, reason)
