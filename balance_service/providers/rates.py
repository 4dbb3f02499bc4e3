"""Fetches exchange rates: from the Bank of Russia, the ECB, or a shipped table."""

import asyncio
import json
import urllib.request
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from importlib import resources
from typing import Protocol
from xml.etree import ElementTree as ET

from balance_service.domain.money import DECIMALS
from balance_service.domain.pricing import Quotation, RateSheet

CBR_URL = "https://www.cbr.ru/scripts/XML_daily.asp"
ECB_URL = "https://www.ecb.europa.eu/stats/eurofxref/eurofxref-daily.xml"
TIMEOUT_SECONDS = 15
BYTES_MAX = 1 << 20

_MOSCOW = timezone(timedelta(hours=3))


class RatesError(Exception):
    """A source could not be reached, or its answer not be read."""


class RatesProvider(Protocol):
    """Fetches a source's current sheet.

    Args:
        source: The source's name.
        expires: Whether its sheets go stale.
    """

    source: str
    expires: bool

    async def fetch(self) -> RateSheet:
        """The source's current sheet.

        Raises:
            RatesError: It cannot be had now.
        """


class BankOfRussia:
    """The Bank of Russia's daily rates: roubles for a number of units of each currency."""

    source = "cbr"
    expires = True

    def __init__(self, url: str = "") -> None:
        self._url = url or CBR_URL

    async def fetch(self) -> RateSheet:
        return parse_cbr(await asyncio.to_thread(_download, self._url))


class EuropeanCentralBank:
    """The ECB's euro foreign exchange reference rates: units of each currency for one euro."""

    source = "ecb"
    expires = True

    def __init__(self, url: str = "") -> None:
        self._url = url or ECB_URL

    async def fetch(self) -> RateSheet:
        return parse_ecb(await asyncio.to_thread(_download, self._url))


class StaticTable:
    """The table shipped with the service, with its date: for development and offline use."""

    source = "static"
    expires = False

    async def fetch(self) -> RateSheet:
        text = resources.files(__package__).joinpath("static_rates.json").read_text("utf-8")
        table = json.loads(text, parse_float=Decimal, parse_int=Decimal)
        quotations = {
            code: Quotation(units=units, value=value)
            for code, (units, value) in table["rates"].items()
        }
        as_of = datetime.fromisoformat(table["as_of"])
        return RateSheet("static", table["base"], as_of, quotations, expires=False)


def provider(source: str, url: str) -> RatesProvider:
    """The provider of a source by its name in the configuration."""
    if source == "cbr":
        return BankOfRussia(url)
    if source == "ecb":
        return EuropeanCentralBank(url)
    return StaticTable()


def parse_cbr(document: bytes) -> RateSheet:
    """Reads the Bank of Russia's XML_daily format; its day starts at midnight in Moscow.

    Raises:
        RatesError: It is not in that format.
    """
    try:
        root = _parse(document)
        as_of = datetime.strptime(root.attrib["Date"], "%d.%m.%Y").replace(tzinfo=_MOSCOW)
        quotations = {
            _text(line, "CharCode"): Quotation(
                Decimal(_text(line, "Nominal")), Decimal(_text(line, "Value").replace(",", "."))
            )
            for line in root.iter("Valute")
        }
    except (ET.ParseError, KeyError, ValueError, InvalidOperation) as error:
        raise RatesError(f"not the Bank of Russia's format: {error}") from None
    return _sheet("cbr", "RUB", as_of, quotations)


def parse_ecb(document: bytes) -> RateSheet:
    """Reads the ECB's eurofxref-daily format; its rates are set at about 16:00 CET.

    Raises:
        RatesError: It is not in that format.
    """
    try:
        cubes = [e for e in _parse(document).iter() if e.tag.endswith("}Cube")]
        day = next(cube.attrib["time"] for cube in cubes if "time" in cube.attrib)
        as_of = datetime.fromisoformat(f"{day}T15:00:00").replace(tzinfo=UTC)
        quotations = {
            cube.attrib["currency"]: Quotation(Decimal(cube.attrib["rate"]), Decimal(1))
            for cube in cubes
            if "currency" in cube.attrib
        }
    except (ET.ParseError, KeyError, ValueError, InvalidOperation, StopIteration) as error:
        raise RatesError(f"not the ECB's format: {error}") from None
    return _sheet("ecb", "EUR", as_of, quotations)


def _sheet(source: str, base: str, as_of: datetime, quotations: dict[str, Quotation]) -> RateSheet:
    """Keeps the currencies that balances are kept in; SDRs and the like are quoted, too."""
    known = {code: q for code, q in quotations.items() if code in DECIMALS}
    figures = [figure for quotation in known.values() for figure in quotation]
    # A NaN is neither above zero nor comparable.
    if not figures or not all(figure.is_finite() and figure > 0 for figure in figures):
        raise RatesError(f"{source}: no rates, or rates that are not above zero")
    return RateSheet(source, base, as_of, known)


def _parse(document: bytes) -> ET.Element:
    if b"<!DOCTYPE" in document or b"<!ENTITY" in document:
        raise RatesError("a rates file has no need of entities")
    return ET.fromstring(document)  # noqa: S314 - no DTD, bounded in size


def _text(element: ET.Element, tag: str) -> str:
    text = element.findtext(tag)
    if not text:
        raise ValueError(f"<{tag}> is missing")
    return text


def _download(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - http(s) by config
            document: bytes = answer.read(BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        raise RatesError(f"{url}: {error}") from None
    if len(document) > BYTES_MAX:
        raise RatesError(f"{url}: more than {BYTES_MAX} bytes")
    return document
