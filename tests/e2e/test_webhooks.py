"""Webhooks as callers meet them: endpoints, what they hear, and what becomes of it."""

import json
from typing import LiteralString

import psycopg
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from balance_client import AsyncServiceCredentials, v1
from balance_service.operations import administration, service_principals
from tests import webhooks
from tests.audit import events as audited
from tests.service import StartService, refused, rich
from tests.webhooks import (
    LISTENING,
    LOCAL,
    dead,
    delivered,
    deliveries,
    receiver,
    status,
    tried,
    until_disabled,
    until_listed,
    until_state,
)


async def settled(database_url: str, statement: LiteralString) -> None:
    """Changes what no caller could wait for."""
    async with await psycopg.AsyncConnection.connect(database_url) as conn:
        await conn.execute(statement)


async def test_everything_that_happens_is_sent_and_signed(start_service: StartService) -> None:
    service = await start_service(**LOCAL)
    crm = await service.sibling(*LISTENING)
    async with receiver() as there:
        endpoint = await webhooks.add(crm, there.url, description="The CRM's")
        assert endpoint.secret.startswith("whsec_")
        anna, account = await rich(service)
        spent = await anna.client.withdrawals.CreateWithdrawal(
            v1.CreateWithdrawalRequest(amount="0.50", description="Tea & Молоко")
        )
        await there.until_told(spent.id)
        (got,) = [each for each in there.got if each.event_id == spent.id]
        event = got.verified(endpoint.secret)
        assert (event.type, event.subject) == (
            "balance.v1.withdrawal.created",
            f"movement:{spent.id}",
        )
        assert event.balances[0].account == account
        # As it is listed over HTTP, to the letter.
        admin = await service.admin()
        listed = await admin.http("GET", "/api/v1/events?page_size=1000")
        (same,) = [each for each in listed.json["events"] if each["id"] == spent.id]
        assert json.loads(got.body) == same
        assert got.headers["content-type"] == "application/json"
        assert got.path == "/hooks?key=k"
        delivery = await until_state(
            crm,
            endpoint.id,
            spent.id,
            delivered,
        )
        assert (delivery.attempts, delivery.http_status, delivery.error) == (1, 200, "")
        assert delivery.type == event.type
        assert not delivery.HasField("next_attempt_time")


async def test_filter_keeps_what_it_says(start_service: StartService) -> None:
    service = await start_service(**LOCAL)
    crm = await service.sibling(*LISTENING)
    (anna, account), (boris, _) = await rich(service), await rich(service)
    async with receiver() as there:
        kept = v1.EventFilter(types=["balance.v1.deposit.created"], accounts=[account])
        await until_listed(crm, (await anna.deposit("1")).id)
        endpoint = await webhooks.add(crm, there.url, filter=kept)
        assert endpoint.filter == kept
        await boris.deposit("1")
        await anna.client.withdrawals.CreateWithdrawal(v1.CreateWithdrawalRequest(amount="1"))
        deposit = await anna.deposit("2")
        await there.until_told(deposit.id)
        assert {each.event_id for each in there.got} == {deposit.id}


async def test_failed_attempts_are_retried_and_told(
    start_service: StartService, database_url: str
) -> None:
    service = await start_service(**LOCAL)
    crm = await service.sibling(*LISTENING)
    answers = iter([status(500), status(302, "location: http://127.0.0.1:1/")])
    async with receiver(lambda _: next(answers, webhooks.OK)) as there:
        endpoint = await webhooks.add(crm, there.url)
        test = await crm.webhooks.SendTestEvent(v1.SendTestEventRequest(endpoint=endpoint.id))
        assert test.state == v1.WEBHOOK_DELIVERY_STATE_PENDING
        for attempts, error in ((1, "HTTP 500"), (2, "HTTP 302")):
            failed = await until_state(crm, endpoint.id, test.event, tried(attempts))
            assert failed.error == error
            assert failed.next_attempt_time.ToNanoseconds() > failed.attempt_time.ToNanoseconds()
            found = await crm.webhooks.GetWebhookEndpoint(
                v1.GetWebhookEndpointRequest(endpoint=endpoint.id)
            )
            assert found.HasField("fail_time")
            await settled(
                database_url,
                "UPDATE webhook_deliveries SET next_attempt_at = now() WHERE state = 1",
            )
        await until_state(
            crm,
            endpoint.id,
            test.event,
            delivered,
        )
        assert [each.event_id for each in there.got] == [test.event] * 3
        assert there.got[0].verified(endpoint.secret).type == "balance.v1.webhook.test"
        found = await crm.webhooks.GetWebhookEndpoint(
            v1.GetWebhookEndpointRequest(endpoint=endpoint.id)
        )
        assert not found.HasField("fail_time")


