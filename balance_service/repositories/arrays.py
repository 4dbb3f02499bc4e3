"""Columns of values as Postgres arrays in binary form, for set-wise statements.

Postgres took a fifth of its time for a batch to parse arrays sent as text. A column is built here,
rather than by psycopg's list dumper, in one join instead of one call an element, and has one type
however large its numbers are, so that a statement is prepared once.

The form is that of `array_recv` and of each element type's `recv` function in PostgreSQL's sources
(src/backend/utils/adt/): a header of dimensions, a flag for nulls and the element type's oid, then
each element after its length in bytes, -1 for a null; all numbers big-endian.
"""

import json
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import ClassVar, TypeVar
from uuid import UUID

import psycopg
from psycopg.adapt import Buffer, Dumper
from psycopg.pq import Format

T = TypeVar("T")

_HEADER = struct.Struct(">iiIii")
_EMPTY = struct.Struct(">iiI")
_LENGTH = struct.Struct(">i").pack
_NULL = _LENGTH(-1)
_UUID_LENGTH = _LENGTH(16)
_TRUE = _LENGTH(1) + b"\x01"
_BIGINT = struct.Struct(">iq").pack
_SMALLINT = struct.Struct(">ih").pack
# Postgres counts microseconds from here.
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# A jsonb is its text after the version of the form.
_JSONB_VERSION = b"\x01"


class Array:
    """A one-dimensional array of one of Postgres's types.

    Args:
        elements: Each element's length and bytes, one after the other.
        count: How many there are.
    """

    __slots__ = ("data",)
    element_oid: ClassVar[int]

    def __init__(self, elements: bytes, count: int) -> None:
        oid = self.element_oid
        # The flag for nulls is always 1, because `array_recv` ignores it and looks for them itself.
        head = _HEADER.pack(1, 1, oid, count, 1) if count else _EMPTY.pack(0, 0, oid)
        self.data = head + elements


class UuidArray(Array):
    element_oid = 2950


class BigintArray(Array):
    element_oid = 20


class BooleanArray(Array):
    element_oid = 16


class SmallintArray(Array):
    element_oid = 21


class TextArray(Array):
    element_oid = 25


class TimestamptzArray(Array):
    element_oid = 1184


class JsonbArray(Array):
    element_oid = 3802


class _ArrayDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Array) -> Buffer:
        return obj.data


def _register(array: type[Array]) -> None:
    oid = psycopg.postgres.types[array.element_oid].array_oid
    dumper = type(f"_{array.__name__}Dumper", (_ArrayDumper,), {"oid": oid})
    psycopg.adapters.register_dumper(array, dumper)


for _array in Array.__subclasses__():
    _register(_array)


def uuids(values: Iterable[UUID | None]) -> UuidArray:
    """A column of ids."""
    parts = [_NULL if v is None else _UUID_LENGTH + v.bytes for v in values]
    return UuidArray(b"".join(parts), len(parts))


def bigints(values: Iterable[int | None]) -> BigintArray:
    """A column of whole numbers of 64 bits."""
    parts = [_NULL if v is None else _BIGINT(8, v) for v in values]
    return BigintArray(b"".join(parts), len(parts))


def booleans(values: Iterable[bool]) -> BooleanArray:
    """A column of truths; a false one is null, which takes no room in a row."""
    parts = [_TRUE if v else _NULL for v in values]
    return BooleanArray(b"".join(parts), len(parts))


def smallints(values: Iterable[int]) -> SmallintArray:
    """A column of whole numbers of 16 bits."""
    parts = [_SMALLINT(2, v) for v in values]
    return SmallintArray(b"".join(parts), len(parts))


def texts(values: Iterable[str | None]) -> TextArray:
    """A column of texts, many of which are mostly the same."""
    parts = _each(values, str.encode)
    return TextArray(b"".join(parts), len(parts))


def times(values: Iterable[datetime | None]) -> TimestamptzArray:
    """A column of moments; the rows of a commit mostly share one."""
    parts = _each(values, _microseconds)
    return TimestamptzArray(b"".join(parts), len(parts))


def decimals(values: Iterable[Decimal | int | None]) -> str:
    """A column of exact numbers, as text: few statements have one, and their form is intricate."""
    return "{" + ",".join(map(_exact, values)) + "}"


def objects(values: Iterable[Mapping[str, str]]) -> JsonbArray:
    """A column of JSON objects; an empty one is null."""
    parts = [_object(v) if v else _NULL for v in values]
    return JsonbArray(b"".join(parts), len(parts))


def _each(values: Iterable[T | None], encode: Callable[[T], bytes]) -> Sequence[bytes]:
    """Each value encoded, once for all that are equal."""
    known: dict[T | None, bytes] = {None: _NULL}
    parts = []
    for value in values:
        part = known.get(value)
        if part is None:
            assert value is not None, "known from the start"
            data = encode(value)
            part = known[value] = _LENGTH(len(data)) + data
        parts.append(part)
    return parts


def _microseconds(moment: datetime) -> bytes:
    return ((moment - _EPOCH) // _MICROSECOND).to_bytes(8, "big", signed=True)


def _object(value: Mapping[str, str]) -> bytes:
    data = _JSONB_VERSION + json.dumps(dict(value), ensure_ascii=False).encode()
    return _LENGTH(len(data)) + data


def _exact(value: Decimal | int | None) -> str:
    if value is None:
        return "NULL"
    # Formatted as a Decimal is, a whole number would become a float on the way.
    return str(value) if isinstance(value, int) else f"{value:f}"
