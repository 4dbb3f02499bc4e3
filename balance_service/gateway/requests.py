"""HTTP requests as request messages: path, query, body, field mask and idempotency key.

Each field is bound from one place. Names are accepted in snake_case and in camelCase; what is not a
field is refused with its name, for a misspelt optional field must not be lost in silence.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn, cast

from google.api import field_behavior_pb2
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from balance_service.gateway.refusals import GatewayRefusal, Violation, invalid
from balance_service.gateway.routes import Binding

Field = FieldDescriptor
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"', re.ASCII)
MASK = "google.protobuf.FieldMask"
TIMESTAMP = "google.protobuf.Timestamp"
_INTEGERS = {Field.CPPTYPE_INT32, Field.CPPTYPE_INT64, Field.CPPTYPE_UINT32, Field.CPPTYPE_UINT64}

Json = Any  # What json.loads gives.


def request_of(
    binding: Binding,
    variables: Mapping[str, str],
    query: Iterable[tuple[str, str]],
    body: bytes,
    idempotency_key: str | None = None,
) -> Message:
    """The request message of an HTTP request.

    Args:
        binding: What it matched.
        variables: Of its path.
        query: Names and values, decoded.
        body: JSON, or nothing.
        idempotency_key: Its header, which is the field `request_id`: a string in quotes, as
            draft-ietf-httpapi-idempotency-key-header has it, or its bare text. None if there is
            none.

    Raises:
        GatewayRefusal: It is not of the contract's form.
    """
    message: Message = GetMessageClass(binding.method.input)()
    given = list(query)
    _read_body(binding, message, body, any(same(name, "update_mask") for name, _ in given))
    if binding.body == "*" and given:
        raise invalid(given[0][0], "must be in the body")
    seen: set[str] = set()
    for name, value in given:
        _set_text(message, name, value, seen, binding)
    for name, value in variables.items():
        _set_variable(message, name, value)
    if idempotency_key is not None and "request_id" in binding.method.input.fields_by_name:
        key = _key(idempotency_key.strip(" \t"))
        if not key:
            raise invalid("request_id", "must not be empty in the header Idempotency-Key")
        _set_variable(message, "request_id", key, "the header Idempotency-Key")
    return message


def _key(header: str) -> str:
    """What a string of RFC 9651 says, or the header as it is where it does not start as one."""
    if not header.startswith('"'):
        return header
    quoted = _QUOTED.fullmatch(header)
    if quoted is None:
        rule = "must be bare text or one string in quotes (RFC 9651) in the header Idempotency-Key"
        raise invalid("request_id", rule)
    return re.sub(r"\\(.)", r"\1", quoted[1])


def same(given: str, name: str) -> bool:
    """Whether a given name is that of a field, in either case."""
    return given == name or given == _camel(name)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _read_body(binding: Binding, message: Message, body: bytes, mask_given: bool) -> None:  # noqa: FBT001
    data = _json_object(body)
    if not binding.body:
        if data:
            raise invalid(next(iter(data)), "is not accepted in a body here")
        return
    target, prefix = message, ""
    if binding.body != "*":
        target, prefix = getattr(message, binding.body), f"{binding.body}."
        target.SetInParent()
    violations = list(_name_violations(_descriptor(target), data, prefix))
    if not violations:
        try:
            json_format.ParseDict(data, target)
        except (json_format.ParseError, ValueError, RecursionError):
            violations = list(_value_violations(_descriptor(target), data, prefix))
            if not violations:
                raise GatewayRefusal("MALFORMED_REQUEST") from None
    if violations:
        raise GatewayRefusal("INVALID_FIELD", tuple(violations))
    mask = binding.method.input.fields_by_name.get("update_mask")
    if binding.verb == "PATCH" and mask and prefix and not mask_given:
        getattr(message, mask.name).paths.extend(_changed(_descriptor(target), data))


def _json_object(body: bytes) -> dict[str, Json]:
    if not body.strip():
        return {}
    try:
        data = json.loads(body, object_pairs_hook=_without_repeats, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise GatewayRefusal("MALFORMED_REQUEST") from None
    if not isinstance(data, dict):
        raise GatewayRefusal("MALFORMED_REQUEST")
    return data


def _without_repeats(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """An object, unless it says one thing twice: which of two amounts was meant, nobody knows."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise invalid(next(n for n in names if names.count(n) > 1), "must be given once")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _descriptor(message: Message) -> Descriptor:
    """A message's descriptor, whichever implementation of protobuf it is from."""
    return cast("Descriptor", message.DESCRIPTOR)


def _field(descriptor: Descriptor, name: str) -> FieldDescriptor | None:
    return descriptor.fields_by_name.get(name) or descriptor.fields_by_camelcase_name.get(name)


