"""Queries: binding their parameters to the fields of a request message."""

from collections.abc import Sequence

from google.protobuf.message import Message

from balance_service.domain import errors
from balance_service.gateway.json_values import (
    Field,
    contract_message,
    fields_by_name,
    is_text_message,
    set_from_text,
)
from balance_service.gateway.routes import Binding

# Names and values in the order that they were sent, decoded.
Query = Sequence[tuple[str, str]]


def bind_query(binding: Binding, request: Message, query: Query) -> None:
    """Sets the fields of a request that its query gives, such as `filter.start_time`.

    Raises:
        Refusal: A parameter is not a field, has no value of its field, is given twice, or belongs
            into the body.
    """
    if binding.body == "*" and query:
        raise errors.invalid(query[0][0], "must be in the body")
    seen: set[str] = set()
    violations: list[errors.Violation] = []
    for name, text in query:
        try:
            _bind_parameter(binding, request, name, text, seen)
        except errors.InvalidFields as refusal:
            violations += refusal.violations
    if violations:
        raise errors.InvalidFields(tuple(violations))


def _bind_parameter(
    binding: Binding, request: Message, name: str, text: str, seen: set[str]
) -> None:
    message, path = _find_field(request, name)
    field = path[-1]
    if path[0].name == binding.body:
        raise errors.invalid(name, "is not a field of this request")
    if field.message_type is not None and not is_text_message(field):
        raise errors.invalid(name, "cannot be given in a query")
    full_name = ".".join(part.name for part in path)
    if full_name in seen and not field.is_repeated:
        raise errors.invalid(full_name, "must be given once")
    seen.add(full_name)
    set_from_text(message, field, text, full_name)


def _find_field(request: Message, name: str) -> tuple[Message, list[Field]]:
    """Finds the field that a parameter names: the message that has it, and the fields on the way.

    Raises:
        Refusal: There is no such field.
    """
    message = request
    path: list[Field] = []
    *parents, last = name.split(".")
    for parent in parents:
        field = fields_by_name(message).get(parent)
        if field is None or field.is_repeated or not contract_message(field):
            raise errors.invalid(name, "is not a field of this request")
        path.append(field)
        message = getattr(message, field.name)
    field = fields_by_name(message).get(last)
    if field is None:
        raise errors.invalid(name, "is not a field of this request")
    return message, [*path, field]
