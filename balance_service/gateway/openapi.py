"""The contract as an OpenAPI 3.1 document, made of the descriptors that requests are served by."""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from importlib import metadata, resources

from google.protobuf.descriptor import Descriptor

from balance_service import DISTRIBUTION
from balance_service._generated.balance.v1 import error_reason_pb2
from balance_service.gateway import examples, numbered_pages, streams
from balance_service.gateway.responses import JSON
from balance_service.gateway.routes import Binding
from balance_service.gateway.schemas import (
    INPUT,
    Schema,
    Schemas,
    markdown,
    reference,
    required,
)

ABOUT = """\
Users' balances for a company's services: double entry, idempotent, durable.

- **Amounts** are decimal strings with an ISO 4217 code; `RUB` where none is given.
- **Retries are safe**: send the same `Idempotency-Key` (a UUID, or other text) again and get the
  first answer again, with the header `Idempotency-Replayed: true`. The field `request_id` means
  the same.
- **Refusals** are `google.rpc.Status` with typed details and a stable reason, in English or, by
  `Accept-Language`, in Russian.
- **Lists** go on at `next_page_token`. Asked with `?page=`, as earlier callers do, they answer
  `count`, `next`, `previous` and `results`: see [the document of pages](/openapi-pages.json).
- Paths may end with a slash; fields are accepted in snake_case and camelCase.

To try it out: send yourself a code, create a token, and the calls after it are signed in.
"""
# Documented once, as the header; it is accepted as a field, too.
REQUEST_ID = "request_id"
_VARIABLE = re.compile(r"\{(\w+)\}")
_STATUS_DETAILS: dict[str, dict[str, Schema]] = {
    "ErrorInfo": {
        "reason": reference("ErrorReason"),
        "domain": {"type": "string", "description": 'Always "balance.v1".'},
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
ABOUT_PAGES = """\
Lists by page number, as earlier callers ask for them: `?page=` instead of `page_token`.

Everything else is in [the document of the service](/openapi.json). Pages by number cost what lies
before them, and shift while rows are added; new callers do better with page tokens.
"""
# What stands for a place in a list in the form with page tokens.
_OF_TOKENS = ("page_token", "skip", "count_total")
_REFUSED = {
    "400": "The request, or the state of things, does not allow it.",
    "401": "The token is missing, wrong or expired.",
    "402": "There is not enough money.",
    "403": "Not allowed.",
    "404": "There is no such thing.",
    "409": "It conflicts with what is there.",
    "429": "Too much at once; see Retry-After.",
    "default": "Any other refusal.",
}


def document(bindings: Sequence[Binding], *, numbered: bool = False) -> dict[str, object]:
    """The document.

    Args:
        bindings: Everything that HTTP can call; what is for earlier callers alone is left out.
        numbered: Whether it is the document of lists by page number, and of nothing else.
    """
    bindings = [b for b in bindings if not b.deprecated and (is_list(b) or not numbered)]
    schemas = Schemas(_comments())
    paths: dict[str, dict[str, object]] = {}
    # Two templates that differ in their variables' names alone are one path to OpenAPI.
    templates: dict[str, str] = {}
    for binding in bindings:
        template = templates.setdefault(_VARIABLE.sub("{}", binding.template), binding.template)
        operation = _operation(binding, schemas, template, numbered=numbered)
        paths.setdefault(template, {})[binding.verb.lower()] = operation
    services = {b.method.descriptor.containing_service for b in bindings}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Balance service: lists by page number" if numbered else "Balance service",
            "version": metadata.version(DISTRIBUTION),
            "description": ABOUT_PAGES if numbered else ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": service.name, "description": schemas.comment(service.full_name)}
            for service in sorted(services, key=lambda service: service.full_name)
        ],
        "paths": paths,
        "components": {
            "schemas": dict(sorted((schemas.found | _refusals(schemas)).items())),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The `token` of AuthService's answers.",
                }
            },
        },
    }


def _comments() -> dict[str, str]:
    """What the contract says of each element; descriptors do not keep it."""
    file = resources.files("balance_service._generated") / "comments.json"
    found: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return found


def is_list(binding: Binding) -> bool:
    """Whether it can be asked for by page number."""
    return "total_size" in binding.method.output.fields_by_name


def _operation(binding: Binding, schemas: Schemas, template: str, *, numbered: bool) -> Schema:
    method = binding.method
    # A summary is no Markdown; a description is.
    summary, dot, rest = schemas.plain(method.descriptor.full_name).partition(". ")
    service = method.descriptor.containing_service.name
    operation: Schema = {
        "operationId": f"{service}_{method.descriptor.name}",
        "tags": [service],
        "summary": summary.removesuffix("."),
        "description": markdown(rest) if dot else "",
        "parameters": list(_parameters(binding, schemas, template, numbered=numbered)),
        "responses": _responses(binding, schemas, numbered=numbered),
        "security": [] if method.public else [{"token": []}],
    }
    if body := _body(binding, schemas):
        operation["requestBody"] = body
    return operation


