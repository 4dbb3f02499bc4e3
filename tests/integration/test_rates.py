"""Exchange rates: real formats from a local server, cached in Postgres, with an age."""

import asyncio
import contextlib
import http.server
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from balance_service.database.pool import Pool, transaction
from balance_service.domain import errors
from balance_service.domain.pricing import Quotation, Rates, RateSheet
from balance_service.providers import download
from balance_service.providers import rates as providers
from balance_service.providers.rates import BankOfRussia, EuropeanCentralBank, StaticTable
from balance_service.reading.rates import ExchangeRates
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


MOSCOW = timezone(timedelta(hours=3))


def cbr(day: datetime, dollar: str = "78,9988") -> bytes:
    text = CBR.format(date=day.strftime("%d.%m.%Y")).replace("78,9988", dollar)
    return text.encode("windows-1251")


class Source:
    """A local server that answers with a document, or one for each day asked for, and counts."""

    def __init__(self) -> None:
        self.document = b""
        self.by_day: dict[str, bytes] = {}
        self.headers: dict[str, str] = {}
        self.status = 200
        self.asked = 0
        source = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                source.asked += 1
                _, _, day = self.path.partition("date_req=")
                document = source.by_day.get(day, source.document)
                self.send_response(source.status if document else 503)
                for name, value in source.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(document)

            def log_message(self, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/daily.xml"


@contextlib.contextmanager
def serving() -> Iterator[Source]:
    made = Source()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        thread.join()
        made.server.server_close()


@pytest.fixture
def source() -> Iterator[Source]:
    with serving() as made:
        yield made


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
        b" " * (download.BYTES_MAX + 1),
        CBR.format(date="31.11.2026").encode("windows-1251"),
        CBR.format(date="24.11.0001").encode("windows-1251"),
        CBR.replace("JPY", "USD").format(date="24.11.2026").encode("windows-1251"),
        CBR.replace("JPY", "RUB").format(date="24.11.2026").encode("windows-1251"),
        CBR.replace("ValCurs", "Valutes").format(date="24.11.2026").encode("windows-1251"),
        b"<ValCurs>" * 50_000,
        CBR.format(date="24.11.2026").encode("windows-1251")[:-20],
    ],
)
async def test_what_is_no_sheet_is_refused(source: Source, document: bytes) -> None:
    source.document = document
    with pytest.raises(download.RatesError):
        await BankOfRussia(source.url).fetch()
    with pytest.raises(download.RatesError):
        await EuropeanCentralBank(source.url).fetch()


@pytest.mark.parametrize(
    "figure",
    [
        "1e400",
        "1e1",
        "Infinity",
        "-1",
        "+1",
        "٥",
        "0x1",
        " 1",
        "1_0",
        "0,0",
        "1" * 13,
        "0." + "0" * 13,
        "0.0000000001",
        "9999999999",
        "1.2.3",
        "1,",
        "NaN",
        "",
    ],
)
def test_figure_that_no_source_writes_is_refused(figure: str) -> None:
    text = CBR.format(date="24.11.2026").replace("windows-1251", "utf-8")
    for old in ("<Value>78,9988", "<Nominal>100"):
        document = text.replace(old, f"{old[: old.index('>')]}>{figure}").encode()
        with pytest.raises(download.RatesError):
            providers.parse_cbr(document)
    with pytest.raises(download.RatesError):
        providers.parse_ecb(ECB.replace("1.1572", figure).encode())


def test_ecb_file_of_several_days_is_not_one_sheet() -> None:
    again = ECB.replace("</Cube></gesmes", "<Cube time='2026-11-20'/></Cube></gesmes")
    with pytest.raises(download.RatesError):
        providers.parse_ecb(again.encode())


PLAIN = CBR.format(date="24.11.2026").replace("windows-1251", "{encoding}")
HIDDEN = PLAIN.replace("<ValCurs", "<!DOCTYPE x [<!ENTITY a 'b'>]><ValCurs", 1)


@pytest.mark.parametrize("encoding", ["utf-8", "UTF-8", "windows-1251", "Windows-1251"])
def test_encodings_of_the_sources_are_read(encoding: str) -> None:
    document = PLAIN.format(encoding=encoding).encode(encoding)
    assert "USD" in providers.parse_cbr(document).quotations


