"""Fetches exchange rates: from the Bank of Russia, the ECB, or a shipped table."""

import asyncio
import functools
import json
import re
from collections.abc import Container, Iterable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from importlib import resources
from typing import Protocol
from xml.etree import ElementTree as ET
from xml.parsers import expat

from balance_service.domain.money import DECIMALS
from balance_service.domain.pricing import Quotation, RateSheet
from balance_service.domain.publishing import PublishingDays
from balance_service.providers import download
from balance_service.providers.download import RatesError

CBR_URL = "https://www.cbr.ru/scripts/XML_daily.asp"
ECB_URL = "https://www.ecb.europa.eu/stats/eurofxref/eurofxref-daily.xml"
# What the sources write in. In another encoding, bytes that look harmless could be markup.
ENCODINGS = ("utf-8", "windows-1251")
FIGURE_MIN, FIGURE_MAX = Decimal("1e-9"), Decimal("1e9")

_MOSCOW = timezone(timedelta(hours=3))
_FIGURE = re.compile(r"[0-9]{1,12}(?:[.,][0-9]{1,12})?")
_CBR_DATE = re.compile(r"[0-9]{2}\.[0-9]{2}\.20[0-9]{2}")
_ECB_DATE = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}")


@functools.cache
def _russian_holidays() -> Container[date]:
    # The package loads all countries' calendars, 20 MB: only where one is needed.
    import holidays  # noqa: PLC0415

    return holidays.country_holidays("RU")


@functools.cache
def _target_holidays() -> Container[date]:
    import holidays  # noqa: PLC0415 - as above

    return holidays.financial_holidays("ECB")


# The Bank of Russia publishes in the afternoon what is in force from the next day on.
CBR_DAYS = PublishingDays(_russian_holidays, _MOSCOW, timedelta(hours=24))
# The ECB publishes at about 16:00 CET what is in force at once.
ECB_DAYS = PublishingDays(_target_holidays, UTC, timedelta(hours=15))


class RatesProvider(Protocol):
    """Fetches a source's sheets.

    Args:
        source: The source's name.
        days: When it publishes; None if its sheets never go stale.
    """

    source: str
    days: PublishingDays | None

    async def fetch(self, moment: datetime | None = None) -> RateSheet:
        """The source's newest sheet, or the one in force at a moment where it can be asked for.

        Raises:
            RatesError: It cannot be had now.
        """


class BankOfRussia:
    """The Bank of Russia's daily rates: roubles for a number of units of each currency."""

    source = "cbr"
    days: PublishingDays | None = CBR_DAYS

    def __init__(self, url: str = "") -> None:
        self._url = url or CBR_URL

    async def fetch(self, moment: datetime | None = None) -> RateSheet:
        url = self._url
        if moment:
            day = moment.astimezone(_MOSCOW).strftime("%d/%m/%Y")
            url += f"{'&' if '?' in url else '?'}date_req={day}"
        return parse_cbr(await asyncio.to_thread(download.get, url))


class EuropeanCentralBank:
    """The ECB's euro foreign exchange reference rates: units of each currency for one euro."""

    source = "ecb"
    days: PublishingDays | None = ECB_DAYS

    def __init__(self, url: str = "") -> None:
        self._url = url or ECB_URL

    async def fetch(self, moment: datetime | None = None) -> RateSheet:
        return parse_ecb(await asyncio.to_thread(download.get, self._url))


class StaticTable:
    """The table shipped with the service, with its date: for development and offline use."""

    source = "static"
    days: PublishingDays | None = None

    async def fetch(self, moment: datetime | None = None) -> RateSheet:
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
    root = _parse(document)
    day = root.attrib.get("Date", "")
    if root.tag != "ValCurs" or not _CBR_DATE.fullmatch(day):
        raise RatesError("not the Bank of Russia's format")
    lines = (
        (_text(line, "CharCode"), _text(line, "Nominal"), _text(line, "Value"))
        for line in root.iter("Valute")
    )
    return _sheet("cbr", "RUB", _moment(day, "%d.%m.%Y", _MOSCOW), lines)


def parse_ecb(document: bytes) -> RateSheet:
    """Reads the ECB's eurofxref-daily format; its rates are set at about 16:00 CET.

    Raises:
        RatesError: It is not in that format.
    """
    cubes = [element.attrib for element in _parse(document).iter() if element.tag.endswith("}Cube")]
    days = [cube["time"] for cube in cubes if "time" in cube]
    if len(days) != 1 or not _ECB_DATE.fullmatch(days[0]):
        raise RatesError("not the ECB's format of one day")
    as_of = _moment(days[0], "%Y-%m-%d", UTC) + timedelta(hours=15)
    lines = ((cube["currency"], cube.get("rate", ""), "1") for cube in cubes if "currency" in cube)
    return _sheet("ecb", "EUR", as_of, lines)


def _moment(day: str, form: str, zone: timezone) -> datetime:
    try:
        return datetime.strptime(day, form).replace(tzinfo=zone)
    except ValueError:
        raise RatesError("a day that does not exist") from None


def _sheet(
    source: str, base: str, as_of: datetime, lines: Iterable[tuple[str, str, str]]
) -> RateSheet:
    """Keeps the currencies that balances are kept in; SDRs and the like are quoted, too.

    Args:
        source: The source's name.
        base: The currency that values are in.
        as_of: From when the sheet is in force.
        lines: A currency, units of it, and what they are worth, as the source writes them.
    """
    quotations: dict[str, Quotation] = {}
    for code, units, value in lines:
        if code not in DECIMALS:
            continue
        if code == base or code in quotations:
            raise RatesError(f"{code} is quoted twice")
        quotations[code] = Quotation(_figure(units, code), _figure(value, code))
        if not FIGURE_MIN <= quotations[code].value / quotations[code].units <= FIGURE_MAX:
            raise RatesError(f"{code} has no sane worth")
    if not quotations:
        raise RatesError("no rates")
    return RateSheet(source, base, as_of, quotations)


def _figure(text: str, code: str) -> Decimal:
    # Decimal itself reads exponents, infinities and the digits of every script.
    if not _FIGURE.fullmatch(text):
        raise RatesError(f"{code} has a figure that is none")
    figure = Decimal(text.replace(",", "."))
    if not FIGURE_MIN <= figure <= FIGURE_MAX:
        raise RatesError(f"{code} has no sane figure")
    return figure


def _parse(document: bytes) -> ET.Element:
    """Reads XML of a plain kind: no DTD, hence no entities, and an encoding that sources use."""
    tree = ET.TreeBuilder()
    parser = expat.ParserCreate(namespace_separator="}")
    parser.XmlDeclHandler = _check_encoding
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.StartElementHandler = tree.start
    parser.EndElementHandler = tree.end
    parser.CharacterDataHandler = tree.data
    # Without a declaration, UTF-16 is known by its first bytes.
    if b"\0" in document:
        raise RatesError("an encoding that no source uses")
    try:
        parser.Parse(document, True)  # noqa: FBT003 - it takes no names
    except (expat.ExpatError, ValueError, LookupError):
        raise RatesError("not XML") from None
    return tree.close()


def _check_encoding(_version: str, encoding: str | None, _standalone: int) -> None:
    if encoding is not None and encoding.lower() not in ENCODINGS:
        raise RatesError("an encoding that no source uses")


def _refuse_doctype(*_declared: object) -> None:
    raise RatesError("a rates file has no need of a DTD")


def _text(element: ET.Element, tag: str) -> str:
    return element.findtext(tag) or ""
