"""Which JSON is a value of which field, in bodies and in the text of queries and paths.

Everything here reads its input once. Numbers, times and names have one spelling each, stricter than
protobuf's own JSON: a whole number is ASCII digits with at most a minus sign, as a number or in
quotes, and an enum's value is its name.
"""

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from balance_service.domain import errors
from balance_service.domain.errors import Violation

Field = FieldDescriptor
Json = Any  # What json.loads returns.

MASK = "google.protobuf.FieldMask"
TIMESTAMP = "google.protobuf.Timestamp"
_INTEGER_RANGES = {
    Field.CPPTYPE_INT32: range(-(1 << 31), 1 << 31),
    Field.CPPTYPE_INT64: range(-(1 << 63), 1 << 63),
    Field.CPPTYPE_UINT32: range(1 << 32),
    Field.CPPTYPE_UINT64: range(1 << 64),
}
# At most 20 digits, as 64 bits have: int() takes a time that grows with the square of the digits.
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,19}")
# RFC 3339, 5.6, in the capitals that protobuf's JSON insists on.
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
    r"(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
)
# Where a name in snake_case starts another word.
_WORD_START = re.compile(r"(?<=[a-z0-9])_([a-z])", re.ASCII)
_MASK_PATHS = re.compile(r"(\*|[A-Za-z0-9_.]+(,[A-Za-z0-9_.]+)*)?")


def fields_by_name(message: Message) -> Mapping[str, Field]:
    """A message's fields by their names in snake_case and in camelCase."""
    return _fields_by_name(cast("Descriptor", message.DESCRIPTOR))


@functools.cache
def contract_message(field: Field) -> Descriptor | None:
    """The contract's message that a field holds, or a list of it.

    None for a map, for Google's well-known types, and for what is no message.
    """
    message = field.message_type
    if message is None or _is_map(field) or message.full_name.startswith("google."):
        return None
    return message


def find_violations(message: Message, data: dict[str, Json], prefix: str) -> Iterator[Violation]:
    """Yields what of an object is not a field, is given twice, or is not a value of its field.

    Args:
        message: The message that the object is to become.
        data: The object.
        prefix: What comes before its fields' names, such as `user.`.
    """
    return _find_in_object(cast("Descriptor", message.DESCRIPTOR), data, prefix)


def is_text_message(field: Field) -> bool:
    """Whether a field is a message whose JSON is a string."""
    message = field.message_type
    return message is not None and message.full_name in (TIMESTAMP, MASK)


def is_value(field: Field, value: Json) -> bool:
    """Whether JSON is a value of a field, or one of its values if it has several."""
    if is_text_message(field):
        return isinstance(value, str) and _is_text_value(field, value)
    if field.enum_type is not None:
        return isinstance(value, str) and value in field.enum_type.values_by_name
    if field.cpp_type == Field.CPPTYPE_BOOL:
        return isinstance(value, bool)
    if integers := _INTEGER_RANGES.get(field.cpp_type):
        if isinstance(value, str) and _INTEGER.fullmatch(value):
            value = int(value)
        # By its type, since True and False are ints to isinstance.
        return type(value) is int and value in integers
    return isinstance(value, str) and _is_unicode(value)


def describe_value(field: Field) -> str:
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
    if field.cpp_type in _INTEGER_RANGES:
        return "must be a whole number of the field's range"
    return "must be a string"


def set_from_text(message: Message, field: Field, text: str, name: str) -> None:
    """Sets a field from the text of a path, a query or a header; adds to one that is repeated.

    Args:
        message: The message that has the field.
        field: A field of the message.
        text: Its value, decoded.
        name: The field's path from the request, for the refusal.

    Raises:
        Refusal: The text is not a value of the field.
    """
    value: Json = text
    if field.cpp_type == Field.CPPTYPE_BOOL:
        value = {"true": True, "false": False}.get(text, text)
    elif field.message_type is not None and field.message_type.full_name == MASK:
        # protobuf's own JSON knows a mask in camelCase alone.
        value = _WORD_START.sub(lambda match: match[1].upper(), text)
    if not is_value(field, value):
        raise errors.invalid(name, describe_value(field))
    if field.is_repeated:
        value = [*getattr(message, field.name), value]
    json_format.ParseDict({field.name: value}, message)


@functools.cache
def _fields_by_name(descriptor: Descriptor) -> Mapping[str, Field]:
    return {**descriptor.fields_by_camelcase_name, **descriptor.fields_by_name}


@functools.cache
def _is_map(field: Field) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _find_in_object(
    descriptor: Descriptor, data: dict[str, Json], prefix: str
) -> Iterator[Violation]:
    fields = _fields_by_name(descriptor)
    seen: set[str] = set()
    chosen: dict[str, str] = {}
    for name, value in data.items():
        field = fields.get(name)
        if field is None:
            yield Violation(prefix + name, "is not a field of this request")
        elif field.name in seen:
            yield Violation(prefix + field.name, "must be given once")
        else:
            seen.add(field.name)
            # Protobuf's JSON takes null for a field that is not given.
            if value is None:
                continue
            choice = field.containing_oneof
            if choice is not None and (other := chosen.setdefault(choice.name, name)) != name:
                yield Violation(prefix + field.name, f"must not be given beside {other}")
            yield from _find_in_value(field, value, prefix + field.name)


def _find_in_value(field: Field, value: Json, path: str) -> Iterable[Violation]:
    message = contract_message(field)
    if _is_map(field):
        return () if _is_map_of_strings(value) else (Violation(path, describe_value(field)),)
    if field.is_repeated:
        if not isinstance(value, list):
            return (Violation(path, "must be a list"),)
        return _find_in_list(field, message, value, path)
    if message is not None:
        if not isinstance(value, dict):
            return (Violation(path, describe_value(field)),)
        return _find_in_object(message, value, f"{path}.")
    return () if is_value(field, value) else (Violation(path, describe_value(field)),)


def _find_in_list(
    field: Field, message: Descriptor | None, items: list[Json], path: str
) -> Iterator[Violation]:
    for index, item in enumerate(items):
        if message is None:
            if not is_value(field, item):
                yield Violation(f"{path}[{index}]", describe_value(field))
        elif isinstance(item, dict):
            yield from _find_in_object(message, item, f"{path}[{index}].")
        else:
            yield Violation(f"{path}[{index}]", "must be an object")


def _is_map_of_strings(value: Json) -> bool:
    return isinstance(value, dict) and all(
        isinstance(text, str) and _is_unicode(key) and _is_unicode(text)
        for key, text in value.items()
    )


def _is_text_value(field: Field, text: str) -> bool:
    is_time = field.message_type is not None and field.message_type.full_name == TIMESTAMP
    if not (_TIME if is_time else _MASK_PATHS).fullmatch(text):
        return False
    # The expressions check the spelling; that there is no 13th month, protobuf knows.
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