@pytest.mark.parametrize("text", [PLAIN, HIDDEN], ids=["plain", "with a DTD"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "iso-8859-5", "koi8-r"])
def test_other_encodings_are_refused(text: str, encoding: str) -> None:
    with pytest.raises(download.RatesError):
        providers.parse_cbr(text.format(encoding=encoding).encode(encoding))
    with pytest.raises(download.RatesError):
        providers.parse_cbr(text.format(encoding="windows-1251").encode("utf-16"))


@pytest.mark.parametrize("encoding", ["utf-8", "windows-1251"])
def test_dtd_is_refused_in_every_encoding(encoding: str) -> None:
    with pytest.raises(download.RatesError, match="DTD"):
        providers.parse_cbr(HIDDEN.format(encoding=encoding).encode(encoding))


async def test_redirect_is_followed_within_the_host_alone(source: Source) -> None:
    source.document = cbr(datetime(2026, 11, 24, tzinfo=UTC))
    with serving() as other:
        other.document = source.document
        source.status = 302
        for away in (other.url, "file:///etc/passwd", "ftp://127.0.0.1/x", other.url[5:]):
            source.headers = {"Location": away}
            with pytest.raises(download.RatesError):
                await BankOfRussia(source.url).fetch()
        assert other.asked == 0
    source.headers = {"Location": f"{source.url}?again"}
    with pytest.raises(download.RatesError, match="HTTP 302"):
        await BankOfRussia(source.url).fetch()


@pytest.mark.parametrize(
    ("before", "after", "allowed"),
    [
        ("http://a.example/x", "http://a.example/y", True),
        ("http://a.example/x", "https://a.example/x", True),
        ("https://a.example/x", "http://a.example/x", False),
        ("https://a.example/x", "https://b.example/x", False),
        ("https://a.example/x", "https://a.example.b.example/x", False),
        ("https://a.example/x", "https://a.example:8443/x", False),
        ("http://a.example:81/x", "https://a.example:81/x", False),
        ("https://a.example/x", "https://user@a.example/x", False),
    ],
)
def test_redirects_stay_within(before: str, after: str, allowed: bool) -> None:
    assert download._within(urlsplit(before), urlsplit(after)) == allowed


async def test_compressed_answer_is_refused(source: Source) -> None:
    source.document = cbr(datetime(2026, 11, 24, tzinfo=UTC))
    source.headers = {"Content-Encoding": "gzip"}
    with pytest.raises(download.RatesError, match="compressed"):
        await BankOfRussia(source.url).fetch()


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\n\r\n<ValCurs"], ids=["head", "body"])
async def test_server_that_drips_is_left_in_time(
    said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", 0.5)
    stop = threading.Event()

    def drip(listening: socket.socket) -> None:
        conn, _ = listening.accept()
        with conn, contextlib.suppress(OSError):
            conn.sendall(said)
            while not stop.wait(0.05):
                conn.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=drip, args=(listening,))
        thread.start()
        ticks = 0
        try:
            url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
            fetching = asyncio.ensure_future(BankOfRussia(url).fetch())
            began = time.monotonic()
            while not fetching.done() and time.monotonic() - began < 30:
                ticks += 1
                await asyncio.sleep(0.01)
            assert fetching.done()
            assert ticks > 5  # The loop went on meanwhile.
            with pytest.raises(download.RatesError, match="timed out"):
                await fetching
        finally:
            stop.set()
            thread.join()


@pytest.mark.parametrize(
    "answer",
    [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200, b"HTTP/1.1 200 OK\r\n"],
)
async def test_answer_that_is_no_http_is_an_error_like_others(answer: bytes) -> None:
    def say(listening: socket.socket) -> None:
        conn, _ = listening.accept()
        with conn:
            conn.recv(65536)
            conn.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=say, args=(listening,))
        thread.start()
        with pytest.raises(download.RatesError):
            await BankOfRussia(f"http://127.0.0.1:{listening.getsockname()[1]}/").fetch()
        thread.join()


@pytest.mark.parametrize("path", ["/daily?token=s3cret", "/s3cret/x", "/a b?token=s3cret"])
async def test_errors_keep_the_keys_of_a_url(source: Source, path: str) -> None:
    for document in (b"", b"<s3cret/>"):
        source.document = document
        with pytest.raises(download.RatesError) as refused:
            await BankOfRussia(source.url.removesuffix("/daily.xml") + path).fetch()
        assert "s3cret" not in str(refused.value)


def exchange(
    pool: Pool, source: Source, refresh_after: timedelta, stale_after: int = 96
) -> ExchangeRates:
    return ExchangeRates(
        pool,
        BankOfRussia(source.url),
        refresh_after=refresh_after,
        stale_after=timedelta(hours=stale_after),
    )


