"""JSON bodies, and what of them is a field and a field's value.

Everything here reads its input once. Numbers, times and names have one spelling each, stricter than
protobuf's own JSON: a whole number is ASCII digits with at most a minus sign, as a number or in
quotes, and an enum's value is its name.
"""

import functools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NoReturn, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from balance_service.calls import http
from balance_service.domain import errors
from balance_service.domain.errors import Violation

Field = FieldDescriptor
Json = Any  # What json.loads gives.

# A full batch, each transfer with all its metadata, has some 24,000.
MEMBERS_MAX = 25_000
# A batch's metadata are the fourth level.
NESTING_MAX = 8
MASK = "google.protobuf.FieldMask"
TIMESTAMP = "google.protobuf.Timestamp"
_RANGES = {
    Field.CPPTYPE_INT32: range(-(1 << 31), 1 << 31),
    Field.CPPTYPE_INT64: range(-(1 << 63), 1 << 63),
    Field.CPPTYPE_UINT32: range(1 << 32),
    Field.CPPTYPE_UINT64: range(1 << 64),
}
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,19}")
# RFC 3339, 5.6, in the capitals that protobuf's JSON insists on.
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
    r"(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
)
_PATHS = re.compile(r"(\*|[A-Za-z0-9_.]+(,[A-Za-z0-9_.]+)*)?")


def json_object(body: bytes) -> dict[str, Json]:
    """The object that a body is; an empty one if there is no body.

    Raises:
        Refusal: It is no JSON object in UTF-8, says one thing twice, or has more in it than
            any request.
    """
    if not body.strip():
        return {}
    try:
        text = body.decode()
        data = json.loads(text, object_pairs_hook=_without_repeats, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise http.RequestMalformed from None
    if not isinstance(data, dict):
        raise http.RequestMalformed
    _check_shape(data)
    return data


def fields(message: Message) -> Mapping[str, FieldDescriptor]:
    """A message's fields by their names in both cases."""
    return _fields(cast("Descriptor", message.DESCRIPTOR))


@functools.cache
def inner(field: FieldDescriptor) -> Descriptor | None:
    """The message of ours that a field is, or is a list of; None for a map or a known type."""
    found = field.message_type
    if found is None or _is_map(field) or found.full_name.startswith("google."):
        return None
    return found


def violations(message: Message, data: dict[str, Json], prefix: str) -> Iterator[Violation]:
    """What of an object is no field, is a field given twice, or is not of its field's kind.

    Args:
        message: What the object is to be.
        data: The object.
        prefix: What comes before its fields' names.
    """
    return _violations(cast("Descriptor", message.DESCRIPTOR), data, prefix)


def is_text(field: FieldDescriptor) -> bool:
    """Whether a field is a message whose JSON is a string."""
    kind = field.message_type
    return kind is not None and kind.full_name in (TIMESTAMP, MASK)


def is_value(field: FieldDescriptor, value: Json) -> bool:
    """Whether JSON is a value of a field, or one of its values if it has several."""
    if is_text(field):
        return isinstance(value, str) and _is_text_value(field, value)
    if field.enum_type is not None:
        return isinstance(value, str) and value in field.enum_type.values_by_name
    if field.cpp_type == Field.CPPTYPE_BOOL:
        return isinstance(value, bool)
    if allowed := _RANGES.get(field.cpp_type):
        if isinstance(value, str) and _WHOLE.fullmatch(value):
            value = int(value)
        return type(value) is int and value in allowed
    return isinstance(value, str) and _is_unicode(value)


def expected(field: FieldDescriptor) -> str:
    """What a field's value must be, in words."""
    if field.message_type is not None:
        if _is_map(field):
            return "must be an object of strings"
        if field.message_type.full_name == TIMESTAMP:
            return 'must be a time, such as "2026-01-31T12:00:00Z"'
        if field.message_type.full_name == MASK:
            return 'must name fields, such as "name,price"'
        return "must be an object"
    if field.enum_type is not None:
        names = ", ".join(value.name for value in field.enum_type.values)
        return f"must be one of {names}"
    if field.cpp_type == Field.CPPTYPE_BOOL:
        return "must be true or false"
    if field.cpp_type in _RANGES:
        return "must be a whole number of the field's range"
    return "must be a string"


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _without_repeats(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """An object, unless it says one thing twice: which of two amounts was meant, nobody knows."""
    found: dict[str, Json] = {}
    for name, value in pairs:
        if name in found:
            raise errors.invalid(name, "must be given once")
        found[name] = value
    return found


def _check_shape(data: dict[str, Json]) -> None:
    """Raises errors.Refusal if there is more in a body, or deeper, than in any request."""
    level: list[Json] = [data]
    members = 0
    for _ in range(NESTING_MAX):
        members += sum(map(len, level))
        if members > MEMBERS_MAX:
            raise http.malformed("body", f"must have at most {MEMBERS_MAX} names and items")
        level = [
            value
            for outer in level
            for value in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(value, dict | list)
        ]
        if not level:
            return
    raise http.malformed("body", f"must be nested at most {NESTING_MAX} deep")


@functools.cache
def _fields(descriptor: Descriptor) -> Mapping[str, FieldDescriptor]:
    return {**descriptor.fields_by_camelcase_name, **descriptor.fields_by_name}


@functools.cache
def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _violations(descriptor: Descriptor, data: dict[str, Json], prefix: str) -> Iterator[Violation]:
    known = _fields(descriptor)
    seen: set[str] = set()
    for name, value in data.items():
        field = known.get(name)
        if field is None:
            yield Violation(prefix + name, "is not a field of this request")
        elif field.name in seen:
            yield Violation(prefix + field.name, "must be given once")
        else:
            seen.add(field.name)
            # Null is protobuf's word for a field that is not given.
            if value is not None:
                yield from _of_value(field, value, prefix + field.name)


def _of_value(field: FieldDescriptor, value: Json, place: str) -> Iterable[Violation]:
    message = inner(field)
    if _is_map(field):
        strings = isinstance(value, dict) and all(
            isinstance(text, str) and _is_unicode(key) and _is_unicode(text)
            for key, text in value.items()
        )
        return () if strings else (Violation(place, expected(field)),)
    if field.is_repeated:
        if not isinstance(value, list):
            return (Violation(place, "must be a list"),)
        return _of_items(field, message, value, place)
    if message is not None:
        if not isinstance(value, dict):
            return (Violation(place, expected(field)),)
        return _violations(message, value, f"{place}.")
    return () if is_value(field, value) else (Violation(place, expected(field)),)


def _of_items(
    field: FieldDescriptor, message: Descriptor | None, items: list[Json], place: str
) -> Iterator[Violation]:
    for index, item in enumerate(items):
        if message is None:
            if not is_value(field, item):
                yield Violation(f"{place}[{index}]", expected(field))
        elif isinstance(item, dict):
            yield from _violations(message, item, f"{place}[{index}].")
        else:
            yield Violation(f"{place}[{index}]", "must be an object")


def _is_text_value(field: FieldDescriptor, text: str) -> bool:
    is_time = field.message_type is not None and field.message_type.full_name == TIMESTAMP
    if not (_TIME if is_time else _PATHS).fullmatch(text):
        return False
    try:
        (Timestamp if is_time else FieldMask)().FromJsonString(text)
    except ValueError:
        return False
    return True


def _is_unicode(text: str) -> bool:
    """Whether a text has no lone surrogate, which JSON can spell and UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