async def test_dead_letter_is_sent_again_when_asked(
    start_service: StartService, database_url: str
) -> None:
    service = await start_service(**LOCAL)
    crm = await service.sibling(*LISTENING)
    there_yet = False
    async with receiver(lambda _: webhooks.OK if there_yet else status(500)) as there:
        endpoint = await webhooks.add(crm, there.url)
        test = await crm.webhooks.SendTestEvent(v1.SendTestEventRequest(endpoint=endpoint.id))
        await there.until(len)
        await until_state(crm, endpoint.id, test.event, tried(1))
        await settled(
            database_url,
            "UPDATE webhook_deliveries SET attempts = 9, next_attempt_at = now() WHERE state = 1",
        )
        letter = await until_state(crm, endpoint.id, test.event, dead)
        assert (letter.attempts, letter.error) == (10, "HTTP 500")
        there_yet = True
        again = v1.RedeliverWebhookDeliveryRequest(
            endpoint=endpoint.id, event=test.event, request_id="again 1"
        )
        pending = await crm.webhooks.RedeliverWebhookDelivery(again)
        assert (pending.state, pending.attempts) == (v1.WEBHOOK_DELIVERY_STATE_PENDING, 0)
        await until_state(
            crm,
            endpoint.id,
            test.event,
            delivered,
        )
        # The same request again sends nothing again.
        assert await crm.webhooks.RedeliverWebhookDelivery(again) == pending
        (done,) = await deliveries(crm, endpoint.id)
        assert done.state == v1.WEBHOOK_DELIVERY_STATE_DELIVERED


async def test_receiver_that_is_gone_is_sent_nothing_more(
    start_service: StartService, database_url: str
) -> None:
    service = await start_service(**LOCAL)
    crm = await service.sibling(*LISTENING)
    gone = True
    async with receiver(lambda _: status(410) if gone else webhooks.OK) as there:
        endpoint = await webhooks.add(crm, there.url)
        await crm.webhooks.SendTestEvent(v1.SendTestEventRequest(endpoint=endpoint.id))
        disabled = await until_disabled(crm, endpoint.id)
        assert disabled.disabled_reason == v1.WEBHOOK_DISABLED_REASON_GONE
        _, account = await rich(service)
        gone = False
        enabled = await crm.webhooks.UpdateWebhookEndpoint(
            v1.UpdateWebhookEndpointRequest(
                id=endpoint.id,
                endpoint=v1.WebhookEndpoint(),
                update_mask=FieldMask(paths=["disabled"]),
            )
        )
        assert (enabled.disabled, enabled.disabled_reason) == (False, 0)
        # What happened meanwhile has waited.
        await there.until(lambda got: any(account.encode() in each.body for each in got))
    (recorded,) = await audited(await service.admin(), action="webhook_endpoint.disabled")
    assert recorded.target == f"webhook_endpoint:{endpoint.id}"
    assert recorded.after["disabled_reason"] == "GONE"


async def test_receiver_that_fails_for_days_is_disabled(
    start_service: StartService, database_url: str
) -> None:
    service = await start_service(**LOCAL)
    crm = await service.sibling(*LISTENING)
    async with receiver(lambda _: status(500)) as there:
        endpoint = await webhooks.add(crm, there.url)
        await settled(
            database_url,
            "UPDATE webhook_endpoints SET failures = 1, failing_since = now() - interval '6 days'",
        )
        await crm.webhooks.SendTestEvent(v1.SendTestEventRequest(endpoint=endpoint.id))
        disabled = await until_disabled(crm, endpoint.id)
    assert disabled.disabled_reason == v1.WEBHOOK_DISABLED_REASON_FAILING


async def test_owner_who_may_hear_nothing_is_told_nothing(start_service: StartService) -> None:
    service = await start_service(**LOCAL)
    secret = await administration.create_service_principal(service.settings, "crm", "", LISTENING)
    crm = service.client(AsyncServiceCredentials("crm", secret))
    admin, other = await service.admin(), await service.admin()
    async with receiver() as there:
        theirs = await webhooks.add(crm, there.url)
        of_admin = await webhooks.add(admin.client, there.url)
        await service_principals.revoke(service.settings, "crm")
        change = v1.UpdateUserRequest(id=admin.user_id, user=v1.User(role=v1.ROLE_USER))
        change.update_mask.paths.append("role")
        await other.client.users.UpdateUser(change)
        _, account = await rich(service)
        for endpoint in (theirs, of_admin):
            disabled = await until_disabled(other.client, endpoint.id)
            assert disabled.disabled_reason == v1.WEBHOOK_DISABLED_REASON_OWNER_NOT_PERMITTED
        assert not [each for each in there.got if account.encode() in each.body]


