"""The events of the service in memory: those of the real one, to the letter."""

import json
import re
import time
from typing import Any

import grpc
import pytest
from google.protobuf import json_format

from balance_client import BalanceError, v1
from balance_client.testing import EphemeralService, Service, in_memory

pytestmark = pytest.mark.xdist_group("ephemeral")

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b\d{10}\b")
# What differs by itself; of sequences, their order.
_OWN = {"source", "time", "date", "sequence", "etag"}


class Story:
    """What happens to two people, at one of the services."""

    def __init__(self, service: Service) -> None:
        self.anna, self.boris = service.user(100), service.user(0)
        self.service, client = service.client(), self.anna.client
        client.transfer(self.anna.account, self.boris.account, "30", "RUB", description="Rent")
        for capture in (True, False):
            hold = client.holds.CreateHold(
                v1.CreateHoldRequest(to_account=self.boris.account, amount="5")
            )
            if capture:
                client.holds.CaptureHold(v1.CaptureHoldRequest(hold=hold.id, amount="2"))
            else:
                client.holds.VoidHold(v1.VoidHoldRequest(hold=hold.id))
        client.open_account(currency="USD")
        self.service.withdrawals.CreateWithdrawal(
            v1.CreateWithdrawalRequest(account=self.boris.account, amount="1")
        )

    def heard(self) -> list[v1.Event]:
        """What a sibling service hears, page by page, until the last that happens."""
        accounts = [self.anna.account, self.boris.account]
        found: list[v1.Event] = []
        token, end = "", time.monotonic() + 60
        while not any(event.movement.from_account == self.boris.account for event in found):
            assert time.monotonic() < end
            page = self.service.events.ListEvents(
                v1.ListEventsRequest(
                    page_size=3, page_token=token, filter=v1.EventFilter(accounts=accounts)
                )
            )
            found += page.events
            token = page.page_token
        return found

    def own(self, person: str) -> list[v1.Event]:
        """What one of them hears."""
        events = getattr(self, person).client.events
        return list(events.ListEvents(v1.ListEventsRequest(page_size=1000)).events)


def named(events: list[v1.Event]) -> list[object]:
    """Events without what differs by itself; ids are numbered as they first come."""
    names: dict[str, str] = {}

    def name(found: re.Match[str]) -> str:
        return names.setdefault(found[0], f"ID{len(names)}")

    def told(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: told(each) for key, each in value.items() if key not in _OWN}
        return [told(each) for each in value] if isinstance(value, list) else value

    return [
        json.loads(_ID.sub(name, json.dumps(told(json_format.MessageToDict(event)))))
        for event in events
    ]


def test_memory_tells_of_what_happened_as_the_service_does(
    balance_service: EphemeralService,
) -> None:
    with in_memory() as memory:
        ours, theirs = Story(memory), Story(balance_service)
        told, expected = ours.heard(), theirs.heard()
        assert len(told) > 6
        assert named(told) == named(expected)
        for person in ("anna", "boris"):
            assert named(ours.own(person)) == named(theirs.own(person))


def test_memory_tells_as_it_happens_and_goes_on_from_a_token() -> None:
    with in_memory() as memory:
        anna = memory.user(10)
        kept = v1.EventFilter(types=["balance.v1.deposit.created"])
        stream = memory.client().events.WatchEvents(v1.WatchEventsRequest(filter=kept))
        first = next(stream)
        assert not first.HasField("event")
        for amount in ("1", "2"):
            memory.client().deposits.CreateDeposit(
                v1.CreateDepositRequest(account=anna.account, amount=amount)
            )
        told = [next(stream), next(stream)]
        assert [each.event.movement.amount for each in told] == ["1.00", "2.00"]
        stream.cancel()
        rest = v1.ListEventsRequest(filter=kept, page_token=told[0].page_token)
        listed = memory.client().events.ListEvents(rest)
        assert [event.movement.amount for event in listed.events] == ["2.00"]
        assert not listed.next_page_token


def test_memory_refuses_tokens_of_others_and_accounts_of_strangers() -> None:
    with in_memory() as memory, in_memory() as other:
        anna, boris = memory.user(10), memory.user(0)
        token = anna.client.events.ListEvents(v1.ListEventsRequest(page_size=1)).page_token
        strange = v1.EventFilter(accounts=[anna.account])
        for client, request, reason in (
            (boris.client, v1.ListEventsRequest(page_token=token), "PAGE_TOKEN_INVALID"),
            (other.client(), v1.ListEventsRequest(page_token=token), "PAGE_TOKEN_INVALID"),
            (boris.client, v1.ListEventsRequest(filter=strange), "ACCOUNT_NOT_FOUND"),
            (anna.client, v1.ListEventsRequest(page_size=-1), "INVALID_FIELD"),
        ):
            with pytest.raises(BalanceError) as error:
                client.events.ListEvents(request)
            assert error.value.reason == reason
        watched = boris.client.events.WatchEvents(v1.WatchEventsRequest(filter=strange))
        with pytest.raises(BalanceError) as error:
            next(watched)
        assert error.value.code() == grpc.StatusCode.NOT_FOUND
