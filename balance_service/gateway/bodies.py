"""JSON bodies: parsing them within bounds, and binding them to a request message."""

import json
from collections.abc import Iterable
from typing import NoReturn

from google.api import field_behavior_pb2
from google.protobuf import json_format
from google.protobuf.message import Message

from balance_service.calls import http, shortening
from balance_service.domain import errors
from balance_service.gateway.json_values import Json, fields_by_name, find_violations
from balance_service.gateway.routes import Binding

# A full batch of deposits, each with all that it may have, has some 29,000.
MEMBERS_MAX = 30_000
# The metadata of a batch's movements are at the fifth level.
NESTING_MAX = 8


def read_object(body: bytes) -> dict[str, Json]:
    """Parses a body as a JSON object; an empty body is an empty object.

    Raises:
        Refusal: It is not a JSON object in UTF-8, names a member twice, or has more members or
            levels than any request.
    """
    if not body.strip():
        return {}
    try:
        text = body.decode()
        data = json.loads(text, object_pairs_hook=_read_members, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise http.RequestMalformed from None
    if not isinstance(data, dict):
        raise http.RequestMalformed
    _check_size(data)
    return data


def bind_body(binding: Binding, request: Message, body: bytes, *, mask_given: bool) -> None:
    """Sets the fields of a request that its body gives.

    Args:
        binding: What the request calls; it says which field the body is, if not all of them.
        request: The message to set the fields of.
        body: JSON, or nothing.
        mask_given: Whether the query names the fields to change. If it does not, a PATCH changes
            those that its body has (AIP-134).

    Raises:
        Refusal: The body is not JSON, or not of the contract's form.
    """
    data = read_object(body)
    if not binding.body:
        if data:
            raise errors.invalid(next(iter(data)), "is not accepted in a body here")
        return
    target, prefix = request, ""
    if binding.body != "*":
        target, prefix = getattr(request, binding.body), f"{binding.body}."
        # An empty body is an empty resource, not a missing one.
        target.SetInParent()
    wrong = shortening.shorten_violations(find_violations(target, data, prefix))
    if wrong.violations:
        raise errors.InvalidFields(wrong.violations, wrong.more)
    try:
        json_format.ParseDict(data, target)
    except (json_format.ParseError, ValueError, RecursionError):
        raise http.RequestMalformed from None
    mask = binding.method.input.fields_by_name.get("update_mask")
    if binding.verb == "PATCH" and mask and target is not request and not mask_given:
        getattr(request, mask.name).paths.extend(_changeable_fields(target, data))


def _changeable_fields(resource: Message, data: dict[str, Json]) -> Iterable[str]:
    """The fields that a body names and callers can set.

    What is output only is left out (AIP-203), as is the etag, which is a condition (AIP-154).
    """
    fields = fields_by_name(resource)
    for name in data:
        field = fields[name]
        behaviors = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
        if field.name != "etag" and field_behavior_pb2.OUTPUT_ONLY not in behaviors:
            yield field.name


def _refuse_constant(name: str) -> NoReturn:
    """Refuses NaN and Infinity, which Python reads and JSON does not have (RFC 8259, 6)."""
    raise ValueError(name)


def _read_members(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """Makes an object of its members, unless one is named twice: which of two amounts was meant?"""
    members: dict[str, Json] = {}
    for name, value in pairs:
        if name in members:
            raise errors.invalid(name, "must be given once")
        members[name] = value
    return members


def _check_size(data: dict[str, Json]) -> None:
    """Raises Refusal if a body has more members and items, or more levels, than any request."""
    level: list[Json] = [data]
    members = 0
    # Level by level and not by recursion, which deep nesting would exhaust.
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