async def test_events_that_are_not_kept_disable_and_the_oldest_is_gone_on_with(
    start_service: StartService, database_url: str
) -> None:
    service = await start_service(**LOCAL)
    crm = await service.sibling(*LISTENING)
    async with receiver() as there:
        endpoint = await webhooks.add(crm, there.url, disabled=True)
        anna, _ = await rich(service)
        last = await anna.deposit("1")
        await until_listed(crm, last.id)
        await settled(
            database_url,
            "DELETE FROM events WHERE last_sequence < (SELECT max(last_sequence) FROM events)",
        )
        await settled(database_url, "UPDATE webhook_endpoints SET disabled = FALSE")
        missed = await until_disabled(crm, endpoint.id)
        assert missed.disabled_reason == v1.WEBHOOK_DISABLED_REASON_EVENTS_MISSED
        enable = v1.UpdateWebhookEndpointRequest(id=endpoint.id, endpoint=v1.WebhookEndpoint())
        enable.update_mask.paths.append("disabled")
        await crm.webhooks.UpdateWebhookEndpoint(enable)
        await there.until_told(last.id)


async def test_part_of_the_log_is_replayed_within_bounds(
    start_service: StartService, database_url: str
) -> None:
    service = await start_service(**LOCAL)
    crm = await service.sibling(*LISTENING)
    anna, _ = await rich(service)
    deposits = [await anna.deposit(str(amount)) for amount in range(1, 4)]
    numbers = [(await until_listed(crm, deposit.id)).sequence for deposit in deposits]
    async with receiver() as there:
        endpoint = await webhooks.add(crm, there.url)
        replay = v1.ReplayEventsRequest(
            endpoint=endpoint.id, first_sequence=numbers[1], last_sequence=numbers[2]
        )
        answer = await crm.webhooks.ReplayEvents(replay)
        assert answer.events == numbers[2] - numbers[1] + 1
        await there.until_told(deposits[1].id, deposits[2].id)
        # Again, though both were delivered.
        await crm.webhooks.ReplayEvents(replay)
        await there.until(lambda got: [e.event_id for e in got].count(deposits[2].id) == 2)
        by_time = v1.ReplayEventsRequest(endpoint=endpoint.id, start_time=Timestamp(seconds=1))
        await crm.webhooks.ReplayEvents(by_time)
        await there.until_told(deposits[0].id)

        for wrong, fields in (
            ({}, ["first_sequence"]),
            ({"first_sequence": 1}, ["last_sequence"]),
            ({"first_sequence": -1, "last_sequence": 1}, ["first_sequence"]),
            ({"first_sequence": 1, "last_sequence": 10_001}, ["last_sequence"]),
            ({"first_sequence": 1, "start_time": Timestamp(seconds=1)}, ["start_time"]),
            (
                {"start_time": Timestamp(seconds=2), "end_time": Timestamp(seconds=1)},
                ["end_time"],
            ),
        ):
            error = await refused(
                crm.webhooks.ReplayEvents(v1.ReplayEventsRequest(endpoint=endpoint.id, **wrong))
            )
            assert [each.field for each in error.violations] == fields
        await settled(
            database_url,
            "DELETE FROM events WHERE last_sequence < (SELECT max(last_sequence) FROM events)",
        )
        for request in (replay, by_time):
            error = await refused(crm.webhooks.ReplayEvents(request))
            assert error.reason == "EVENTS_EXPIRED"


async def test_both_secrets_sign_until_the_old_one_ends(start_service: StartService) -> None:
    service = await start_service(**LOCAL)
    crm = await service.sibling(*LISTENING)
    async with receiver() as there:
        endpoint = await webhooks.add(crm, there.url)
        rotate = v1.RotateWebhookSecretRequest(endpoint=endpoint.id, request_id="rotate 1")
        rotated = await crm.webhooks.RotateWebhookSecret(rotate)
        assert rotated.secret not in ("", endpoint.secret)
        assert rotated.HasField("old_secret_expire_time")
        # A repeat tells the secret that it made.
        assert (await crm.webhooks.RotateWebhookSecret(rotate)).secret == rotated.secret
        await crm.webhooks.SendTestEvent(v1.SendTestEventRequest(endpoint=endpoint.id))
        (got,) = await there.until(len)
        for secret in (rotated.secret, endpoint.secret):
            assert got.verified(secret).type == "balance.v1.webhook.test"
        at_once = v1.RotateWebhookSecretRequest(
            endpoint=endpoint.id, expire_time=Timestamp(seconds=1)
        )
        third = await crm.webhooks.RotateWebhookSecret(at_once)
        assert not third.HasField("old_secret_expire_time")
        await crm.webhooks.SendTestEvent(v1.SendTestEventRequest(endpoint=endpoint.id))
        *_, last = await there.until(lambda got: len(got) == 2)
        assert len(last.headers["webhook-signature"].split()) == 1
        assert last.verified(third.secret).id == last.event_id
        assert not (await crm.webhooks.RotateWebhookSecret(rotate)).secret
        late = v1.RotateWebhookSecretRequest(
            endpoint=endpoint.id, expire_time=Timestamp(seconds=1 << 33)
        )
        error = await refused(crm.webhooks.RotateWebhookSecret(late))
        assert [each.field for each in error.violations] == ["expire_time"]
