"""One operation of an OpenAPI document: its parameters, body and responses."""

import re
from collections.abc import Collection, Iterator

from google.protobuf.descriptor import Descriptor

from balance_service.gateway import (
    examples,
    files,
    numbered_pages,
    openapi_freshness,
    streams,
)
from balance_service.gateway.openapi_refusals import refusal_responses
from balance_service.gateway.responses import JSON
from balance_service.gateway.routes import Binding
from balance_service.gateway.schemas import INPUT, Schema, Schemas, markdown, reference, required

# Described once, as the header Idempotency-Key; it is accepted as a field, too.
REQUEST_ID = "request_id"
# The fields that `?page=` stands for.
_TOKEN_PAGING_FIELDS = ("page_token", "skip", "count_total")
_VARIABLE_NAME = re.compile(r"\{(\w+)\}")


def describe_operation(
    binding: Binding, schemas: Schemas, template: str, *, numbered: bool
) -> Schema:
    """Describes what a binding takes and answers.

    Args:
        binding: What is called.
        schemas: Takes the schemas that the operation refers to.
        template: The document's path, whose variables may have other names than the binding's.
        numbered: Whether it is a list by page number.
    """
    method = binding.method
    # A summary is plain text, a description Markdown.
    summary, dot, rest = schemas.plain_comment(method.descriptor.full_name).partition(". ")
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
    request = binding.method.input
    names = _VARIABLE_NAME.findall(template)
    for variable, name in zip(binding.variables, names, strict=True):
        schema = schemas.field(request.fields_by_name[variable], in_request=True)
        text = schema.pop("description", "")
        yield {"name": name, "in": "path", "required": True, "schema": schema, "description": text}
    if binding.body != "*":
        elsewhere = {*binding.variables, binding.body, REQUEST_ID}
        if numbered:
            elsewhere.update(_TOKEN_PAGING_FIELDS)
        yield from _query_parameters(request, schemas, elsewhere, "")
    if numbered:
        yield from _page_parameters(request)
    if REQUEST_ID in request.fields_by_name:
        text = (
            "Makes a retry safe: the same key gets the first answer again. A UUID, or 1 to 255 "
            "printable ASCII characters; with a quote first, it is a string in quotes (RFC 9651)."
        )
        key = {"type": "string", "pattern": "^[!#-~]([ -~]{0,253}[!-~])?$"}
        yield {"name": "Idempotency-Key", "in": "header", "schema": key, "description": text}
    yield from openapi_freshness.parameters(binding.method)


def _query_parameters(
    message: Descriptor, schemas: Schemas, elsewhere: Collection[str], prefix: str
) -> Iterator[Schema]:
    """A parameter for each field of a message, those of the messages in it included.

    Args:
        message: The request, or a message in it.
        schemas: Takes the schemas that the parameters refer to.
        elsewhere: Fields that stand in another place than the query.
        prefix: The path of the message in the request, such as `filter.`.
    """
    for field in message.fields:
        if field.name in elsewhere:
            continue
        inner = field.message_type
        if inner is not None and inner.GetOptions().map_entry:
            continue  # A map has no form in a query.
        if inner is not None and not inner.full_name.startswith("google."):
            yield from _query_parameters(inner, schemas, (REQUEST_ID,), f"{prefix}{field.name}.")
            continue
        schema = schemas.field(field, in_request=True)
        text = schema.pop("description", "")
        parameter: Schema = {"name": prefix + field.name, "in": "query", "schema": schema}
        # A PATCH without a mask changes the fields that its body has.
        if required(field) and field.name != "update_mask":
            parameter["required"] = True
        yield {**parameter, "description": text}


def _page_parameters(request: Descriptor) -> Iterator[Schema]:
    """What a list by page number takes beside the fields of its request."""
    number = {"type": "integer", "minimum": 1, "maximum": numbered_pages.PAGE_MAX}
    yield {
        "name": "page",
        "in": "query",
        "required": True,
        "schema": number,
        "description": "The page's number, from 1.",
    }
    if "order_by" in request.fields_by_name:
        choices = {"type": "string", "enum": ["date", "-date", "amount", "-amount"]}
        text = "The same as `order_by`, in the form of earlier callers."
        yield {"name": "ordering", "in": "query", "schema": choices, "description": text}


def _body(binding: Binding, schemas: Schemas) -> Schema | None:
    if not binding.body:
        return None
    message = binding.method.input
    if binding.body == "*":
        schema = schemas.body(message, (*binding.variables, REQUEST_ID))
        fields = [field for field in message.fields if field.name not in binding.variables]
        body_required = any(required(field) for field in fields)
    else:
        resource = message.fields_by_name[binding.body].message_type
        assert resource is not None, "a body is a message"
        message, body_required = resource, True
        # A change sends the fields that change, so none of them is required.
        schema = schemas.body(message) if binding.verb == "POST" else _change(schemas, message)
    content: Schema = {"schema": schema}
    if message.name in examples.BODIES:
        content["example"] = examples.BODIES[message.name]
    return {"required": body_required, "content": {JSON: content}}


def _change(schemas: Schemas, resource: Descriptor) -> Schema:
    """A reference to a resource's schema of which no field is required."""
    schemas.body(resource)
    name = resource.name + INPUT
    schema = schemas.components[name]
    if "required" not in schema:
        return reference(name)
    optional = {keyword: value for keyword, value in schema.items() if keyword != "required"}
    schemas.components[f"{resource.name}Change"] = optional
    return reference(f"{resource.name}Change")


def _responses(binding: Binding, schemas: Schemas, *, numbered: bool) -> Schema:
    method = binding.method
    if files.is_file(method):
        binary = {"schema": {"type": "string", "format": "binary"}}
        content: Schema = dict.fromkeys(files.MEDIA_TYPES, binary)
        return {"200": {"description": "The file.", "content": content}} | refusal_responses(method)
    answer = _page(binding, schemas) if numbered else schemas.answer(method.output)
    content = {JSON: {"schema": answer}}
    if method.descriptor.server_streaming:
        line = {"type": "object", "properties": {"result": answer, "error": reference("Status")}}
        content = {
            streams.NDJSON: {"schema": line},
            streams.EVENTS: {"schema": {"type": "string", "description": "Events of answers."}},
        }
    told: Schema = {"content": content}
    if headers := openapi_freshness.headers(method):
        told["headers"] = headers
    successes: Schema = {"200": {"description": "Done.", **told}}
    if method.creates:
        successes = {
            "201": {"description": "Made.", **told},
            "200": {"description": "It was there already.", **told},
        }
    return successes | refusal_responses(method)


def _page(binding: Binding, schemas: Schemas) -> Schema:
    """A reference to a page by its number."""
    results = schemas.field(numbered_pages.results_field(binding), in_request=False)
    url = {"type": ["string", "null"], "format": "uri-reference"}
    properties: Schema = {
        "count": {"type": "integer", "description": "How many there are on all pages."},
        "next": {**url, "description": "The next page, if there is one."},
        "previous": {**url, "description": "The page before, if there is one."},
        "results": results,
    }
    name = f"{binding.method.output.name.removesuffix('Response')}Page"
    schema: Schema = {"type": "object", "properties": properties, "required": list(properties)}
    schemas.components[name] = schema
    return reference(name)
