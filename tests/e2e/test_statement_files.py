"""DownloadStatement: the same file over both doors, whole or told not to be."""

import asyncio
import csv
import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import aiohttp
import pytest
from google.api.httpbody_pb2 import HttpBody
from google.protobuf import json_format
from google.protobuf.timestamp_pb2 import Timestamp

from balance_client import BalanceError, v1
from balance_service.domain.movements import Line
from balance_service.domain.statements import StatementFalse
from balance_service.reading import periods
from balance_service.servicers import statement as servicer
from tests.http import BY_METHOD, as_http
from tests.service import Person, Service, reason
from tests.statements import history, statement

BINDING = BY_METHOD["/balance.v1.StatementService/DownloadStatement"]
FORMATS = (v1.STATEMENT_FORMAT_CSV, v1.STATEMENT_FORMAT_JSON, v1.STATEMENT_FORMAT_PDF)


async def lived(service: Service, *amounts: str) -> tuple[Person, v1.DownloadStatementRequest]:
    """Somebody with a history, and a request for all of it."""
    person = await service.person()
    account = (await person.open()).id
    await history(person, account, list(amounts))
    await person.deposit("1", account)
    entries = await statement(person, v1.ListEntriesRequest(account=account))
    return person, v1.DownloadStatementRequest(
        account=account, start_time=Timestamp(seconds=1), end_time=entries[0].date
    )


async def downloaded(person: Person, request: v1.DownloadStatementRequest) -> list[HttpBody]:
    return [part async for part in person.client.statements.DownloadStatement(request)]


def whole(parts: Sequence[HttpBody]) -> bytes:
    return b"".join(part.data for part in parts)


def name_of(parts: Sequence[HttpBody]) -> str:
    told = v1.StatementFile()
    assert parts[0].extensions[0].Unpack(told)
    assert not any(part.extensions or part.content_type for part in parts[1:])
    return told.name


async def test_csv_has_every_entry_and_ends_with_the_sums(service: Service) -> None:
    person, asked = await lived(service, "100", "-30.50", "5")
    parts = await downloaded(person, asked)
    assert parts[0].content_type == "text/csv; charset=utf-8; header=present"
    account = await person.client.accounts.GetAccount(v1.GetAccountRequest(account=asked.account))
    ends = f"1970-01-01-{asked.end_time.ToDatetime():%Y-%m-%d}"
    assert name_of(parts) == f"statement-{account.number}-{ends}.csv"
    text = whole(parts).decode()
    assert text.count("\r\n") == text.count("\n")
    rows = list(csv.DictReader(text.splitlines()))
    shown = [(row["Number"], row["Kind"], row["Amount"], row["Balance"]) for row in rows]
    assert shown == [
        ("", "Opening balance", "", "0.00"),
        ("1", "Deposit", "100.00", "100.00"),
        ("2", "Withdrawal", "-30.50", "69.50"),
        ("3", "Deposit", "5.00", "74.50"),
        ("", "Total in", "105.00", ""),
        ("", "Total out", "-30.50", ""),
        ("", "Closing balance", "", "74.50"),
    ]


async def test_json_has_entries_as_they_are_listed_and_the_statement(service: Service) -> None:
    person, asked = await lived(service, "100", "-30")
    asked.format = v1.STATEMENT_FORMAT_JSON
    lines = [json.loads(line) for line in whole(await downloaded(person, asked)).splitlines()]
    opening, *entries, last = lines
    assert opening["opening"]["opening_balance"] == "0.00"
    within = v1.MovementFilter(end_time=asked.end_time)
    listing = v1.ListEntriesRequest(account=asked.account, filter=within, order_by="date")
    listed = await statement(person, listing)
    told = [json_format.ParseDict(line["entry"], v1.Entry()) for line in entries]
    assert told == listed
    summed = await person.client.statements.GetStatement(
        v1.GetStatementRequest(
            account=asked.account, start_time=asked.start_time, end_time=asked.end_time
        )
    )
    assert json_format.ParseDict(last["statement"], v1.Statement()) == summed


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("language", ["en", "ru"])
async def test_file_is_the_same_over_http_and_after_later_entries(
    service: Service, form: v1.StatementFormat.ValueType, language: str
) -> None:
    person, asked = await lived(service, "100", "-30", "5")
    asked.format = form
    spoken = [("accept-language", language)]
    calls = person.client.statements
    parts = [part async for part in calls.DownloadStatement(asked, metadata=spoken)]
    path, _ = as_http(BINDING, asked)
    headers = {"authorization": f"Bearer {person.token.token}", "accept-language": language}
    for _ in range(2):
        async with person.http.client.get(person.http.url + path, headers=headers) as answer:
            assert answer.status == 200
            assert answer.headers["content-type"] == parts[0].content_type
            named = f'attachment; filename="{name_of(parts)}"'
            assert answer.headers["content-disposition"] == named
            assert await answer.read() == whole(parts)
        await person.deposit("7", asked.account)
    if form == v1.STATEMENT_FORMAT_CSV:
        closing = {"en": "Closing balance", "ru": "Исходящий остаток"}[language]
        assert closing in whole(parts).decode()


