"""AccountService.ListEntries: order, pages, filters and what an entry tells."""

import pytest

from balance_client import v1
from tests.service import Service, reason
from tests.statements import history, statement

AMOUNTS = ["50", "10", "-5", "30", "-5", "20", "10", "0.01"]


async def test_statement_tells_who_why_and_when(service: Service) -> None:
    anna, boris = await service.person(), await service.person()
    ours, theirs = await anna.open(), await boris.open()
    await anna.deposit("100", ours.id)
    await anna.client.transfers.CreateTransfer(
        v1.CreateTransferRequest(
            to_account=theirs.id, amount="30.25", description="Tickets", metadata={"order": "7"}
        )
    )
    lines = await statement(anna, v1.ListEntriesRequest(account=ours.id))
    assert [(e.sequence, e.kind, e.amount, e.balance_after) for e in lines] == [
        (2, v1.MOVEMENT_KIND_TRANSFER, "-30.25", "69.75"),
        (1, v1.MOVEMENT_KIND_DEPOSIT, "100.00", "100.00"),
    ]
    sent = lines[0]
    assert (sent.counterparty, sent.description) == (theirs.id, "Tickets")
    assert (sent.principal, dict(sent.metadata)) == (f"user:{anna.user_id}", {"order": "7"})
    assert sent.HasField("date")
    received = (await statement(boris, v1.ListEntriesRequest(account=theirs.id)))[0]
    assert (received.amount, received.counterparty) == ("30.25", ours.id)
    assert received.principal == f"user:{anna.user_id}"


@pytest.mark.parametrize("page_size", [1, 3, 100])
@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("", [8, 7, 6, 5, 4, 3, 2, 1]),
        ("date desc", [8, 7, 6, 5, 4, 3, 2, 1]),
        ("date", [1, 2, 3, 4, 5, 6, 7, 8]),
        ("amount", [8, 3, 5, 2, 7, 6, 4, 1]),
        ("amount desc", [1, 4, 6, 2, 7, 3, 5, 8]),
    ],
)
async def test_statement_is_ordered_and_paged(
    service: Service, order: str, expected: list[int], page_size: int
) -> None:
    person = await service.person()
    account = await person.open()
    await history(person, account.id, AMOUNTS)
    request = v1.ListEntriesRequest(account=account.id, order_by=order, page_size=page_size)
    assert [entry.sequence for entry in await statement(person, request)] == expected


@pytest.mark.parametrize("order", ["date", "date desc", "amount", "amount desc"])
async def test_pages_are_stable_while_entries_are_added(service: Service, order: str) -> None:
    person = await service.person()
    account = await person.open()
    await history(person, account.id, AMOUNTS)
    whole = await statement(person, v1.ListEntriesRequest(account=account.id, order_by=order))
    request = v1.ListEntriesRequest(account=account.id, order_by=order, page_size=2)
    seen: list[v1.Entry] = []
    while True:
        page = await person.client.accounts.ListEntries(request)
        seen += page.entries
        await history(person, account.id, ["15"])
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert seen == whole


async def test_statement_is_filtered(service: Service) -> None:
    anna, boris = await service.person(), await service.person()
    ours, theirs = await anna.open(), await boris.open()
    await history(anna, ours.id, AMOUNTS)
    transfer = v1.CreateTransferRequest(to_account=theirs.id, amount="7")
    await anna.client.transfers.CreateTransfer(transfer)
    dates = [e.date for e in await statement(anna, v1.ListEntriesRequest(account=ours.id))][::-1]

    async def kept(kind: int = 0, **bounds: object) -> list[int]:
        request = v1.ListEntriesRequest(
            account=ours.id,
            order_by="date",
            kind=kind,  # type: ignore[arg-type]
            filter=v1.MovementFilter(**bounds),  # type: ignore[arg-type]
            page_size=2,
        )
        return [entry.sequence for entry in await statement(anna, request)]

    assert await kept(min_amount="10", max_amount="30") == [2, 4, 6, 7]
    assert await kept(max_amount="5") == [3, 5, 8]
    assert await kept(kind=v1.MOVEMENT_KIND_WITHDRAWAL) == [3, 5]
    assert await kept(counterparty=theirs.id) == [9]
    assert await kept(start_time=dates[6]) == [7, 8, 9]
    assert await kept(end_time=dates[2]) == [1, 2]
    assert await kept(start_time=dates[2], end_time=dates[4], min_amount="6") == [4]
    assert await kept(min_amount="1000") == []


async def test_page_token_does_not_forget_the_filter(service: Service) -> None:
    person = await service.person()
    account = await person.open()
    await history(person, account.id, AMOUNTS)
    request = v1.ListEntriesRequest(
        account=account.id, page_size=1, filter=v1.MovementFilter(min_amount="6")
    )
    page = await person.client.accounts.ListEntries(request)
    request.page_token = page.next_page_token
    request.page_size = 3
    assert len((await person.client.accounts.ListEntries(request)).entries) == 3
    changed = [v1.ListEntriesRequest() for _ in range(4)]
    for other in changed:
        other.CopyFrom(request)
    changed[0].filter.min_amount = "5"
    changed[1].order_by = "amount"
    changed[2].kind = v1.MOVEMENT_KIND_DEPOSIT
    changed[3].page_token = request.page_token[:-2] + "AA"
    for other in changed:
        assert await reason(person.client.accounts.ListEntries(other)) == "PAGE_TOKEN_INVALID"