def _inner(field: FieldDescriptor) -> Descriptor | None:
    """The message of ours that a field is, or is a list of; None for a map or a known type."""
    inner = field.message_type
    if inner is None or inner.GetOptions().map_entry or inner.full_name.startswith("google."):
        return None
    return inner


def _name_violations(descriptor: Descriptor, data: Json, prefix: str) -> Iterable[Violation]:
    """Names that are no fields, and fields named in both cases."""
    if not isinstance(data, dict):
        return
    seen: set[str] = set()
    for name, value in data.items():
        field = _field(descriptor, name)
        if field is None:
            yield Violation(prefix + name, "is not a field of this request")
        elif field.name in seen:
            yield Violation(prefix + field.name, "must be given once")
        else:
            seen.add(field.name)
            inner = _inner(field)
            if inner and isinstance(value, list):
                for index, item in enumerate(value):
                    yield from _name_violations(inner, item, f"{prefix}{field.name}[{index}].")
            elif inner:
                yield from _name_violations(inner, value, f"{prefix}{field.name}.")


def _value_violations(descriptor: Descriptor, data: Json, prefix: str) -> Iterable[Violation]:
    """Fields whose values are of the wrong kind."""
    for name, value in data.items():
        field = _field(descriptor, name)
        assert field is not None, "names were checked before"
        inner = _inner(field)
        if inner and isinstance(value, dict):
            yield from _value_violations(inner, value, f"{prefix}{field.name}.")
        elif inner and isinstance(value, list) and field.is_repeated:
            for index, item in enumerate(value):
                place = f"{prefix}{field.name}[{index}]"
                if isinstance(item, dict):
                    yield from _value_violations(inner, item, f"{place}.")
                else:
                    yield Violation(place, "must be an object")
        else:
            try:
                json_format.ParseDict({name: value}, GetMessageClass(descriptor)())
            except (json_format.ParseError, ValueError, RecursionError):
                yield Violation(prefix + field.name, _expected(field))


def _expected(field: FieldDescriptor) -> str:
    """What a field's value must be, in words."""
    if field.message_type is not None:
        if field.message_type.GetOptions().map_entry:
            return "must be an object of strings"
        if field.is_repeated:
            return "must be a list"
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
    if field.cpp_type in _INTEGERS:
        return "must be a whole number of the field's range"
    return "must be a string"


def _changed(descriptor: Descriptor, data: dict[str, Json]) -> Iterable[str]:
    """The field mask that a PATCH without one means: what its body names (AIP-134).

    What callers cannot set is left out (AIP-203), as is the etag, which is a condition (AIP-154).
    """
    for name in data:
        field = _field(descriptor, name)
        assert field is not None, "names were checked before"
        behaviors = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
        if field.name != "etag" and field_behavior_pb2.OUTPUT_ONLY not in behaviors:
            yield field.name


def _set_text(message: Message, name: str, value: str, seen: set[str], binding: Binding) -> None:
    """Sets a field that the query names, such as `filter.start_time`."""
    target, path = message, []
    *parents, last = name.split(".")
    for parent in parents:
        field = _field(_descriptor(target), parent)
        if field is None or field.is_repeated or not _inner(field):
            raise invalid(name, "is not a field of this request")
        path.append(field.name)
        target = getattr(target, field.name)
    field = _field(_descriptor(target), last)
    if field is None or (path or [last])[0] == binding.body:
        raise invalid(name, "is not a field of this request")
    known = field.message_type is not None and field.message_type.full_name in (TIMESTAMP, MASK)
    if field.message_type is not None and not known:
        raise invalid(name, "cannot be given in a query")
    full = ".".join([*path, field.name])
    if full in seen and not field.is_repeated:
        raise invalid(full, "must be given once")
    seen.add(full)
    _parse(target, field, value, full)


def _parse(target: Message, field: FieldDescriptor, text: str, name: str) -> None:
    value: Json = text
    if field.cpp_type == Field.CPPTYPE_BOOL:
        value = {"true": True, "false": False}.get(text, text)
    if field.enum_type is not None and text not in field.enum_type.values_by_name:
        raise invalid(name, _expected(field))
    if field.is_repeated:
        value = [*getattr(target, field.name), value]
    try:
        json_format.ParseDict({field.name: value}, target)
    except (json_format.ParseError, ValueError):
        raise invalid(name, _expected(field)) from None


def _set_variable(message: Message, name: str, value: str, place: str = "the path") -> None:
    """Sets a field that the path or a header gives; the rest may repeat it, not contradict it."""
    target = message
    *parents, last = name.split(".")
    for parent in parents:
        target = getattr(target, parent)
    field = _field(_descriptor(target), last)
    assert field is not None, "the contract's own path"
    before = getattr(target, last)
    _parse(target, field, value, name)
    if before and before != getattr(target, last):
        raise invalid(name, f"must not differ from {place}")
