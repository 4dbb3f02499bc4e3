"""Pages that are too large, for others chose the texts on them, and batches that are all wrong."""

import json

import pytest

from balance_client import async_each, v1
from balance_service.messages import page_bytes
from balance_service.messages.instructions import items
from tests.service import Person, Service, rich, somebody

LONG = {"note": "ы" * 200}


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    # Two movements with LONG fit, and three do not.
    monkeypatch.setattr(page_bytes, "PAGE_BYTES_MAX", 2100)


async def receive(service: Service, receiver: str, count: int) -> None:
    """Lets a stranger send what takes much room on a statement."""
    stranger, _ = await rich(service)
    for number in range(count):
        amount = str(number + 1)
        request = v1.CreateTransferRequest(to_account=receiver, amount=amount, metadata=LONG)
        await stranger.client.transfers.CreateTransfer(request)


@pytest.mark.parametrize("order", ["date", "date desc", "amount", "amount desc"])
@pytest.mark.parametrize("skip", [0, 1])
async def test_large_page_is_cut_and_goes_on(service: Service, order: str, skip: int) -> None:
    person, account = await somebody(service)
    await receive(service, account, 7)
    request = v1.ListEntriesRequest(account=account, order_by=order, page_size=1000, skip=skip)
    first = await person.client.accounts.ListEntries(request)
    assert len(first.entries) == 2
    pages = async_each(person.client.accounts.ListEntries, request, lambda page: page.entries)
    seen = [entry.amount async for entry in pages]
    expected = [f"{number}.00" for number in range(1, 8)]
    assert seen == (expected[::-1] if order.endswith("desc") else expected)[skip:]


async def test_large_page_that_no_token_could_follow_is_refused(service: Service) -> None:
    person, account = await somebody(service)
    await person.open("EUR")
    await receive(service, account, 4)
    url = "/api/v1/transfers/to_my_account"
    for query in ("skip=1&page_size=3", "page=1&page_size=3", "page=2&page_size=3"):
        answer = await person.http("GET", f"{url}?{query}")
        if query.startswith("page=2"):
            assert len(answer.json["results"]) == 1
        else:
            assert (answer.status, answer.fields) == (400, ["page_size"])
    pages = [(await person.http("GET", f"{url}?page={n}&page_size=2")).json for n in (1, 2)]
    amounts = [transfer["amount"] for page in pages for transfer in page["results"]]
    assert amounts == ["4.00", "3.00", "2.00", "1.00"]


async def test_lists_of_other_texts_are_cut_as_well(service: Service) -> None:
    admin = await service.admin()
    for number in range(5):
        body = {"name": f"Tea {number}", "price": "4", "description": "ы" * 400}
        assert (await admin.http("POST", "/api/v1/services", body)).status == 201
        someone: Person = await service.person()
        assert (await someone.http("PATCH", "/api/v1/users/me", {"bio": "ы" * 200})).status == 200
    for url, name in (("/api/v1/services", "services"), ("/api/v1/users", "users")):
        token, seen = "", list[str]()
        while token or not seen:
            page = (await admin.http("GET", f"{url}?page_size=1000&page_token={token}")).json
            assert len(page[name]) <= 2
            seen += [row["id"] for row in page[name]]
            token = page["next_page_token"]
        assert len(set(seen)) == len(seen) >= 5


def test_row_that_is_too_large_is_a_page_by_itself() -> None:
    assert page_bytes.fit(["x" * 5000, "y"], lambda text: [text]) == ["x" * 5000]
    assert page_bytes.fit([], lambda text: [text]) == []


def test_hundred_of_the_longest_movements_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    longest = ["😀" * 200, *["😀" * 200 + "k" * 40] * 16]
    assert len(page_bytes.fit([longest] * 200, lambda texts: texts)) >= 100


async def test_batch_that_is_all_wrong_is_refused_in_few_bytes(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(items, "REFUSALS_BYTES_MAX", 2000)
    person, _ = await rich(service)
    wrong = {"amount": "x", "currency": "x", "metadata": {"A": "b"}, "description": "\u202e"}
    answer = await person.http("POST", "/api/v1/transfers:batchCreate", {"requests": [wrong] * 50})
    assert answer.status == 200
    assert len(json.dumps(answer.json)) < 50 * 700
    details = [outcome["error"]["details"] for outcome in answer.json["outcomes"]]
    for first, last in zip(details[0], details[-1], strict=True):
        assert first["@type"] == last["@type"]
    assert len(details[0][1]["field_violations"]) == 5
    assert details[-1][1]["field_violations"] == details[0][1]["field_violations"][:1]
    assert details[-1][0]["metadata"]["more_violations"] == "4"