def moscow(days: int = 0) -> datetime:
    """Midnight in Moscow that began today, or another day."""
    today = datetime.now(MOSCOW).replace(hour=0, minute=0, second=0, microsecond=0)
    return today + timedelta(days=days)


async def test_sheet_is_fetched_when_due_and_shared_through_postgres(
    pool: Pool, source: Source
) -> None:
    now = datetime.now(UTC)
    source.document = cbr(moscow())
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
    source.document = cbr(moscow(-2))
    rates = exchange(pool, source, timedelta(0))
    await rates.refresh()
    source.document = b""
    await rates.refresh()
    assert source.asked == 2
    rate = rates.current.rate("USD", "RUB", now)
    assert (rate.value, rate.source) == (Decimal("78.9988"), "cbr")
    late = now + timedelta(days=25)
    with pytest.raises(errors.RateStale):
        rates.current.rate("USD", "RUB", late)
    assert rates.current.shown("USD", "RUB", late) == (rate, True)


async def test_no_sheet_at_all_is_no_rate(pool: Pool, source: Source) -> None:
    rates = exchange(pool, source, timedelta(0))
    await rates.refresh()
    with pytest.raises(errors.RateUnavailable):
        rates.current.rate("USD", "RUB", datetime.now(UTC))


async def test_sheet_of_tomorrow_waits_for_its_day(pool: Pool, source: Source) -> None:
    source.document = cbr(moscow())
    rates = exchange(pool, source, timedelta(0))
    await rates.refresh()
    source.document = cbr(moscow(1), "90,5")
    await rates.refresh()
    for current in (rates.current, await restarted(pool, source)):
        for moment, value in (
            (datetime.now(UTC), "78.9988"),
            (moscow(1) - timedelta(microseconds=1), "78.9988"),
            (moscow(1), "90.5"),
        ):
            assert current.rate("USD", "RUB", moment).value == Decimal(value)


async def restarted(pool: Pool, source: Source) -> Rates:
    """What another process goes by that does not ask the source."""
    other = exchange(pool, source, timedelta(hours=1))
    asked = source.asked
    async with pool.connection() as conn:
        await sheets.set_fetch_due(conn, "cbr", datetime.now(UTC) + timedelta(minutes=30))
    await other.refresh()
    assert source.asked == asked
    return other.current


async def test_sheet_in_force_is_asked_for_where_only_the_next_is_at_hand(
    pool: Pool, source: Source
) -> None:
    # As on an evening on which the service starts for the first time, or after a week.
    source.document = cbr(moscow(1), "90,5")
    source.by_day = {moscow().strftime("%d/%m/%Y"): cbr(moscow())}
    rates = exchange(pool, source, timedelta(hours=1))
    await rates.refresh()
    assert rates.current.rate("USD", "RUB", datetime.now(UTC)).value == Decimal("78.9988")
    assert rates.current.rate("USD", "RUB", moscow(1)).value == Decimal("90.5")
    await rates.refresh()
    assert source.asked == 2


async def test_past_moments_have_the_sheets_of_their_time(pool: Pool, source: Source) -> None:
    rates = exchange(pool, source, timedelta(0))
    for day, value in ((-3, "70,5"), (-2, "71,5"), (-1, "72,5"), (0, "73,5")):
        source.document = cbr(moscow(day), value)
        await rates.refresh()
    async with pool.connection() as conn:

        async def then(moment: datetime) -> str:
            shown = (await rates.past(conn, moment)).shown("USD", "RUB", moment)
            return str(shown.rate.value) if shown else ""

        assert await then(moscow(-3) - timedelta(seconds=1)) == ""
        assert await then(moscow(-3)) == "70.5"
        assert await then(moscow(-1) - timedelta(seconds=1)) == "71.5"
        assert await then(moscow(-1) + timedelta(hours=3)) == "72.5"
        assert await then(datetime.now(UTC)) == "73.5"


