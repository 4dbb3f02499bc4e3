"""Reads what is to be scheduled, and when."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple, TypeAlias, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from balance_service._generated.balance.v1 import purchase_pb2, schedule_pb2, transfer_pb2
from balance_service.domain import errors, ids, money, recurrence_rules
from balance_service.domain.days import find_zone
from balance_service.domain.movements import Kind
from balance_service.domain.principals import Principal
from balance_service.domain.recurrence import HORIZON, Recurrence, Rule
from balance_service.domain.schedules import METADATA_KEY, Retry, Timing
from balance_service.messages import account_access, fields, masks
from balance_service.messages.field_limits import find

MovingRequest: TypeAlias = transfer_pb2.CreateTransferRequest | purchase_pb2.CreatePurchaseRequest
# The RPC that each kind of schedule calls.
METHODS: Mapping[Kind, str] = {Kind.TRANSFER: "CreateTransfer", Kind.PURCHASE: "CreatePurchase"}
MESSAGES: Mapping[Kind, type[MovingRequest]] = {
    Kind.TRANSFER: transfer_pb2.CreateTransferRequest,
    Kind.PURCHASE: purchase_pb2.CreatePurchaseRequest,
}
CHANGING = ("description", "end_time", "insufficient_funds", "retry_minutes", "retry_hours")
_POLICY = frozenset(CHANGING[2:])
# What is of one call alone.
_OF_A_CALL = ("request_id", "account_etag", "effective_time", "quote", "validate_only")
_RETRY_MINUTES_MIN = 10

T = TypeVar("T")


class Movement(NamedTuple):
    """What is done at each occurrence.

    Args:
        kind: TRANSFER or PURCHASE.
        account_id: The account that pays; None for the caller's own in `currency`.
        currency: Of a transfer, that of both accounts.
        service_id: What is bought; None of a transfer.
        request: The request, spelled in one way.
    """

    kind: Kind
    account_id: UUID | None
    currency: str
    service_id: UUID | None
    request: bytes


class When(NamedTuple):
    """When the occurrences are, before it is known what time it is.

    Args:
        start: None for now.
        rule: None for once.
        zone: The time zone's name; empty for once.
        end: After which moment there are none; None for no such end.
    """

    start: datetime | None
    rule: Rule | None
    zone: str
    end: datetime | None


class Asked(NamedTuple):
    """A schedule that is asked for."""

    movement: Movement
    description: str
    when: When
    retry: Retry | None


class Creation(NamedTuple):
    schedule: Asked


class Update(NamedTuple):
    """New values of what may change of a schedule, by name; the policy's stand for each other."""

    id: UUID
    etag: str
    update_mask: frozenset[str]
    description: str
    end_time: datetime | None
    insufficient_funds: Retry | None


def read_creation(request: schedule_pb2.CreateScheduleRequest, principal: Principal) -> Creation:
    """Reads a schedule by itself.

    Raises:
        InvalidFields: Something is wrong with it.
    """
    schedule, checks = request.schedule, fields.Checks()
    movement = checks(_read_movement, schedule, principal)
    description = checks(fields.text, schedule, "description", "schedule.description")
    when = checks(_read_when, schedule)
    retry = checks(_read_retry, schedule)
    checks.finish()
    return Creation(Asked(movement, description, when, retry))


def read_update(request: schedule_pb2.UpdateScheduleRequest) -> Update:
    """Reads a change by itself."""
    message, checks = request.schedule, fields.Checks()
    schedule_id = checks(fields.identifier, request.id, "id")
    etag = checks(fields.text, message, "etag", "schedule.etag")
    readers: dict[str, Callable[[], object]] = {
        "description": lambda: fields.text(message, "description", "schedule.description"),
        "end_time": lambda: _read_moment(message, "end_time"),
    }
    masked = masks.read(checks, request.update_mask, readers, CHANGING)
    retry = None
    if masked.names & _POLICY:
        retry = checks(_read_retry, message)
        if not masked.names >= _POLICY:
            rule = f"must name {', '.join(CHANGING[2:])} together"
            checks.refuse("update_mask", rule)
    checks.finish()
    description, end_time = masked.values.get("description", ""), masked.values.get("end_time")
    assert isinstance(description, str), "read so"
    assert end_time is None or isinstance(end_time, datetime), "read so"
    return Update(schedule_id, etag, masked.names, description, end_time, retry)


