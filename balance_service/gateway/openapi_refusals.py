"""Refusals in an OpenAPI document: their schema, and the HTTP statuses that a method has."""

from collections.abc import Iterator

from balance_service._generated.balance.v1 import error_reason_pb2
from balance_service.calls.methods import Method
from balance_service.calls.refusals import DOMAIN
from balance_service.gateway import examples
from balance_service.gateway.responses import JSON
from balance_service.gateway.schemas import Schema, Schemas, reference

_DESCRIPTIONS = {
    "400": "The request, or the state of things, does not allow it.",
    "401": "The token is missing, wrong or expired.",
    "402": "There is not enough money.",
    "403": "Not allowed.",
    "404": "There is no such thing.",
    "409": "It conflicts with what is there.",
    "429": "Too much at once; see Retry-After.",
    "default": "Any other refusal.",
}
# The details that a refusal may have, by their names in google.rpc.
_DETAILS: dict[str, Schema] = {
    "ErrorInfo": {
        "reason": reference("ErrorReason"),
        "domain": {"type": "string", "description": f'Always "{DOMAIN}".'},
        "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "BadRequest": {
        "field_violations": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "description": {"type": "string"}},
            },
        }
    },
    "RetryInfo": {"retry_delay": {"type": "string", "examples": ["0.100s"]}},
    "ResourceInfo": {"resource_type": {"type": "string"}, "resource_name": {"type": "string"}},
    "LocalizedMessage": {"locale": {"type": "string"}, "message": {"type": "string"}},
}


def refusal_responses(method: Method) -> Schema:
    """The refusals that a method may answer with, by their HTTP status."""
    statuses = set(_DESCRIPTIONS)
    if method.public:
        statuses -= {"401", "403"}
    # Money is short only where it moves: the request may name the etag of the account that pays.
    if "account_etag" not in method.input.fields_by_name:
        statuses.remove("402")
    service = method.descriptor.containing_service.name
    return {
        status: _response(status, description, service)
        for status, description in _DESCRIPTIONS.items()
        if status in statuses
    }


def refusal_schemas(schemas: Schemas) -> dict[str, Schema]:
    """The schemas of a refusal and of its reasons."""
    reasons = error_reason_pb2.DESCRIPTOR.enum_types_by_name["ErrorReason"]
    return {
        "ErrorReason": schemas.choices(reasons, "ERROR_REASON_"),
        "Status": {
            "type": "object",
            "description": "A refusal (google.rpc.Status). Branch on the reason, not the message.",
            "required": ["code", "message", "details"],
            "properties": {
                "code": {"type": "integer", "description": "A google.rpc.Code."},
                "message": {"type": "string", "description": "For people, in their language."},
                "details": {"type": "array", "items": {"anyOf": list(_detail_schemas())}},
            },
        },
    }


def _response(status: str, description: str, service: str) -> Schema:
    content = {"schema": reference("Status"), "example": examples.refusal(status, service)}
    return {"description": description, "content": {JSON: content}}


def _detail_schemas() -> Iterator[Schema]:
    for name, properties in _DETAILS.items():
        type_url = {"const": f"type.googleapis.com/google.rpc.{name}"}
        yield {
            "type": "object",
            "title": name,
            "properties": {"@type": type_url, **properties},
            "required": ["@type"],
        }
