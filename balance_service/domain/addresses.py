"""E-mail addresses: what is accepted is what is mailed, character by character."""

import re
import unicodedata

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

from balance_service.domain import errors

# RFC 5321's path of 256, less its angle brackets.
LENGTH_MAX = 254
# By the letter these are addresses, and mail software reads other ones in them: it decodes
# `=?utf-8?q?=61?=` (RFC 2047), and takes `victim%example.org@` and `example.org!victim@` as orders
# to pass the mail on (RFC 5321, appendix C).
_MISREAD = re.compile(r"=\?|[%!]")

# Which domains can be reached from here is the mail server's to say, such as `.local` in a company.
SPECIAL_USE_DOMAIN_NAMES.clear()


def parse_email(value: str, field: str = "email") -> str:
    """Reads an e-mail address; returned in lower case, with an international domain in ASCII.

    Args:
        value: As typed; spaces around it are no part of it.
        field: The field it comes from.

    Raises:
        InvalidFields: It is none, or mail software might read another address in it. Quoted local
            parts, comments, routes, IP addresses and local parts beyond ASCII are none.
    """
    typed = value.strip(" ")
    # The length is checked first, so that a long text costs nothing.
    address = _normalized(typed) if len(typed) <= LENGTH_MAX else None
    if address is None:
        raise errors.invalid(field, "must be an e-mail address")
    return address


def _normalized(typed: str) -> str | None:
    try:
        address = validate_email(
            typed,
            allow_smtputf8=False,
            check_deliverability=False,
            strict=True,
            globally_deliverable=False,
        )
    except EmailNotValidError:
        return None
    domain = typed.rpartition("@")[2]
    # IDNA maps look-alikes and drops what is invisible: an address that it changes is not the one
    # that was typed.
    unchanged = domain.lower() in (address.domain, address.ascii_domain)
    if not unchanged or not unicodedata.is_normalized("NFKC", domain):
        return None
    _, dot, last = address.ascii_domain.rpartition(".")
    if not dot or last.isdigit() or _MISREAD.search(address.local_part):
        return None
    return f"{address.local_part}@{address.ascii_domain}".lower()
