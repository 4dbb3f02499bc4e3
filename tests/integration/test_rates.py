"""Exchange rates: real formats from a local server, cached in Postgres, with an age."""

import asyncio
import http.server
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from balance_service.database.pool import Pool, transaction
from balance_service.domain import errors
from balance_service.ledger.rates import ExchangeRates
from balance_service.providers import rates as providers
from balance_service.providers.rates import BankOfRussia, EuropeanCentralBank, StaticTable
from balance_service.repositories import rates as sheets

CBR = """<?xml version="1.0" encoding="windows-1251"?>
<ValCurs Date="{date}" name="Foreign Currency Market">
<Valute ID="R01235"><NumCode>840</NumCode><CharCode>USD</CharCode><Nominal>1</Nominal>
<Name>Доллар США</Name><Value>78,9988</Value><VunitRate>78,9988</VunitRate></Valute>
<Valute ID="R01820"><NumCode>392</NumCode><CharCode>JPY</CharCode><Nominal>100</Nominal>
<Name>Иен</Name><Value>51,2345</Value><VunitRate>0,512345</VunitRate></Valute>
<Valute ID="R01589"><NumCode>960</NumCode><CharCode>XDR</CharCode><Nominal>1</Nominal>
<Name>СДР</Name><Value>108,1234</Value><VunitRate>108,1234</VunitRate></Valute>
</ValCurs>"""
ECB = """<?xml version="1.0" encoding="UTF-8"?>
<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01"
 xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">
<gesmes:subject>Reference rates</gesmes:subject>
<gesmes:Sender><gesmes:name>European Central Bank</gesmes:name></gesmes:Sender>
<Cube><Cube time='2026-11-23'><Cube currency='USD' rate='1.1572'/>
<Cube currency='JPY' rate='178.31'/></Cube></Cube></gesmes:Envelope>"""


def cbr(day: datetime) -> bytes:
    return CBR.format(date=day.strftime("%d.%m.%Y")).encode("windows-1251")


class Source:
    """A local server that answers with a document, and counts."""

    def __init__(self) -> None:
        self.document = b""
        self.asked = 0
        source = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                source.asked += 1
                self.send_response(200 if source.document else 503)
                self.end_headers()
                self.wfile.write(source.document)

            def log_message(self, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/daily.xml"


@pytest.fixture
def source() -> Iterator[Source]:
    made = Source()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


async def test_bank_of_russia_is_read(source: Source) -> None:
    source.document = cbr(datetime(2026, 11, 24, tzinfo=UTC))
    sheet = await BankOfRussia(source.url).fetch()
    assert (sheet.source, sheet.base) == ("cbr", "RUB")
    assert sheet.as_of == datetime(2026, 11, 23, 21, tzinfo=UTC)  # Midnight in Moscow.
    assert sheet.quotations == {
        "USD": (Decimal(1), Decimal("78.9988")),
        "JPY": (Decimal(100), Decimal("51.2345")),
    }


async def test_ecb_is_read(source: Source) -> None:
    source.document = ECB.encode()
    sheet = await EuropeanCentralBank(source.url).fetch()
    assert (sheet.source, sheet.base) == ("ecb", "EUR")
    assert sheet.as_of == datetime(2026, 11, 23, 15, tzinfo=UTC)
    assert sheet.quotations["USD"] == (Decimal("1.1572"), Decimal(1))


async def test_static_table_ships_with_its_date() -> None:
    sheet = await StaticTable().fetch()
    assert (sheet.source, sheet.base, sheet.expires) == ("static", "RUB", False)
    assert {"USD", "EUR"} <= sheet.quotations.keys()
    assert sheet.as_of < datetime.now(UTC)


@pytest.mark.parametrize(
    "document",
    [
        b"<html>busy</html>",
        b"not xml",
        b"<ValCurs Date='x'/>",
        b"<ValCurs Date='24.11.2026'/>",
        CBR.format(date="24.11.2026").replace("78,9988", "0").encode("windows-1251"),
        CBR.format(date="24.11.2026").replace("78,9988", "-1").encode("windows-1251"),
        CBR.format(date="24.11.2026").replace("78,9988", "NaN").encode("windows-1251"),
        CBR.format(date="24.11.2026").replace("<Nominal>1<", "<Nominal><").encode("windows-1251"),
        b"<!DOCTYPE x [<!ENTITY a 'b'>]><ValCurs Date='24.11.2026'>&a;</ValCurs>",
        b" " * (providers.BYTES_MAX + 1),
    ],
)
async def test_what_is_no_sheet_is_refused(source: Source, document: bytes) -> None:
    source.document = document
    with pytest.raises(providers.RatesError):
        await BankOfRussia(source.url).fetch()
    with pytest.raises(providers.RatesError):
        await EuropeanCentralBank(source.url).fetch()


def exchange(pool: Pool, source: Source, refresh_after: timedelta) -> ExchangeRates:
    return ExchangeRates(
        pool,
        BankOfRussia(source.url),
        refresh_after=refresh_after,
        stale_after=timedelta(hours=96),
    )


async def test_sheet_is_fetched_when_due_and_shared_through_postgres(
    pool: Pool, source: Source
) -> None:
    now = datetime.now(UTC)
    source.document = cbr(now)
    first, second = (exchange(pool, source, timedelta(hours=1)) for _ in range(2))
    await first.refresh()
    await first.refresh()
    await second.refresh()
    assert source.asked == 1
    for rates in (first, second):
        assert rates.current.rate("USD", "RUB", now).value == Decimal("78.9988")


async def test_source_that_is_away_leaves_the_last_sheet_until_it_is_stale(
    pool: Pool, source: Source
) -> None:
    now = datetime.now(UTC)
    source.document = cbr(now - timedelta(days=2))
    rates = exchange(pool, source, timedelta(0))
    await rates.refresh()
    source.document = b""
    await rates.refresh()
    assert source.asked == 2
    rate = rates.current.rate("USD", "RUB", now)
    assert (rate.value, rate.source) == (Decimal("78.9988"), "cbr")
    with pytest.raises(errors.RateStale):
        rates.current.rate("USD", "RUB", now + timedelta(days=3))


async def test_no_sheet_at_all_is_no_rate(pool: Pool, source: Source) -> None:
    rates = exchange(pool, source, timedelta(0))
    await rates.refresh()
    with pytest.raises(errors.RateUnavailable):
        rates.current.rate("USD", "RUB", datetime.now(UTC))


async def test_two_processes_that_start_together_store_one_sheet(pool: Pool) -> None:
    sheet = await StaticTable().fetch()
    now = datetime.now(UTC)

    async def bring() -> None:
        async with transaction(pool) as conn:
            # Both begin before either commits, as two workers do that found no sheet.
            await sheets.put(conn, sheet, now)
            await asyncio.sleep(0.2)

    await asyncio.gather(bring(), bring())
    async with pool.connection() as conn:
        stored = await sheets.get(conn, "static", expires=False)
    assert stored is not None
    assert stored[0].quotations.keys() == sheet.quotations.keys()