def timing(asked: When, sent: schedule_pb2.Schedule, now: datetime, gap_min: timedelta) -> Timing:
    """When occurrences are, from now on.

    Args:
        asked: As it was read.
        sent: As it was sent.
        now: By Postgres's clock.
        gap_min: How far apart occurrences are at least.

    Raises:
        InvalidFields: It begins in the past or too late, ends before it begins, or the rule names
            no moments, or too many.
    """
    start = asked.start or now
    if start < now:
        raise errors.invalid("schedule.start_time", "must not be past")
    if start > now + HORIZON:
        raise errors.invalid("schedule.start_time", "must be at most ten years away")
    if asked.rule is None:
        return Timing(start)
    zone = ZoneInfo(asked.zone)
    local = start.astimezone(zone)
    if local.fold:
        rule = "must not be in the hour that comes twice when the clocks go back, the second time"
        raise errors.invalid("schedule.start_time", rule)
    recurrence = Recurrence(asked.rule, local.replace(tzinfo=None), zone)
    try:
        recurrence = recurrence.counted()
    except OverflowError:
        raise _wrong_rule("must not have a COUNT that takes more than thirty years") from None
    if recurrence.shortest_gap < gap_min:
        minutes = int(gap_min.total_seconds() // 60)
        raise _wrong_rule(f"must have at least {minutes} minutes between its times of day")
    found = Timing(
        start, sent.recurrence_rule, asked.zone, recurrence.start, recurrence.last, asked.end
    )
    if found.first_after(now - timedelta(microseconds=1)) is None:
        raise _wrong_rule("must name a moment between its start and its end, within ten years")
    return found


def read_status(value: int) -> schedule_pb2.ScheduleStatus.ValueType:
    """Reads a status to keep; unspecified is any."""
    if value not in schedule_pb2.ScheduleStatus.values():
        raise errors.invalid("status", "must be a known status of a schedule")
    return schedule_pb2.ScheduleStatus.ValueType(value)


def _read_movement(schedule: schedule_pb2.Schedule, principal: Principal) -> Movement:
    name = schedule.WhichOneof("movement")
    if name is None:
        raise errors.invalid("schedule", "must have one of create_transfer, create_purchase")
    path = f"schedule.{name}"
    if name == "create_transfer":
        return _within(path, lambda: _read_transfer(schedule.create_transfer, principal))
    return _within(path, lambda: _read_purchase(schedule.create_purchase, principal))


def _read_transfer(sent: transfer_pb2.CreateTransferRequest, principal: Principal) -> Movement:
    checks = _checked(sent)
    amount = checks(fields.amount, sent.amount, sent.currency)
    payer = checks(account_access.read_id_or_own, principal, sent.from_account, "from_account")
    receiver = checks(account_access.read_receiver, sent.to_account)
    description = checks(fields.text, sent, "description")
    metadata = checks(_read_metadata, sent.metadata)
    checks.finish()
    request = transfer_pb2.CreateTransferRequest(
        from_account=str(payer or ""),
        to_account=str(receiver or sent.to_account),
        amount=str(amount),
        currency=amount.currency,
        description=description,
        metadata=metadata,
    )
    message = request.SerializeToString(deterministic=True)
    return Movement(Kind.TRANSFER, payer, amount.currency, None, message)


def _read_purchase(sent: purchase_pb2.CreatePurchaseRequest, principal: Principal) -> Movement:
    checks = _checked(sent)
    service_id = checks(fields.identifier, sent.service, "service")
    payer = checks(account_access.read_id_or_own, principal, sent.account, "account")
    quantity = checks(fields.quantity, sent, "quantity")
    metadata = checks(_read_metadata, sent.metadata)
    etag = checks(fields.text, sent, "service_etag")
    expected = None
    if sent.expected_price:
        names = "expected_price", "expected_currency"
        expected = checks(fields.amount, sent.expected_price, sent.expected_currency, *names)
    elif sent.expected_currency:
        checks.refuse("expected_currency", "must come with expected_price")
    checks.finish()
    request = purchase_pb2.CreatePurchaseRequest(
        service=str(service_id),
        account=str(payer or ""),
        quantity=quantity,
        metadata=metadata,
        service_etag=etag,
        expected_price=str(expected) if expected else "",
        expected_currency=expected.currency if expected else "",
    )
    message = request.SerializeToString(deterministic=True)
    return Movement(Kind.PURCHASE, payer, money.DEFAULT_CURRENCY, service_id, message)


def _checked(sent: MovingRequest) -> fields.Checks:
    """Checks that refuse what is of one call alone."""
    checks = fields.Checks()
    for field, _ in sent.ListFields():
        if field.name in _OF_A_CALL:
            checks.refuse(field.name, "must be empty in a schedule")
    return checks


def _read_metadata(pairs: Mapping[str, str]) -> dict[str, str]:
    if METADATA_KEY in pairs:
        raise errors.invalid("metadata", f"must not have {METADATA_KEY}, which the service adds")
    read = fields.metadata(pairs)
    most = find(transfer_pb2.CreateTransferRequest.DESCRIPTOR, "metadata").max_items - 1
    if len(read) > most:
        raise errors.invalid("metadata", f"must have at most {most} pairs in a schedule")
    return read


def _read_when(schedule: schedule_pb2.Schedule) -> When:
    checks = fields.Checks()
    start = checks(_read_moment, schedule, "start_time")
    end = checks(_read_moment, schedule, "end_time")
    rule = None
    if schedule.recurrence_rule:
        rule = checks(_within, "schedule", lambda: _read_rule(schedule))
        checks(_check_zone, schedule.time_zone)
    else:
        sent = {"time_zone": schedule.time_zone, "end_time": schedule.HasField("end_time")}
        for name in (name for name, value in sent.items() if value):
            checks.refuse(f"schedule.{name}", "must come with recurrence_rule")
    checks.finish()
    if start and end and end < start:
        raise errors.invalid("schedule.end_time", "must not be before start_time")
    return When(start, rule, schedule.time_zone if rule else "", end)


def _read_rule(schedule: schedule_pb2.Schedule) -> Rule:
    return recurrence_rules.parse(fields.text(schedule, recurrence_rules.FIELD))


def _read_moment(
    schedule: schedule_pb2.Schedule, name: Literal["start_time", "end_time"]
) -> datetime | None:
    if not schedule.HasField(name):
        return None
    return fields.moment(getattr(schedule, name), f"schedule.{name}")


def _check_zone(name: str) -> None:
    field = find(schedule_pb2.Schedule.DESCRIPTOR, "time_zone")
    try:
        if not 0 < len(name) <= field.max_length:
            raise ValueError(name)
        zone = find_zone(name)
    except ValueError:
        rule = "must be a time zone of the IANA database, such as Europe/Moscow"
        raise errors.invalid("schedule.time_zone", rule) from None
    assert zone.utcoffset(datetime.now(UTC)) is not None, "a zone knows its offset"


def _read_retry(schedule: schedule_pb2.Schedule) -> Retry | None:
    policy, minutes, hours = (
        schedule.insufficient_funds,
        schedule.retry_minutes,
        schedule.retry_hours,
    )
    checks = fields.Checks()
    if policy not in schedule_pb2.InsufficientFundsPolicy.values():
        checks.refuse("schedule.insufficient_funds", "must be a known policy")
    retries = policy == schedule_pb2.INSUFFICIENT_FUNDS_POLICY_RETRY
    for name, value, least in (
        ("retry_minutes", minutes, _RETRY_MINUTES_MIN),
        ("retry_hours", hours, 1),
    ):
        most = find(schedule.DESCRIPTOR, name).maximum
        if retries and not least <= value <= most:
            checks.refuse(f"schedule.{name}", f"must be from {least} to {most} with RETRY")
        elif not retries and value:
            checks.refuse(f"schedule.{name}", "must be 0 without RETRY")
    checks.finish()
    return Retry(timedelta(minutes=minutes), timedelta(hours=hours)) if retries else None


def _within(path: str, read: Callable[[], T]) -> T:
    """Reads a message within the request; what is wrong is named by its path."""
    try:
        return read()
    except errors.InvalidFields as refusal:
        violations = [
            errors.Violation(f"{path}.{each.field}", each.description)
            for each in refusal.violations
        ]
        raise errors.InvalidFields(tuple(violations), refusal.more) from None


def _wrong_rule(rule: str) -> errors.InvalidFields:
    return errors.invalid("schedule.recurrence_rule", rule)


def occurrence_request(
    kind: Kind, stored: bytes, schedule_id: UUID, occurs_at: datetime
) -> MovingRequest:
    """The call that an occurrence stands for."""
    request = MESSAGES[kind].FromString(stored)
    request.request_id = str(ids.occurrence_id(schedule_id, occurs_at))
    request.metadata[METADATA_KEY] = str(schedule_id)
    return request
