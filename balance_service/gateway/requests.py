"""HTTP requests as request messages: path, query, body, field mask and idempotency key.

Each field is bound from one place. Names are accepted in snake_case and in camelCase; what is not a
field is refused with its name, for a misspelt optional field must not be lost in silence.
"""

import re
from collections.abc import Iterable, Mapping

from google.api import field_behavior_pb2
from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from balance_service.calls import http, telling
from balance_service.domain import errors
from balance_service.gateway import bodies
from balance_service.gateway.bodies import Json
from balance_service.gateway.routes import Binding

# A string of RFC 9651.
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"', re.ASCII)
# Where a name in snake_case starts a word.
_WORD = re.compile(r"(?<=[a-z0-9])_([a-z])", re.ASCII)


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
        Refusal: It is not of the contract's form.
    """
    message: Message = GetMessageClass(binding.method.input)()
    given = list(query)
    _read_body(binding, message, body, any(same(name, "update_mask") for name, _ in given))
    if binding.body == "*" and given:
        raise errors.invalid(given[0][0], "must be in the body")
    seen: set[str] = set()
    wrong: list[errors.Violation] = []
    for name, value in given:
        try:
            _set_text(message, name, value, seen, binding)
        except errors.InvalidFields as refusal:
            wrong += refusal.violations
    if wrong:
        raise errors.InvalidFields(tuple(wrong))
    for name, value in variables.items():
        _set_variable(message, name, value)
    if idempotency_key is not None and "request_id" in binding.method.input.fields_by_name:
        key = _key(idempotency_key.strip(" \t"))
        if not key:
            raise errors.invalid("request_id", "must not be empty in the header Idempotency-Key")
        _set_variable(message, "request_id", key, "the header Idempotency-Key")
    return message


def _key(header: str) -> str:
    """What a string of RFC 9651 says, or the header as it is where it does not start as one."""
    if not header.startswith('"'):
        return header
    quoted = _QUOTED.fullmatch(header)
    if quoted is None:
        rule = "must be bare text or one string in quotes (RFC 9651) in the header Idempotency-Key"
        raise errors.invalid("request_id", rule)
    return re.sub(r"\\(.)", r"\1", quoted[1])


def same(given: str, name: str) -> bool:
    """Whether a given name is that of a field, in either case."""
    return given == name or given == _camel(name)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _read_body(binding: Binding, message: Message, body: bytes, mask_given: bool) -> None:  # noqa: FBT001
    data = bodies.json_object(body)
    if not binding.body:
        if data:
            raise errors.invalid(next(iter(data)), "is not accepted in a body here")
        return
    target, prefix = message, ""
    if binding.body != "*":
        target, prefix = getattr(message, binding.body), f"{binding.body}."
        target.SetInParent()
    wrong = telling.told(bodies.violations(target, data, prefix))
    if wrong.violations:
        raise errors.InvalidFields(wrong.violations, wrong.more)
    try:
        json_format.ParseDict(data, target)
    except (json_format.ParseError, ValueError, RecursionError):
        raise http.RequestMalformed from None
    mask = binding.method.input.fields_by_name.get("update_mask")
    if binding.verb == "PATCH" and mask and prefix and not mask_given:
        getattr(message, mask.name).paths.extend(_changed(target, data))


def _changed(message: Message, data: dict[str, Json]) -> Iterable[str]:
    """The field mask that a PATCH without one means: what its body names (AIP-134).

    What callers cannot set is left out (AIP-203), as is the etag, which is a condition (AIP-154).
    """
    known = bodies.fields(message)
    for name in data:
        field = known[name]
        behaviors = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
        if field.name != "etag" and field_behavior_pb2.OUTPUT_ONLY not in behaviors:
            yield field.name


def _set_text(message: Message, name: str, value: str, seen: set[str], binding: Binding) -> None:
    """Sets a field that the query names, such as `filter.start_time`."""
    target, path = message, []
    *parents, last = name.split(".")
    for parent in parents:
        field = bodies.fields(target).get(parent)
        if field is None or field.is_repeated or not bodies.inner(field):
            raise errors.invalid(name, "is not a field of this request")
        path.append(field.name)
        target = getattr(target, field.name)
    field = bodies.fields(target).get(last)
    if field is None or (path or [field.name])[0] == binding.body:
        raise errors.invalid(name, "is not a field of this request")
    if field.message_type is not None and not bodies.is_text(field):
        raise errors.invalid(name, "cannot be given in a query")
    full = ".".join([*path, field.name])
    if full in seen and not field.is_repeated:
        raise errors.invalid(full, "must be given once")
    seen.add(full)
    _parse(target, field, value, full)


def _parse(target: Message, field: bodies.Field, text: str, name: str) -> None:
    value: Json = text
    if field.cpp_type == bodies.Field.CPPTYPE_BOOL:
        value = {"true": True, "false": False}.get(text, text)
    if field.message_type is not None and field.message_type.full_name == bodies.MASK:
        # protobuf's own JSON knows a mask in camelCase alone.
        value = _WORD.sub(lambda word: word[1].upper(), text)
    if not bodies.is_value(field, value):
        raise errors.invalid(name, bodies.expected(field))
    if field.is_repeated:
        value = [*getattr(target, field.name), value]
    json_format.ParseDict({field.name: value}, target)


def _set_variable(message: Message, name: str, value: str, place: str = "the path") -> None:
    """Sets a field that the path or a header gives; the rest may repeat it, not contradict it."""
    target = message
    *parents, last = name.split(".")
    for parent in parents:
        target = getattr(target, parent)
    before = getattr(target, last)
    _parse(target, bodies.fields(target)[last], value, name)
    if before and before != getattr(target, last):
        raise errors.invalid(name, f"must not differ from {place}")
