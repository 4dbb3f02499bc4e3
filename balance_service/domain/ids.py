"""Identifiers: time-ordered UUIDs, and the short numbers that people read out.

A movement's id is derived from who asked and the request id they sent. One primary key then decides
that a request is carried out once, on one machine or on a cluster sharded by that key, and no
second index is needed to find it again.
"""

import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from uuid import UUID

import uuid_utils
from uuid_utils import compat

_RANDOM_BITS_V7 = (1 << 62) - 1 | (0xFFF << 64)
_CUSTOM_BITS_V8 = ((1 << 128) - 1) & ~(0xF << 76) & ~(0x3 << 62)
_VARIANT = 0x2 << 62
_UNIX_EPOCH = datetime.fromtimestamp(0, UTC)


def new_id() -> UUID:
    """A new UUIDv7 (RFC 9562), which sorts by the time it was made."""
    return compat.uuid7()


def new_hex() -> str:
    """A new UUIDv7 as 32 digits, at a sixth of what `new_id` costs."""
    return uuid_utils.uuid7().hex


def dated_id(moment: datetime) -> UUID:
    """A new UUIDv7 that sorts by a moment, to its microsecond (RFC 9562, 6.2, method 3)."""
    milliseconds, microseconds = divmod((moment - _UNIX_EPOCH) // timedelta(microseconds=1), 1000)
    fraction = microseconds * 4096 // 1000
    time_bits = (milliseconds << 80) | (0x7 << 76) | (fraction << 64)
    return UUID(int=time_bits | _VARIANT | secrets.randbits(62))


def first_id(moment: datetime) -> UUID:
    """What every UUIDv7 of a moment, or of a later one, is equal to or greater than."""
    return UUID(int=(moment - _UNIX_EPOCH) // timedelta(milliseconds=1) << 80)


def time_of(version_7_id: UUID) -> datetime:
    """When a UUIDv7 says that it was made, to the millisecond."""
    return _UNIX_EPOCH + timedelta(milliseconds=version_7_id.int >> 80)


def derived_id(scope: str, request_id: UUID) -> UUID:
    """The id that a request id stands for within a scope: always the same one.

    A version 7 request id lends its time, so that the ids of callers who send those sort by time
    and fill an index from one end; any other request id gives a version 8 UUID (RFC 9562, 5.8) that
    is all digest.

    Args:
        scope: Who asked, such as `user:<id>`.
        request_id: The request id they sent.
    """
    sent = request_id.int
    digest = hashlib.sha256(scope.encode() + b"\x00" + sent.to_bytes(16, "big")).digest()
    bits = int.from_bytes(digest[:16], "big")
    if (sent >> 76) & 0xF == 7 and (sent >> 62) & 0x3 == 2:
        time_bits = (sent >> 80) << 80
        return UUID(int=time_bits | (0x7 << 76) | _VARIANT | (bits & _RANDOM_BITS_V7))
    return _v8(digest)


def occurrence_id(schedule_id: UUID, occurs_at: datetime) -> UUID:
    """The request id of a schedule's occurrence: a UUIDv7 of its time, always the same one."""
    microseconds = (occurs_at - _UNIX_EPOCH) // timedelta(microseconds=1)
    dated = microseconds // 1000 << 80 | 0x7 << 76 | _VARIANT | microseconds % 1000
    return derived_id(f"schedule/{schedule_id}", UUID(int=dated))


def text_id(text: str) -> UUID:
    """The request id that a caller's text stands for: a version 8 UUID, always the same one."""
    return _v8(hashlib.sha256(b"text of a request id\x00" + text.encode()).digest())


def _v8(digest: bytes) -> UUID:
    bits = int.from_bytes(digest[:16], "big")
    return UUID(int=(bits & _CUSTOM_BITS_V8) | (0x8 << 76) | _VARIANT)


def named_id(name: str) -> UUID:
    """The id of something that the service itself names, such as a system account."""
    return derived_id(name, UUID(int=0))


def new_account_number() -> int:
    """A random ten-digit account number whose last digit checks the others."""
    body = secrets.randbelow(900_000_000) + 100_000_000
    return body * 10 + _luhn_digit(body)


def is_account_number(text: str) -> bool:
    """Whether the text is ten digits with the right check digit."""
    if len(text) != 10 or not (text.isascii() and text.isdigit()) or text[0] == "0":
        return False
    number = int(text)
    return _luhn_digit(number // 10) == number % 10


def _luhn_digit(body: int) -> int:
    """The check digit of ISO/IEC 7812-1 (Luhn)."""
    total = 0
    for index, digit in enumerate(reversed(str(body))):
        doubled = int(digit) * (2 - index % 2)
        total += doubled // 10 + doubled % 10
    return -total % 10
