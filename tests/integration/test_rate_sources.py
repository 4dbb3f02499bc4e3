"""Sources of exchange rates: real formats from a local server, and everything that is none."""

import asyncio
import contextlib
import socket
import threading
import time
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import urlsplit

import pytest

from balance_service.providers import download
from balance_service.providers import rates as providers
from balance_service.providers.rates import BankOfRussia, EuropeanCentralBank, StaticTable
from tests.rate_source import CBR, ECB, Source, cbr, serving


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
