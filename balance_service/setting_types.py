"""What the texts of some settings must be; each says what it must be, and repeats nothing of it."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from balance_service.domain import errors, money, searches
from balance_service.domain.days import find_zone
from balance_service.domain.networks import parse_networks


def _check_http_url(url: str) -> str:
    if not url:
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        # The text of the original error repeats the URL, which may hold a password.
        raise ValueError("must be a URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an http or https URL")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user name or password")
    return url


def _check_amounts(text: str) -> str:
    try:
        money.parse_table(text, "amount")
    except errors.InvalidFields as refusal:
        raise ValueError(refusal.violations[0].description) from None
    return text


def _check_networks(text: str) -> str:
    parse_networks(text)
    return text


def _check_zone(name: str) -> str:
    try:
        find_zone(name)
    except ValueError:
        raise ValueError("must be a time zone of the IANA database, such as UTC") from None
    return name


def _check_keys(text: str) -> str:
    try:
        searches.parse_keys(text)
    except errors.InvalidFields as refusal:
        raise ValueError(refusal.violations[0].description) from None
    return text


LabelKeys = Annotated[str, AfterValidator(_check_keys)]
HttpUrl = Annotated[str, AfterValidator(_check_http_url)]
AmountsByCurrency = Annotated[str, AfterValidator(_check_amounts)]
Networks = Annotated[str, AfterValidator(_check_networks)]
TimeZone = Annotated[str, AfterValidator(_check_zone)]
