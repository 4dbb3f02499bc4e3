"""Money: a whole number of a currency's minor units.

On the wire an amount is a decimal string in major units with an ISO 4217 code, so that "100" means
100 roubles and never 100 kopecks. Inside it is an int64 of minor units, because floats round. The
size of a minor unit is implied in every stored amount, so the table of
precisions is the service's own and changes only with a migration.
"""

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from balance_service.domain import errors

MINOR_MAX = 2**63 - 1
DEFAULT_CURRENCY = "RUB"

# ISO 4217 active codes by number of decimals (SIX Group, list one). Funds, metals and testing codes
# are left out: no balance is kept in them.
_BY_DECIMALS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
    2: (
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD "
        "CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD "
        "GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL "
        "MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN "
        "PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP "
        "SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VES WST XCD XCG YER ZAR ZMW ZWG"
    ),
    3: "BHD IQD JOD KWD LYD OMR TND",
}
DECIMALS = {code: decimals for decimals, codes in _BY_DECIMALS.items() for code in codes.split()}
_DECIMALS_MAX = max(_BY_DECIMALS)

_AMOUNT = re.compile(r"(0|[1-9][0-9]*)(?:\.([0-9]+))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Money:
    """An amount of money.

    Args:
        minor: Whole minor units (kopecks, cents), within int64.
        currency: ISO 4217 code.
    """

    minor: int
    currency: str

    def __str__(self) -> str:
        return format_minor(self.minor, self.currency)


def parse_currency(text: str, field: str, default: str = DEFAULT_CURRENCY) -> str:
    """Reads an ISO 4217 code; an empty one is the default.

    Raises:
        InvalidFields: The code is not one that balances are kept in.
    """
    code = text or default
    if code not in DECIMALS:
        raise errors.invalid(field, "must be an active ISO 4217 currency code, in capitals")
    return code


def parse_amount(text: str, currency: str, field: str, minimum_minor: int = 1) -> Money:
    """Reads a decimal string exactly.

    Args:
        text: Digits, with at most one point; no sign, exponent, spaces or leading zeros.
        currency: ISO 4217 code, already checked.
        field: The request's field, for the refusal.
        minimum_minor: The least amount allowed, in minor units.

    Raises:
        InvalidFields: The text is not such an amount, has more decimals than the currency, is below
            the minimum or beyond int64.
    """
    decimals = DECIMALS[currency]
    whole, fraction = _digits(text, field)
    if len(fraction) > decimals:
        raise errors.invalid(field, f"must have at most {decimals} decimals in {currency}")
    minor = int(whole + fraction.ljust(decimals, "0"))
    if minor < minimum_minor:
        least = format_minor(minimum_minor, currency)
        raise errors.invalid(field, f"must be at least {least} {currency}")
    if minor > MINOR_MAX:
        raise errors.invalid(field, f"must be at most {format_minor(MINOR_MAX, currency)}")
    return Money(minor, currency)


def parse_table(text: str, field: str) -> dict[str, int]:
    """Reads amounts by currency, such as `RUB=100000.00,USD=1000`.

    Args:
        text: Pairs separated by commas, each currency once; empty for none.
        field: What they are, for the refusal.

    Returns:
        Minor units, of at least 0, by ISO 4217 code.

    Raises:
        InvalidFields: The text is no such table.
    """
    table: dict[str, int] = {}
    for pair in filter(None, text.split(",")):
        code, _, number = (part.strip() for part in pair.partition("="))
        if code in table or code not in DECIMALS:
            raise errors.invalid(field, "must name active ISO 4217 currency codes, each once")
        table[code] = parse_amount(number, code, field, minimum_minor=0).minor
    return table


def parse_number(text: str, field: str, *, zero: bool = False) -> Decimal:
    """Reads an amount whose currency is not known yet; `parse_amount` holds it to that later.

    Args:
        text: As for `parse_amount`.
        field: The request's field, for the refusal.
        zero: Whether it may be nothing.

    Raises:
        InvalidFields: No currency has such an amount.
    """
    whole, fraction = _digits(text, field)
    if len(fraction) > _DECIMALS_MAX:
        raise errors.invalid(field, f"must have at most {_DECIMALS_MAX} decimals")
    if int(whole) > MINOR_MAX:
        raise errors.invalid(field, f"must be at most {MINOR_MAX}")
    if not zero and int(whole + fraction) == 0:
        raise errors.invalid(field, "must be above zero")
    return Decimal(text)


def _digits(text: str, field: str) -> tuple[str, str]:
    """The digits before and after the point."""
    match = _AMOUNT.fullmatch(text) if len(text) <= 40 else None
    if match is None:
        raise errors.invalid(field, 'must be a decimal string such as "100.50"')
    return match[1], match[2] or ""


def format_minor(minor: int, currency: str) -> str:
    """The decimal string of an amount, with all the currency's decimals.

    Args:
        minor: Minor units, of either sign.
        currency: ISO 4217 code.
    """
    decimals = DECIMALS[currency]
    if decimals == 0:
        return str(minor)
    sign = "-" if minor < 0 else ""
    digits = str(abs(minor)).rjust(decimals + 1, "0")
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}"


def convert_minor(minor: int, currency: str, target: str, rate: Decimal) -> int:
    """Converts an amount, rounding half to even at the target's own precision.

    Half-even is IEEE 754's roundTiesToEven: over many conversions it favours neither side.

    Args:
        minor: Minor units of `currency`, of either sign.
        currency: ISO 4217 code converted from.
        target: ISO 4217 code converted to.
        rate: Units of target for one unit of currency.

    Returns:
        Minor units of target; not limited to int64.
    """
    return round(exact_minor(minor, currency, target, rate))


def exact_minor(minor: int, currency: str, target: str, rate: Decimal) -> Fraction:
    """What `convert_minor` rounds: an amount in minor units of the target, and parts of one."""
    scale = Fraction(10) ** (DECIMALS[target] - DECIMALS[currency])
    return minor * Fraction(rate) * scale


def share_minor(total_minor: int, part: int, whole: int, *, up: bool = False) -> int:
    """The share of a total that a part has in the whole, rounded half to even.

    Args:
        total_minor: What is shared, in minor units.
        part: From 0 to the whole.
        whole: Above 0.
        up: Whether it is rounded up instead.
    """
    exact = Fraction(total_minor * part, whole)
    return math.ceil(exact) if up else round(exact)
