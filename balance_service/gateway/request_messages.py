"""HTTP requests as request messages: body, query, path and idempotency key, in this order.

Each field is bound from one place. Names are accepted in snake_case and in camelCase; what is not a
field is refused with its name, for a misspelt optional field must not be lost in silence.
"""

import re
from collections.abc import Mapping

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from balance_service._generated.balance.v1 import options_pb2
from balance_service.domain import errors
from balance_service.gateway.bodies import bind_body
from balance_service.gateway.json_values import fields_by_name, set_from_text
from balance_service.gateway.queries import Query, bind_query
from balance_service.gateway.routes import Binding
from balance_service.messages import limits

# A string of RFC 9651, 3.3.3.
_QUOTED_STRING = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"', re.ASCII)
_UUID = limits.compile_pattern(limits.read_format(options_pb2.FORMAT_UUID))


def read_request(
    binding: Binding,
    path_variables: Mapping[str, str],
    query: Query,
    body: bytes,
    idempotency_key: str | None = None,
) -> Message:
    """Makes the request message of an HTTP request.

    Args:
        binding: What the request calls.
        path_variables: Values by the paths of their fields, decoded.
        query: Names and values, decoded.
        body: JSON, or nothing.
        idempotency_key: The header of this name, which is the field `request_id`: a string in
            quotes, as draft-ietf-httpapi-idempotency-key-header has it, or its bare text. None if
            there is no such header.

    Raises:
        Refusal: The request is not of the contract's form.
    """
    request: Message = GetMessageClass(binding.method.input)()
    mask_given = any(name in ("update_mask", "updateMask") for name, _ in query)
    bind_body(binding, request, body, mask_given=mask_given)
    bind_query(binding, request, query)
    for name, text in path_variables.items():
        _bind_text(request, name, text, "the path")
    if idempotency_key is not None and "request_id" in binding.method.input.fields_by_name:
        request_id = _read_idempotency_key(idempotency_key.strip(" \t"))
        _bind_text(request, "request_id", request_id, "the header Idempotency-Key")
    return request


def _read_idempotency_key(header: str) -> str:
    """The text of a string in quotes; a header that does not start as one is the text itself."""
    key = header
    if header.startswith('"'):
        quoted = _QUOTED_STRING.fullmatch(header)
        if quoted is None:
            rule = (
                "must be bare text or one string in quotes (RFC 9651) in the header Idempotency-Key"
            )
            raise errors.invalid("request_id", rule)
        key = re.sub(r"\\(.)", r"\1", quoted[1])
    if not key:
        raise errors.invalid("request_id", "must not be empty in the header Idempotency-Key")
    return key


def _canonical(value: object) -> object:
    """A value for comparison: of a UUID, its lower case (RFC 9562, 4)."""
    return value.lower() if isinstance(value, str) and _UUID.fullmatch(value) else value


def _bind_text(request: Message, name: str, text: str, place: str) -> None:
    """Sets a field from the path or a header; what the body or query says of it must be the same.

    Args:
        request: The message to set the field of.
        name: The field's path.
        text: Its value, decoded.
        place: Where the value stands, for the refusal.
    """
    message = request
    *parents, last = name.split(".")
    for parent in parents:
        message = getattr(message, parent)
    before = getattr(message, last)
    set_from_text(message, fields_by_name(message)[last], text, name)
    if before and _canonical(before) != _canonical(getattr(message, last)):
        raise errors.invalid(name, f"must not differ from {place}")
