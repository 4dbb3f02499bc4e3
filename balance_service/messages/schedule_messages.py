"""Schedules and their occurrences as messages of the contract."""

from balance_service._generated.balance.v1 import purchase_pb2, schedule_pb2, transfer_pb2
from balance_service.domain.movements import Kind
from balance_service.domain.schedules import Occurrence, Schedule, ScheduleChange
from balance_service.messages.convert import timestamp


def schedule_message(schedule: Schedule) -> schedule_pb2.Schedule:
    """A schedule."""
    timing, retry = schedule.timing, schedule.retry
    message = schedule_pb2.Schedule(
        id=str(schedule.schedule_id),
        description=schedule.description,
        start_time=timestamp(timing.starts_at),
        recurrence_rule=timing.rule,
        time_zone=timing.zone,
        insufficient_funds=schedule_pb2.INSUFFICIENT_FUNDS_POLICY_RETRY
        if retry
        else schedule_pb2.INSUFFICIENT_FUNDS_POLICY_SKIP,
        status=schedule_pb2.ScheduleStatus.ValueType(schedule.status),
        account=str(schedule.account_id),
        principal=schedule.principal,
        attempts=schedule.attempts,
        date=timestamp(schedule.created_at),
        update_time=timestamp(schedule.updated_at),
        etag=str(schedule.version),
    )
    if schedule.kind is Kind.TRANSFER:
        transfer = transfer_pb2.CreateTransferRequest.FromString(schedule.request)
        message.create_transfer.CopyFrom(transfer)
    else:
        purchase = purchase_pb2.CreatePurchaseRequest.FromString(schedule.request)
        message.create_purchase.CopyFrom(purchase)
    if retry:
        message.retry_minutes = int(retry.interval.total_seconds() // 60)
        message.retry_hours = int(retry.lasting.total_seconds() // 3600)
    if timing.ends_at:
        message.end_time.CopyFrom(timestamp(timing.ends_at))
    if schedule.next_at:
        message.next_time.CopyFrom(timestamp(schedule.next_at))
    return message


def schedule_texts(schedule: Schedule) -> list[str]:
    """What callers wrote, for the size of a page: texts, and about as much in the request."""
    return [schedule.description, schedule.timing.rule, schedule.request.decode(errors="replace")]


def occurrence_message(occurrence: Occurrence) -> schedule_pb2.Occurrence:
    """What became of an occurrence."""
    return schedule_pb2.Occurrence(
        time=timestamp(occurrence.occurs_at),
        outcome=schedule_pb2.OccurrenceOutcome.ValueType(occurrence.outcome),
        movement=str(occurrence.movement_id or ""),
        reason=occurrence.reason,
        attempts=occurrence.attempts,
        decide_time=timestamp(occurrence.decided_at),
    )


def change_message(change: ScheduleChange) -> schedule_pb2.ScheduleChange:
    """What an event tells of a schedule."""
    message = schedule_pb2.ScheduleChange(
        schedule=str(change.schedule_id),
        account=str(change.account_id),
        status=schedule_pb2.ScheduleStatus.ValueType(change.status),
    )
    if change.occurrence:
        message.occurrence.CopyFrom(occurrence_message(change.occurrence))
    return message
