"""ScheduleService: transfers and purchases that are made later, as their makers would make them."""

import asyncio
from datetime import UTC, timedelta
from typing import Any

import psycopg
import pytest

from balance_client import v1
from balance_service.domain.principals import Scope
from balance_service.operations import service_principals
from balance_service.repositories import schedule_checks
from balance_service.server import maintenance
from tests import schedules
from tests.schedules import Clock, daily, make, occurrences, once, pair, run_due, seen
from tests.service import Person, Service, Verified, reason, refused, replayed, rich

pytestmark = pytest.mark.usefixtures("within")


@pytest.fixture(autouse=True)
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves it to the tests to look for what is due."""
    monkeypatch.setattr(maintenance, "SCHEDULES_INTERVAL_SECONDS", 1_000_000)


@pytest.fixture
def clock(database_url: str) -> Clock:
    return Clock(database_url)


async def outcomes(person: Person, schedule: v1.Schedule) -> list[tuple[int, str]]:
    return [(each.outcome, each.reason) for each in await occurrences(person.client, schedule)]


async def test_a_scheduled_transfer_is_made_once_and_names_its_schedule(
    service: Service, clock: Clock
) -> None:
    payer, paying, receiver, receiving = await pair(service)
    schedule = await make(payer.client, once(receiving, "40", description="Rent"))
    assert (schedule.status, schedule.account) == (v1.SCHEDULE_STATUS_ACTIVE, paying)
    await run_due(service)
    assert await payer.balance(paying) == "100.00"
    clock.set_due(schedule)
    await run_due(service)
    await run_due(service)
    assert await payer.balance(paying) == "60.00"
    (done,) = await occurrences(payer.client, schedule)
    assert (done.outcome, done.attempts) == (v1.OCCURRENCE_OUTCOME_DONE, 1)
    get = v1.GetTransferRequest(transfer=done.movement)
    made = await receiver.client.transfers.GetTransfer(get)
    assert (made.amount, made.metadata["schedule_id"]) == ("40.00", schedule.id)
    after = await seen(payer.client, schedule)
    assert after.status == v1.SCHEDULE_STATUS_COMPLETED
    assert not after.HasField("next_time")


async def test_verify_holds_occurrences_to_their_movements(
    service: Service, clock: Clock, verified: Verified, database_url: str
) -> None:
    payer, _, _, receiving = await pair(service, "15")
    schedule = await make(payer.client, daily(receiving))
    for _ in range(2):
        clock.set_due(schedule)
        await run_due(service)
    await verified()
    for change in (
        "occurs_at = occurs_at + interval '1 microsecond' WHERE outcome = 1",
        "outcome = 3, movement_id = NULL, reason = 'X' WHERE outcome = 1",
        "outcome = 1, movement_id = gen_random_uuid(), reason = '' WHERE outcome = 2",
    ):
        with psycopg.connect(database_url) as conn:
            changed = conn.execute(f"UPDATE schedule_occurrences SET {change}")
            assert changed.rowcount == 1
            sql = {"limit": 10}
            assert conn.execute(schedule_checks.SQL["occurrence_has_movement"], sql).fetchall()
            conn.rollback()


async def test_several_workers_make_an_occurrence_once(service: Service, clock: Clock) -> None:
    payer, paying, _, receiving = await pair(service)
    made = [await make(payer.client, daily(receiving)) for _ in range(5)]
    for schedule in made:
        clock.set_due(schedule)
    await asyncio.gather(*(run_due(service) for _ in range(8)))
    assert await payer.balance(paying) == "50.00"
    for schedule in made:
        assert await outcomes(payer, schedule) == [(v1.OCCURRENCE_OUTCOME_DONE, "")]


async def test_a_worker_that_dies_before_it_records_leaves_a_movement_that_is_found(
    service: Service, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    payer, paying, _, receiving = await pair(service)
    schedule = await make(payer.client, daily(receiving, "30"))
    clock.set_due(schedule)

    async def die(*_: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patched:
        patched.setattr("balance_service.servicers.schedule_runs._record", die)
        await run_due(service)
    assert await payer.balance(paying) == "70.00"
    assert await outcomes(payer, schedule) == []
    await run_due(service)
    assert await outcomes(payer, schedule) == []
    clock.end_lease(schedule)
    await run_due(service)
    assert await outcomes(payer, schedule) == [(v1.OCCURRENCE_OUTCOME_DONE, "")]
    assert await payer.balance(paying) == "70.00"


@pytest.mark.parametrize("step", ["PauseSchedule", "CancelSchedule"])
async def test_what_a_dead_worker_made_is_recorded_after_a_stop(
    service: Service, clock: Clock, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    payer, paying, _, receiving = await pair(service)
    made, unmade = [await make(payer.client, daily(receiving)) for _ in range(2)]

    async def die(*_: object) -> None:
        raise ConnectionError

    for schedule, name in ((made, "_record"), (unmade, "_find_principal")):
        clock.set_due(schedule)
        with monkeypatch.context() as patched:
            patched.setattr(f"balance_service.servicers.schedule_runs.{name}", die)
            await run_due(service)
        call = getattr(payer.client.schedules, step)
        await call(getattr(v1, f"{step}Request")(schedule=schedule.id))
        clock.end_lease(schedule)
    await run_due(service)
    assert await outcomes(payer, made) == [(v1.OCCURRENCE_OUTCOME_DONE, "")]
    assert await outcomes(payer, unmade) == []
    for schedule in (made, unmade):
        assert not (await seen(payer.client, schedule)).HasField("next_time")
    assert await payer.balance(paying) == "90.00"


async def test_too_little_money_is_skipped_or_tried_again_until_the_policy_ends(
    service: Service,
    clock: Clock,
) -> None:
    payer, paying, _, receiving = await pair(service, "5")
    skipping = await make(payer.client, daily(receiving))
    retry: dict[str, Any] = {
        "insufficient_funds": v1.INSUFFICIENT_FUNDS_POLICY_RETRY,
        "retry_minutes": 30,
        "retry_hours": 1,
    }
    retrying = await make(payer.client, daily(receiving, **retry))
    giving_up = await make(payer.client, daily(receiving, **retry))
    for schedule in (skipping, retrying):
        clock.set_due(schedule)
    clock.set_due(giving_up, timedelta(minutes=61))
    await run_due(service)
    lacking = "INSUFFICIENT_FUNDS"
    assert await outcomes(payer, skipping) == [(v1.OCCURRENCE_OUTCOME_SKIPPED, lacking)]
    assert await outcomes(payer, giving_up) == [(v1.OCCURRENCE_OUTCOME_FAILED, lacking)]
    assert await outcomes(payer, retrying) == []
    assert (await seen(payer.client, retrying)).attempts == 1
    await payer.deposit("5", paying)
    clock.end_lease(retrying)
    await run_due(service)
    (done,) = await occurrences(payer.client, retrying)
    assert (done.outcome, done.attempts) == (v1.OCCURRENCE_OUTCOME_DONE, 2)
    assert await payer.balance(paying) == "0.00"


async def test_rights_are_those_of_the_moment(service: Service, clock: Clock) -> None:
    payer, paying, _, receiving = await pair(service)
    admin = await service.admin()
    disabled = await make(payer.client, daily(receiving))
    await admin.client.users.DisableUser(v1.DisableUserRequest(user=payer.user_id))
    client = await service.sibling(Scope.TRANSFERS_WRITE)
    paid = daily(receiving)
    paid.create_transfer.from_account = paying
    revoked = await make(client, paid)
    client_id = revoked.principal.partition(":")[2]
    await service_principals.revoke(service.settings, client_id)
    for schedule in (disabled, revoked):
        clock.set_due(schedule)
    await run_due(service)
    failed = v1.OCCURRENCE_OUTCOME_FAILED
    assert await outcomes(admin, disabled) == [(failed, "USER_DISABLED")]
    assert await outcomes(admin, revoked) == [(failed, "CLIENT_CREDENTIALS_INVALID")]
    account = await admin.client.accounts.GetAccount(v1.GetAccountRequest(account=paying))
    assert account.balance == "100.00"


async def test_a_frozen_account_and_a_changed_catalogue_fail(
    service: Service, clock: Clock
) -> None:
    payer, paying, _, receiving = await pair(service)
    admin = await service.admin()
    sold = [
        await admin.client.purchases.CreateService(
            v1.CreateServiceRequest(
                service=v1.Service(name=name, description=name, price="10", repeatable=True)
            )
        )
        for name in ("Dearer", "Gone", "Bought")
    ]
    bought = [
        await make(
            payer.client,
            v1.Schedule(
                create_purchase=v1.CreatePurchaseRequest(service=each.id, expected_price="10"),
                start_time=schedules.moment(days=1),
                recurrence_rule="FREQ=MONTHLY",
                time_zone="Europe/Moscow",
            ),
        )
        for each in sold
    ]
    change = v1.UpdateServiceRequest(id=sold[0].id, service=v1.Service(price="11"))
    change.update_mask.paths.append("price")
    await admin.client.purchases.UpdateService(change)
    await admin.client.purchases.DeleteService(v1.DeleteServiceRequest(service=sold[1].id))
    for schedule in bought:
        clock.set_due(schedule)
    await run_due(service)
    assert [(await outcomes(payer, each))[0][1] for each in bought] == [
        "PRICE_CHANGED",
        "SERVICE_NOT_FOUND",
        "",
    ]
    frozen = await make(payer.client, daily(receiving))
    await admin.client.accounts.FreezeAccount(
        v1.FreezeAccountRequest(account=paying, scope=v1.FREEZE_SCOPE_DEBITS, reason="Asked")
    )
    clock.set_due(frozen)
    await run_due(service)
    assert await outcomes(payer, frozen) == [(v1.OCCURRENCE_OUTCOME_FAILED, "ACCOUNT_FROZEN")]
    assert await payer.balance(paying) == "90.00"


async def test_what_is_sold_once_is_bought_once_and_never_by_a_rule(
    service: Service, clock: Clock
) -> None:
    payer, paying = await rich(service, "100")
    admin = await service.admin()
    offer = v1.Service(name="Once", description="Once", price="10")
    sold = await admin.client.purchases.CreateService(v1.CreateServiceRequest(service=offer))
    schedule = v1.Schedule(
        create_purchase=v1.CreatePurchaseRequest(service=sold.id),
        start_time=schedules.moment(days=1),
    )
    first, second = [await make(payer.client, schedule) for _ in range(2)]
    schedule.recurrence_rule, schedule.time_zone = "FREQ=MONTHLY", "UTC"
    error = await refused(make(payer.client, schedule))
    assert [each.field for each in error.violations] == ["schedule.recurrence_rule"]
    for each in (first, second):
        clock.set_due(each)
        await run_due(service)
    assert await outcomes(payer, first) == [(v1.OCCURRENCE_OUTCOME_DONE, "")]
    assert await outcomes(payer, second) == [(v1.OCCURRENCE_OUTCOME_FAILED, "ALREADY_PURCHASED")]
    assert await payer.balance(paying) == "90.00"


async def test_missed_occurrences_are_made_up_for_in_order_within_the_window(
    service: Service,
    clock: Clock,
) -> None:
    payer, paying, _, receiving = await pair(service)
    schedule = await make(payer.client, daily(receiving, "1"))
    clock.set_due(schedule, timedelta(days=20))
    for _ in range(30):
        await run_due(service)
    became = await occurrences(payer.client, schedule)
    skipped = [each for each in became if each.outcome == v1.OCCURRENCE_OUTCOME_SKIPPED]
    assert {each.reason for each in skipped} == {"OCCURRENCE_MISSED"}
    assert became[: len(skipped)] == skipped
    assert 13 <= len(skipped) <= 14
    assert await payer.balance(paying) == f"{100 - len(became) + len(skipped)}.00"
    assert 20 <= len(became) <= 21
    assert all(each.outcome == v1.OCCURRENCE_OUTCOME_DONE for each in became[len(skipped) :])


async def test_pausing_leaves_out_and_cancelling_ends(service: Service) -> None:
    payer, paying, _, receiving = await pair(service)
    schedule = await make(payer.client, daily(receiving))
    face = payer.client.schedules
    paused = await face.PauseSchedule(v1.PauseScheduleRequest(schedule=schedule.id))
    assert paused.status == v1.SCHEDULE_STATUS_PAUSED
    again = face.PauseSchedule(v1.PauseScheduleRequest(schedule=schedule.id))
    assert await reason(again) == "SCHEDULE_NOT_ACTIVE"
    resumed = await face.ResumeSchedule(v1.ResumeScheduleRequest(schedule=schedule.id))
    assert resumed.next_time.ToDatetime() == schedule.next_time.ToDatetime()
    again = face.ResumeSchedule(v1.ResumeScheduleRequest(schedule=schedule.id))
    assert await reason(again) == "SCHEDULE_NOT_PAUSED"
    cancel = v1.CancelScheduleRequest(schedule=schedule.id, request_id="cancel")
    cancelled = await face.CancelSchedule(cancel)
    assert cancelled.status == v1.SCHEDULE_STATUS_CANCELLED
    assert await replayed(face.CancelSchedule(cancel))
    same = await face.CancelSchedule(v1.CancelScheduleRequest(schedule=schedule.id))
    assert same.etag == cancelled.etag
    await run_due(service)
    assert await payer.balance(paying) == "100.00"


async def test_a_decided_occurrence_is_passed_over(service: Service, clock: Clock) -> None:
    payer, _, _, receiving = await pair(service)
    schedule = await make(payer.client, daily(receiving))
    clock.set_due(schedule)
    await run_due(service)
    (done,) = await occurrences(payer.client, schedule)
    clock.come_again(schedule, done.time.ToDatetime(UTC))
    await run_due(service)
    assert await occurrences(payer.client, schedule) == [done]
    assert (await seen(payer.client, schedule)).next_time.seconds > done.time.seconds


async def test_updates_change_what_may_change(service: Service) -> None:
    payer, _, _, receiving = await pair(service)
    schedule = await make(payer.client, daily(receiving))
    change = v1.UpdateScheduleRequest(id=schedule.id)
    change.schedule.description, change.schedule.etag = "Rent", schedule.etag
    change.schedule.end_time.CopyFrom(schedules.moment(days=2, hours=12))
    change.update_mask.paths.extend(["description", "end_time"])
    after = await payer.client.schedules.UpdateSchedule(change)
    assert (after.description, after.HasField("end_time")) == ("Rent", True)
    assert await reason(payer.client.schedules.UpdateSchedule(change)) == "ETAG_MISMATCH"
    listed = await payer.client.schedules.ListOccurrences(
        v1.ListOccurrencesRequest(schedule=schedule.id, next=10)
    )
    assert len(listed.next_times) == 2
    change.schedule.etag = ""
    change.schedule.end_time.CopyFrom(schedules.moment(hours=1))
    ended = await payer.client.schedules.UpdateSchedule(change)
    assert ended.status == v1.SCHEDULE_STATUS_COMPLETED
    assert await reason(payer.client.schedules.UpdateSchedule(change)) == "SCHEDULE_NOT_ACTIVE"


async def test_only_who_made_a_schedule_and_admins_stop_it(service: Service) -> None:
    payer, paying, receiver, receiving = await pair(service)
    admin = await service.admin()
    sibling = await service.sibling(Scope.TRANSFERS_WRITE)
    schedule = daily(receiving)
    schedule.create_transfer.from_account = paying
    made = await make(sibling, schedule)
    cancel = v1.CancelScheduleRequest(schedule=made.id, reason="Fraud")
    get = v1.GetScheduleRequest(schedule=made.id)
    assert (await payer.client.schedules.GetSchedule(get)).principal.startswith("service:")
    stranger = receiver.client.schedules
    assert await reason(stranger.GetSchedule(get)) == "SCHEDULE_NOT_FOUND"
    assert await reason(stranger.CancelSchedule(cancel)) == "SCHEDULE_NOT_FOUND"
    assert await reason(payer.client.schedules.CancelSchedule(cancel)) == "PERMISSION_MISSING"
    await admin.client.schedules.CancelSchedule(cancel)
    events = await admin.client.audits.ListAuditEvents(
        v1.ListAuditEventsRequest(filter=v1.AuditFilter(target=f"schedule:{made.id}"))
    )
    (event,) = events.events
    assert (event.action, event.reason) == ("schedule.cancelled", "Fraud")
    lists = v1.ListSchedulesRequest(account=paying)
    assert len((await payer.client.schedules.ListSchedules(lists)).schedules) == 1
    assert await reason(stranger.ListSchedules(lists)) == "ACCOUNT_NOT_FOUND"
    everybodys = v1.ListSchedulesRequest(principal="*")
    assert await reason(stranger.ListSchedules(everybodys)) == "PERMISSION_MISSING"
    assert (await admin.client.schedules.ListSchedules(everybodys)).schedules


async def test_events_tell_the_owner_of_the_account(service: Service, clock: Clock) -> None:
    payer, _, receiver, receiving = await pair(service)
    schedule = await make(payer.client, once(receiving))
    clock.set_due(schedule)
    await run_due(service)
    wanted = v1.EventFilter(
        types=[
            "balance.v1.schedule.created",
            "balance.v1.schedule.occurrence_done",
        ]
    )
    events: list[v1.Event] = []
    async with asyncio.timeout(60):
        while len(events) < 2:
            listed = await payer.client.events.ListEvents(v1.ListEventsRequest(filter=wanted))
            events = list(listed.events)
    created, done = events
    assert created.subject == done.subject == f"schedule:{schedule.id}"
    assert created.schedule.status == v1.SCHEDULE_STATUS_ACTIVE
    assert done.schedule.status == v1.SCHEDULE_STATUS_COMPLETED
    (occurrence,) = await occurrences(payer.client, schedule)
    assert done.schedule.occurrence == occurrence
    others = await receiver.client.events.ListEvents(v1.ListEventsRequest(filter=wanted))
    assert not others.events


async def test_erased_users_leave_no_schedules(service: Service) -> None:
    payer, paying, _, receiving = await pair(service, "10")
    admin = await service.admin()
    schedule = await make(payer.client, daily(receiving, description="Anna's rent"))
    await payer.client.transfers.CreateTransfer(schedules.transfer(receiving, "10"))
    erase = v1.EraseUserRequest(user=payer.user_id, reason="Asked to")
    await admin.client.users.EraseUser(erase)
    after = await seen(admin.client, schedule)
    assert (after.status, after.description) == (v1.SCHEDULE_STATUS_CANCELLED, "")
    assert not after.create_transfer.to_account
    assert paying == after.account
