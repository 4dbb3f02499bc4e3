"""GetStatement, as owners and operators call it."""

from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from balance_client import v1
from balance_service.domain.statements import Sum
from balance_service.repositories import statements
from tests.service import Person, Service, reason
from tests.statements import history, statement


def after(stamp: Timestamp) -> Timestamp:
    """The next microsecond."""
    later = Timestamp()
    later.FromMicroseconds(stamp.ToMicroseconds() + 1)
    return later


async def whole(person: Person, account: str) -> v1.GetStatementRequest:
    """Asks for the statement of all that there is, which need not be waited for."""
    await person.deposit("1", account)
    entries = await statement(person, v1.ListEntriesRequest(account=account))
    return v1.GetStatementRequest(
        account=account, start_time=Timestamp(seconds=1), end_time=entries[0].date
    )


async def test_statement_says_what_the_list_of_its_entries_says(service: Service) -> None:
    person = await service.person()
    account = (await person.open()).id
    await history(person, account, ["100", "-30", "5.50", "-0.50"])
    asked = await whole(person, account)
    told = await person.client.statements.GetStatement(asked)
    assert (told.opening_balance, told.closing_balance) == ("0.00", "75.00")
    assert (told.total_in, told.total_out, told.entry_count) == ("105.50", "30.50", 4)
    assert (told.first_sequence, told.last_sequence) == (1, 4)
    assert told.balanced
    assert told.final
    assert told.currency == "RUB"
    assert told.basis == v1.STATEMENT_BASIS_BOOKING_DATE
    assert [(one.kind, one.entry_count, one.total_in, one.total_out) for one in told.totals] == [
        (v1.MOVEMENT_KIND_DEPOSIT, 2, "105.50", "0.00"),
        (v1.MOVEMENT_KIND_WITHDRAWAL, 2, "0.00", "30.50"),
    ]
    within = v1.MovementFilter(start_time=told.start_time, end_time=told.end_time)
    listed = await statement(person, v1.ListEntriesRequest(account=account, filter=within))
    assert len(listed) == told.entry_count

    following = v1.GetStatementRequest(
        account=account, start_time=asked.end_time, end_time=after(asked.end_time)
    )
    opened = await person.client.statements.GetStatement(following)
    assert (opened.opening_balance, opened.closing_balance) == ("75.00", "76.00")
    before = v1.GetStatementRequest(
        account=account, start_time=Timestamp(seconds=1), end_time=Timestamp(seconds=2)
    )
    empty = await person.client.statements.GetStatement(before)
    assert (empty.entry_count, empty.first_sequence, empty.closing_balance) == (0, 0, "0.00")


async def test_statement_over_http_has_the_period_in_its_query(service: Service) -> None:
    person = await service.person()
    account = (await person.open()).id
    await history(person, account, ["2"])
    asked = await whole(person, account)
    period = (
        f"start_time={asked.start_time.ToJsonString()}&end_time={asked.end_time.ToJsonString()}"
    )
    path = f"/api/v1/accounts/{account}/statement/"
    answer = await person.http("GET", f"{path}?{period}&basis=STATEMENT_BASIS_VALUE_DATE")
    assert answer.json["closing_balance"] == "2.00"
    assert answer.json["final"] is False
    endless = await person.http("GET", f"{path}?start_time=2026-01-01T00:00:00Z")
    assert (endless.status, endless.reason) == (400, "INVALID_FIELD")
    assert "end_time" in endless.text


async def test_wrong_statement_is_never_answered(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await service.person()
    account = (await person.open()).id
    asked = await whole(person, account)
    real = statements.sums

    async def more(*arguments: Any) -> tuple[list[Sum], list[Sum], list[Sum]]:
        before, within, behind = await real(*arguments)
        return before, [*within, *within], behind

    await person.deposit("1", account)
    asked.end_time.CopyFrom(after(asked.end_time))
    monkeypatch.setattr(statements, "sums", more)
    assert await reason(person.client.statements.GetStatement(asked)) == "INTERNAL"
