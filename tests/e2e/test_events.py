"""EventService: who is told of what, how events read, and where readers go on."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from balance_client import AsyncClient, Client, ServiceCredentials, v1
from balance_service.domain.events import TYPES, EventType
from balance_service.domain.principals import Scope
from balance_service.operations import administration
from balance_service.reading import events as reading
from tests.approvals import CEILING, CURRENCY
from tests.service import Person, Service, Verified, reason, refused, somebody


async def told(
    client: AsyncClient, done: Callable[[list[v1.Event]], bool], **kept: Any
) -> list[v1.Event]:
    """The events that a client may list, once they are as they must be."""
    request = v1.ListEventsRequest(page_size=1000, filter=v1.EventFilter(**kept))
    found: list[v1.Event] = []
    async with asyncio.timeout(60):
        while not done(found):
            answer = await client.events.ListEvents(request)
            found += answer.events
            request.page_token = answer.page_token
            await asyncio.sleep(0.02)
    return found


def of(*types: str) -> Callable[[list[v1.Event]], bool]:
    """Whether the last events are of some types."""
    wanted = [f"balance.v1.{each}" for each in types]
    return lambda found: [event.type for event in found][-len(wanted) :] == wanted


async def transfer(person: Person, receiver: str, amount: str) -> v1.Transfer:
    request = v1.CreateTransferRequest(to_account=receiver, amount=amount, description="Tea")
    return await person.client.transfers.CreateTransfer(request)


async def test_transfer_is_told_with_what_it_left_on_both_accounts(
    service: Service, verified: Verified
) -> None:
    anna, sending = await somebody(service, "10")
    _, receiving = await somebody(service, "1")
    made = await transfer(anna, receiving, "4")
    crm = await service.sibling(Scope.EVENTS_READ)
    *_, event = await told(crm, of("transfer.created"), types=["balance.v1.transfer.created"])
    assert (event.id, event.subject) == (made.id, f"movement:{made.id}")
    assert (event.source, event.specversion) == (service.settings.token_issuer, "1.0")
    assert event.time == made.date
    assert event.WhichOneof("data") == "movement"
    assert (event.movement.amount, event.movement.description) == ("4.00", "Tea")
    assert [(b.account, b.sequence, b.balance, b.currency) for b in event.balances] == [
        (sending, 2, "6.00", "RUB"),
        (receiving, 2, "5.00", "RUB"),
    ]
    await verified()


async def test_users_are_told_of_their_own_accounts_alone(service: Service) -> None:
    anna, sending = await somebody(service, "10")
    boris, receiving = await somebody(service)
    await transfer(anna, receiving, "4")
    held = v1.CreateHoldRequest(to_account=receiving, amount="1")
    hold = await anna.client.holds.CreateHold(held)
    await anna.client.holds.VoidHold(v1.VoidHoldRequest(hold=hold.id))
    theirs = await told(boris.client, of("account.opened", "transfer.created"))
    assert [balance.account for balance in theirs[-1].balances] == [receiving]
    mine = await told(
        anna.client,
        of("account.opened", "deposit.created", "transfer.created", "hold.created", "hold.voided"),
    )
    assert mine[-2].movement.id == hold.id
    assert mine[-1].movement.original == hold.id
    assert not mine[-1].balances
    # Holds are their makers' own affair.
    await transfer(anna, receiving, "1")
    later = await told(boris.client, of("transfer.created", "transfer.created"))
    assert {event.movement.original for event in later} == {""}
    strange = v1.ListEventsRequest(filter=v1.EventFilter(accounts=[sending]))
    assert await reason(boris.client.events.ListEvents(strange)) == "ACCOUNT_NOT_FOUND"


async def test_accounts_and_users_are_told_of_without_what_is_personal(service: Service) -> None:
    admin = await service.admin()
    anna, account = await somebody(service)
    accounts, users = admin.client.accounts, admin.client.users
    await accounts.FreezeAccount(v1.FreezeAccountRequest(account=account, reason="Asked for"))
    await accounts.UnfreezeAccount(v1.UnfreezeAccountRequest(account=account))
    limits = v1.SetAccountLimitsRequest(
        account=account, overdraft="5", debit_limit="7", reason="Asked for"
    )
    await accounts.SetAccountLimits(limits)
    await accounts.CloseAccount(v1.CloseAccountRequest(account=account))
    reopen = v1.ReopenAccountRequest(account=account, reason="Asked for")
    await accounts.ReopenAccount(reopen)
    await users.DisableUser(v1.DisableUserRequest(user=anna.user_id))
    await users.EnableUser(v1.EnableUserRequest(user=anna.user_id))
    await users.EraseUser(v1.EraseUserRequest(user=anna.user_id, reason="Asked to"))
    found = await told(admin.client, of("user.erased"))
    theirs = [e for e in found if e.subject in (f"account:{account}", f"user:{anna.user_id}")]
    assert [event.type.removeprefix("balance.v1.") for event in theirs] == [
        "user.created",
        "account.opened",
        "account.frozen",
        "account.unfrozen",
        "account.limits_set",
        "account.closed",
        "account.reopened",
        "user.disabled",
        "user.enabled",
        "account.closed",
        "user.erased",
    ]
    limited = theirs[4].account
    assert (limited.id, limited.user, limited.status) == (account, anna.user_id, 1)
    assert (limited.limit, limited.debit_limit, limited.debit_limit_is_own) == ("5.00", "7.00", 1)
    assert theirs[5].account.status == v1.ACCOUNT_STATUS_CLOSED
    text = "".join(map(str, theirs))
    assert anna.email not in text
    assert "Asked" not in text


async def test_places_are_bound_to_caller_and_filter_and_shared_by_both_calls(
    service: Service,
) -> None:
    anna, account = await somebody(service, "10")
    boris, _ = await somebody(service)
    await told(anna.client, of("account.opened", "deposit.created"))
    mine = v1.EventFilter(accounts=[account])
    first = await anna.client.events.ListEvents(v1.ListEventsRequest(filter=mine, page_size=1))
    assert [event.type for event in first.events] == ["balance.v1.account.opened"]
    watch = v1.WatchEventsRequest(filter=mine, page_token=first.page_token)
    stream = aiter(anna.client.events.WatchEvents(watch))
    assert (await anext(stream)).page_token == first.page_token
    deposited = await anext(stream)
    assert deposited.event.type == "balance.v1.deposit.created"
    rest = await anna.client.events.ListEvents(
        v1.ListEventsRequest(filter=mine, page_token=deposited.page_token)
    )
    assert not rest.events
    for call in (
        boris.client.events.ListEvents(v1.ListEventsRequest(page_token=first.page_token)),
        anna.client.events.ListEvents(v1.ListEventsRequest(page_token=first.page_token)),
        anna.client.events.ListEvents(v1.ListEventsRequest(filter=mine, page_token="x")),
        anna.client.accounts.ListAccounts(v1.ListAccountsRequest(page_token=first.page_token)),
    ):
        assert await reason(call) == "PAGE_TOKEN_INVALID"


async def test_stream_over_http_is_lines_that_go_on(service: Service) -> None:
    anna, account = await somebody(service, "10")
    await told(anna.client, of("account.opened", "deposit.created"))

    async def lines(path: str, count: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        async with asyncio.timeout(60), anna.http.stream(path) as answer:
            async for line in answer.content:
                found += [json.loads(line)["result"]] if line.strip() else []
                if len(found) == count:
                    break
        return found

    path = f"/api/v1/events:watch?filter.accounts={account}"
    begun, opened, deposited = await lines(f"{path}&start_time=1970-01-01T00:00:00Z", 3)
    assert "event" not in begun
    assert opened["event"]["account"]["id"] == account
    assert deposited["event"]["movement"]["amount"] == "10.00"
    _, again = await lines(f"{path}&page_token={opened['page_token']}", 2)
    assert again == deposited


@pytest.mark.usefixtures("within")
async def test_client_goes_on_for_ever_with_each_event_once(service: Service) -> None:
    anna, account = await somebody(service, "100")
    _, receiving = await somebody(service)
    crm = await service.sibling(Scope.EVENTS_READ)
    types = ["balance.v1.transfer.created"]
    following = crm.events(types=types)
    token = (await anext(following)).page_token
    seen: list[str] = []
    made: list[str] = []
    async with asyncio.timeout(120):
        for _ in range(3):
            made += [(await transfer(anna, receiving, "1")).id for _ in range(2)]
            while len(seen) < len(made):
                message = await anext(following)
                if message.HasField("event"):
                    seen.append(message.event.id)
                    token = message.page_token
            # As a worker that stops ends its streams.
            service.app.event_log._end_all()
        following.cancel()
        # Another process goes on from the token that was kept.
        made.append((await transfer(anna, receiving, "1")).id)
        async for message in crm.events(token, types=types):
            if message.HasField("event"):
                seen.append(message.event.id)
                break
    assert seen == made
    assert await anna.balance(account) == "93.00"


async def test_threads_follow_too(service: Service) -> None:
    secret = await administration.create_service_principal(
        service.settings, "crm", "", [Scope.EVENTS_READ]
    )
    _, account = await somebody(service, "3")

    def first() -> v1.Event:
        with Client(service.target, ServiceCredentials("crm", secret)) as client:
            since = Timestamp(seconds=1).ToDatetime(tzinfo=None).astimezone()
            for message in client.events(accounts=[account], start_time=since):
                if message.HasField("event"):
                    return message.event
        raise AssertionError("a log has no end")

    async with asyncio.timeout(60):
        assert (await asyncio.to_thread(first)).account.id == account


@pytest.mark.usefixtures("within")
async def test_quiet_stream_moves_its_place_on(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "HEARTBEAT_SECONDS", 0.2)
    anna, _ = await somebody(service)
    boris, _ = await somebody(service)
    await told(boris.client, of("account.opened"))
    stream = aiter(boris.client.events.WatchEvents(v1.WatchEventsRequest()))
    begun = await anext(stream)
    await anna.deposit("1")
    async with asyncio.timeout(60):
        while (quiet := await anext(stream)).page_token == begun.page_token:
            assert not quiet.HasField("event")
    assert not quiet.HasField("event")


async def test_every_kind_of_movement_has_its_type() -> None:
    assert len(TYPES) == len(EventType)
    assert EventType.ACCOUNT_LIMITS_SET.text == "balance.v1.account.limits_set"
    assert EventType.HOLD_CAPTURED.subject == "movement"


async def test_services_need_the_scope(service: Service) -> None:
    billing = await service.sibling(Scope.DEPOSITS_WRITE, Scope.ACCOUNTS_READ)
    error = await refused(billing.events.ListEvents(v1.ListEventsRequest()))
    assert error.reason == "PERMISSION_MISSING"
    assert error.metadata["required"] == "scope events:read"


async def test_approved_change_is_told_once(service: Service) -> None:
    anna = await service.person()
    account = (await anna.open(CURRENCY)).id
    asking, deciding = await service.admin(), await service.admin()
    raised = v1.SetAccountLimitRequest(account=account, limit=str(int(CEILING) + 1))
    error = await refused(asking.client.accounts.SetAccountLimit(raised))
    approve = v1.ApproveChangeRequest(approval=error.metadata["approval"])
    await deciding.client.approvals.ApproveChange(approve)
    found = await told(anna.client, of("account.opened", "account.limits_set"))
    assert len(found) == 2
