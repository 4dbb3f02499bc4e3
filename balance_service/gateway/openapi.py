"""The contract as an OpenAPI 3.1 document, made of the descriptors that requests are served by."""

import json
import re
from collections.abc import Sequence
from importlib import metadata, resources

from balance_service import DISTRIBUTION
from balance_service.gateway.numbered_pages import has_pages
from balance_service.gateway.openapi_operations import describe_operation
from balance_service.gateway.openapi_refusals import refusal_schemas
from balance_service.gateway.routes import Binding
from balance_service.gateway.schemas import Schema, Schemas

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
ABOUT_PAGES = """\
Lists by page number, as earlier callers ask for them: `?page=` instead of `page_token`.

Everything else is in [the document of the service](/openapi.json). Pages by number cost what lies
before them, and shift while rows are added; new callers do better with page tokens.
"""
_TEMPLATE_VARIABLE = re.compile(r"\{\w+\}")


def document(bindings: Sequence[Binding], *, numbered: bool = False) -> dict[str, object]:
    """Makes one of the two documents.

    The forms of a list have a document each, since OpenAPI has one operation for a path and a verb,
    and a client generated from it one type for an answer.

    Args:
        bindings: Everything that HTTP can call; what is kept for earlier callers is left out.
        numbered: Whether to describe lists by page number and nothing else.
    """
    described = [
        binding
        for binding in bindings
        if not binding.deprecated and (has_pages(binding) or not numbered)
    ]
    schemas = Schemas(_read_comments())
    paths = _describe_paths(described, schemas, numbered=numbered)
    services = {binding.method.descriptor.containing_service for binding in described}
    tags = [
        {"name": service.name, "description": schemas.comment(service.full_name)}
        for service in sorted(services, key=lambda service: service.full_name)
    ]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Balance service: lists by page number" if numbered else "Balance service",
            "version": metadata.version(DISTRIBUTION),
            "description": ABOUT_PAGES if numbered else ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": dict(sorted((schemas.components | refusal_schemas(schemas)).items())),
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


def _describe_paths(
    bindings: Sequence[Binding], schemas: Schemas, *, numbered: bool
) -> dict[str, Schema]:
    paths: dict[str, Schema] = {}
    # To OpenAPI, templates that differ only in the names of their variables are the same path, so
    # all of them go by the names of the first.
    first_templates: dict[str, str] = {}
    for binding in bindings:
        anonymous = _TEMPLATE_VARIABLE.sub("{}", binding.template)
        template = first_templates.setdefault(anonymous, binding.template)
        operation = describe_operation(binding, schemas, template, numbered=numbered)
        paths.setdefault(template, {})[binding.verb.lower()] = operation
    return paths


def _read_comments() -> dict[str, str]:
    """The contract's comments by full name; descriptors of generated code do not keep them."""
    file = resources.files("balance_service._generated") / "comments.json"
    comments: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return comments