@pytest.mark.usefixtures("within")
@pytest.mark.parametrize("form", FORMATS)
async def test_file_of_many_parts_is_the_same(
    service: Service, monkeypatch: pytest.MonkeyPatch, form: v1.StatementFormat.ValueType
) -> None:
    person, asked = await lived(service, *["3", "-1"] * 5)
    asked.format = form
    at_once = whole(await downloaded(person, asked))
    monkeypatch.setattr(periods, "LINES_MAX", 3)
    monkeypatch.setattr(servicer, "PART_BYTES_MAX", 100)
    parts = await downloaded(person, asked)
    assert whole(parts) == at_once
    assert len(parts) >= len(at_once) // 100
    assert max(len(part.data) for part in parts) <= 100


async def test_pdf_is_bounded_and_other_files_are_not(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    person, asked = await lived(service, "1", "1", "1")
    monkeypatch.setattr(servicer, "PDF_ENTRIES_MAX", 2)
    monkeypatch.setattr(periods, "ENTRIES_MAX", 2)
    assert len(whole(await downloaded(person, asked)).splitlines()) == 8
    asked.format = v1.STATEMENT_FORMAT_PDF
    with pytest.raises(BalanceError) as refused:
        await downloaded(person, asked)
    assert refused.value.reason == "STATEMENT_TOO_LONG"
    assert refused.value.metadata == {"entries": "3", "entries_max": "2"}
    answer = await person.http.call(BINDING, asked)
    assert (answer.status, answer.reason) == (400, "STATEMENT_TOO_LONG")


def hold_up(monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """Has files wait after their first entries; two events: that one waits, and that it may go."""
    waits, may_go = asyncio.Event(), asyncio.Event()
    real = periods.lines

    async def lines(*arguments: Any) -> AsyncGenerator[Sequence[Line], None]:
        async for page in real(*arguments):
            yield page
            waits.set()
            await may_go.wait()

    monkeypatch.setattr(periods, "lines", lines)
    return waits, may_go


async def test_few_pdfs_are_made_at_once(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    person, asked = await lived(service, "1")
    asked.format = v1.STATEMENT_FORMAT_PDF
    monkeypatch.setattr(servicer, "PDFS_MAX", 1)
    waits, may_go = hold_up(monkeypatch)
    first = asyncio.create_task(downloaded(person, asked))
    async with asyncio.timeout(30):
        await waits.wait()
        assert await reason(downloaded(person, asked)) == "OVERLOADED"
        may_go.set()
        assert await first
        assert await downloaded(person, asked)


async def test_file_that_does_not_add_up_has_no_end(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    person, asked = await lived(service, "1", "2")

    def fail(*_: object) -> None:
        raise StatementFalse("never")

    monkeypatch.setattr(periods, "conclude", fail)
    parts: list[HttpBody] = []
    with pytest.raises(BalanceError) as failed:
        async for part in person.client.statements.DownloadStatement(asked):
            parts.append(part)  # noqa: PERF401 - those before it fails
    assert failed.value.reason == "INTERNAL"
    assert "Closing balance" not in whole(parts).decode()
    path, _ = as_http(BINDING, asked)
    async with person.http.stream(path) as answer:
        assert answer.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


async def test_nothing_is_left_of_a_download_whose_caller_leaves(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    person, asked = await lived(service, *["3", "-1"] * 5)
    monkeypatch.setattr(periods, "LINES_MAX", 1)
    hold_up(monkeypatch)
    path, _ = as_http(BINDING, asked)
    over_grpc = person.client.statements.DownloadStatement(asked)
    await anext(aiter(over_grpc))
    async with person.http.stream(path) as answer:
        await answer.content.readany()
        assert service.app.calls.streams_open == 2
        answer.close()
    over_grpc.cancel()
    async with asyncio.timeout(30):
        while service.app.calls.streams_open:
            await asyncio.sleep(0.02)


async def test_csv_of_texts_that_look_like_formulas_is_harmless(service: Service) -> None:
    person, asked = await lived(service, "1")
    texts = ['=HYPERLINK("http://x","y")', "+1", "-1", "@SUM(A1)", " =1", 'a,b\n"c"', "'=1"]
    for text in texts:
        await person.client.deposits.CreateDeposit(
            v1.CreateDepositRequest(account=asked.account, amount="1", description=text)
        )
    last = await person.deposit("1", asked.account)
    asked.end_time.CopyFrom(last.date)
    read = list(csv.DictReader(whole(await downloaded(person, asked)).decode().splitlines(True)))
    shown = [row["Description"] for row in read if row["Number"]]
    assert shown[2:] == [
        """'=HYPERLINK("http://x","y")""", "'+1", "'-1", "'@SUM(A1)", "' =1", 'a,b\n"c"', "'=1",
    ]  # fmt: skip