def _parameters(
    binding: Binding, schemas: Schemas, template: str, *, numbered: bool
) -> Iterator[Schema]:
    message = binding.method.input
    for variable, name in zip(binding.variables, _VARIABLE.findall(template), strict=True):
        field = message.fields_by_name[variable]
        schema = schemas.field(field, given=True)
        text = schema.pop("description", "")
        yield {"name": name, "in": "path", "required": True, "schema": schema, "description": text}
    if binding.body != "*":
        taken = {*binding.variables, binding.body, *(_OF_TOKENS if numbered else ())}
        yield from _query(message, schemas, taken, "")
    if numbered:
        number = {"type": "integer", "minimum": 1, "maximum": numbered_pages.PAGE_MAX}
        text = "The page's number, from 1."
        yield {
            "name": "page", "in": "query", "required": True, "schema": number, "description": text
        }  # fmt: skip
    if numbered and "order_by" in message.fields_by_name:
        choices = {"type": "string", "enum": ["date", "-date", "amount", "-amount"]}
        text = "The same as `order_by`, in the form of earlier callers."
        yield {"name": "ordering", "in": "query", "schema": choices, "description": text}
    if REQUEST_ID in message.fields_by_name:
        text = (
            "Makes a retry safe: the same key gets the first answer again. A UUID, or 1 to 255 "
            "printable ASCII characters; with a quote first, it is a string in quotes (RFC 9651)."
        )
        key = {"type": "string", "pattern": "^[!#-~]([ -~]{0,253}[!-~])?$"}
        yield {"name": "Idempotency-Key", "in": "header", "schema": key, "description": text}


def _query(
    message: Descriptor, schemas: Schemas, taken: Collection[str], prefix: str
) -> Iterator[Schema]:
    for field in message.fields:
        if field.name in taken or field.name == REQUEST_ID:
            continue
        inner = field.message_type
        if inner is not None and inner.GetOptions().map_entry:
            continue  # A map has no form in a query.
        if inner is not None and not inner.full_name.startswith("google."):
            yield from _query(inner, schemas, (), f"{prefix}{field.name}.")
            continue
        schema = schemas.field(field, given=True)
        text = schema.pop("description", "")
        found: Schema = {"name": prefix + field.name, "in": "query", "schema": schema}
        # A PATCH names by its body what it changes.
        if required(field) and field.name != "update_mask":
            found["required"] = True
        yield {**found, "description": text}


def _body(binding: Binding, schemas: Schemas) -> Schema | None:
    if not binding.body:
        return None
    message = binding.method.input
    if binding.body == "*":
        schema = schemas.body(message, (*binding.variables, REQUEST_ID))
        needed = any(required(f) for f in message.fields if f.name not in binding.variables)
    else:
        inner = message.fields_by_name[binding.body].message_type
        assert inner is not None, "a body is a message"
        message, needed = inner, True
        # A change sends what changes and no more.
        schema = schemas.body(message) if binding.verb == "POST" else _partial(schemas, message)
    content: Schema = {"schema": schema}
    if message.name in examples.BODIES:
        content["example"] = examples.BODIES[message.name]
    return {"required": needed, "content": {JSON: content}}


def _partial(schemas: Schemas, message: Descriptor) -> Schema:
    """A reference to a message of which nothing is required."""
    schemas.body(message)
    name = message.name + INPUT
    whole = schemas.found[name]
    if "required" not in whole:
        return reference(name)
    schemas.found[f"{message.name}Change"] = {k: v for k, v in whole.items() if k != "required"}
    return reference(f"{message.name}Change")


def _responses(binding: Binding, schemas: Schemas, *, numbered: bool) -> Schema:
    method = binding.method
    answer = _numbered(method.output, schemas) if numbered else schemas.answer(method.output)
    content: Schema = {JSON: {"schema": answer}}
    if method.descriptor.server_streaming:
        line = {"type": "object", "properties": {"result": answer, "error": reference("Status")}}
        content = {
            streams.NDJSON: {"schema": line},
            streams.EVENTS: {"schema": {"type": "string", "description": "Events of answers."}},
        }
    found: Schema = {"200": {"description": "Done.", "content": content}}
    if method.creates:
        made = {"description": "Made.", "content": content}
        found = {"201": made, "200": {"description": "It was there already.", "content": content}}
    left_out = {"401", "403"} if method.public else set()
    if method.reads or not {"amount", "balance"} <= set(method.output.fields_by_name):
        left_out.add("402")
    service = method.descriptor.containing_service.name
    return found | {
        code: _refusal(code, text, service)
        for code, text in _REFUSED.items()
        if code not in left_out
    }


def _refusal(code: str, text: str, service: str) -> Schema:
    content = {"schema": reference("Status"), "example": examples.refusal(code, service)}
    return {"description": text, "content": {JSON: content}}


def _numbered(output: Descriptor, schemas: Schemas) -> Schema:
    """A page by its number."""
    results = schemas.field(output.fields[0], given=False)
    url = {"type": ["string", "null"], "format": "uri-reference"}
    properties: dict[str, Schema] = {
        "count": {"type": "integer", "description": "How many there are on all pages."},
        "next": {**url, "description": "The next page, if there is one."},
        "previous": {**url, "description": "The page before, if there is one."},
        "results": results,
    }
    name = f"{output.name.removesuffix('Response')}Page"
    schemas.found[name] = {
        "type": "object", "properties": properties, "required": list(properties)
    }  # fmt: skip
    return reference(name)


def _refusals(schemas: Schemas) -> dict[str, Schema]:
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
                "details": {"type": "array", "items": {"anyOf": list(_details())}},
            },
        },
    }


def _details() -> Iterable[Schema]:
    for name, properties in _STATUS_DETAILS.items():
        kind = {"const": f"type.googleapis.com/google.rpc.{name}"}
        yield {
            "type": "object",
            "title": name,
            "properties": {"@type": kind, **properties},
            "required": ["@type"],
        }