async def test_sheet_that_is_not_believed_leaves_the_last_in_force(
    pool: Pool, source: Source, capsys: pytest.CaptureFixture[str]
) -> None:
    source.document = cbr(moscow(-1))
    rates = exchange(pool, source, timedelta(0))
    await rates.refresh()
    for document in (
        cbr(moscow(), "7899,88"),
        cbr(moscow(), "0,789988"),
        cbr(moscow(40), "79"),
        cbr(moscow(-40), "79"),
    ):
        source.document = document
        await rates.refresh()
        assert "rates_not_believed" in capsys.readouterr().out
        assert rates.current.rate("USD", "RUB", datetime.now(UTC)).value == Decimal("78.9988")
    source.document = cbr(moscow(), "81,5")
    await rates.refresh()
    assert rates.current.rate("USD", "RUB", datetime.now(UTC)).value == Decimal("81.5")


async def test_history_is_not_told_anew(pool: Pool, source: Source) -> None:
    rates = exchange(pool, source, timedelta(0))
    for day, value in ((-2, "70,5"), (0, "71,5"), (-2, "72,5")):
        source.document = cbr(moscow(day), value)
        await rates.refresh()
    async with pool.connection() as conn:
        past = await rates.past(conn, moscow(-1))
    assert past.rate("USD", "RUB", moscow(-1)).value == Decimal("70.5")
    # What is in force, the source may correct.
    source.document = cbr(moscow(), "71,6")
    await rates.refresh()
    assert rates.current.rate("USD", "RUB", datetime.now(UTC)).value == Decimal("71.6")


async def test_processes_that_start_together_have_rates_at_once(pool: Pool, source: Source) -> None:
    source.document = cbr(moscow())
    starting = [exchange(pool, source, timedelta(hours=1)) for _ in range(4)]
    await asyncio.gather(*(rates.refresh() for rates in starting))
    for rates in starting:
        assert rates.current.rate("USD", "RUB", datetime.now(UTC)).value == Decimal("78.9988")
    async with pool.connection() as conn:
        counted = await (await conn.execute("SELECT count(*) FROM rate_sheets")).fetchone()
    assert counted == (1,)


async def test_one_of_many_processes_asks_the_source(pool: Pool, source: Source) -> None:
    source.document = cbr(moscow())
    many = [exchange(pool, source, timedelta(hours=1)) for _ in range(6)]
    await many[0].refresh()
    for wrong in (timedelta(0), timedelta(days=400)):
        # Due, or never again because of a clock that was wrong.
        async with pool.connection() as conn:
            await sheets.set_fetch_due(conn, "cbr", datetime.now(UTC) + wrong)
        asked = source.asked
        await asyncio.gather(*(rates.refresh() for rates in many))
        assert source.asked == asked + 1


async def test_two_processes_that_bring_a_sheet_together_store_one(pool: Pool) -> None:
    sheet = await StaticTable().fetch()
    now = datetime.now(UTC)

    async def bring() -> None:
        async with transaction(pool) as conn:
            # Both begin before either commits, as two workers do that found no sheet.
            await sheets.put(conn, sheet, now)
            await asyncio.sleep(0.2)

    await asyncio.gather(bring(), bring())
    async with pool.connection() as conn:
        assert await sheets.get(conn, "static", now, expires=False) == [sheet]


hours = st.integers(0, 60).map(lambda n: datetime(2026, 11, 1, tzinfo=UTC) + timedelta(hours=n))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(hours, max_size=8), st.lists(hours, min_size=1, max_size=8))
async def test_kept_sheet_of_a_moment_is_the_newest_whatever_came_first(
    pool: Pool, times: list[datetime], moments: list[datetime]
) -> None:
    source = str(uuid4())
    async with pool.connection() as conn:
        for n, time_ in enumerate(times, 1):
            quotations = {"USD": Quotation(Decimal(1), Decimal(n))}
            await sheets.put(conn, RateSheet(source, "RUB", time_, quotations), time_)
        for moment in moments:
            found = await sheets.get(conn, source, moment, expires=True)
            begun = [time_ for time_ in times if time_ <= moment]
            coming = {time_ for time_ in times if time_ > moment}
            expected = sorted(coming | ({max(begun)} if begun else set()))
            assert [sheet.as_of for sheet in found] == expected
            for sheet in found:
                # Of one time, what came last.
                last = max(n for n, time_ in enumerate(times, 1) if time_ == sheet.as_of)
                assert sheet.quotations["USD"].value == last


async def test_static_table_is_taken_as_it_is(pool: Pool) -> None:
    rates = ExchangeRates(
        pool, StaticTable(), refresh_after=timedelta(hours=1), stale_after=timedelta(hours=1)
    )
    await rates.refresh()
    later = datetime.now(UTC) + timedelta(days=4000)
    assert rates.current.rate("USD", "RUB", later).source == "static"
