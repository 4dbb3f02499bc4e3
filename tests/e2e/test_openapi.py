"""The OpenAPI document: whole, true to the service under schemathesis, and shown by its pages."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.message_factory import GetMessageClass

from balance_service.gateway import examples
from tests.conftest import Service
from tests.http import BINDINGS

HERE = Path(__file__).parent
MINUTES_MAX = 4


@pytest.fixture
async def document(service: Service) -> dict[str, Any]:
    found: dict[str, Any] = (await service.http("GET", "/openapi.json")).json
    return found


async def test_document_has_every_binding_with_its_words(document: dict[str, Any]) -> None:
    operations = [
        operation for methods in document["paths"].values() for operation in methods.values()
    ]
    assert len(operations) == len(BINDINGS)
    assert len({operation["operationId"] for operation in operations}) == len(BINDINGS)
    for operation in operations:
        assert operation["summary"], operation["operationId"]
        for parameter in operation["parameters"]:
            assert parameter["description"], (operation["operationId"], parameter["name"])
    for name, schema in document["components"]["schemas"].items():
        assert schema.get("description") or name.startswith("List"), name
        for field, inner in schema.get("properties", {}).items():
            if name != "Status":
                assert inner.get("description"), (name, field)
    reasons = document["components"]["schemas"]["ErrorReason"]["enum"]
    assert {"INSUFFICIENT_FUNDS", "ROUTE_NOT_FOUND"} <= set(reasons)
    unsafe = [operation["security"] for operation in operations if not operation["security"]]
    assert len(unsafe) == 7


async def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    used = set()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                name = node["$ref"].removeprefix("#/components/schemas/")
                assert name in schemas, node
                used.add(name)
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(document)
    assert used == set(schemas)


def test_examples_are_requests() -> None:
    known = set()
    for binding in BINDINGS:
        message = binding.method.input
        if binding.body not in ("", "*"):
            inner = message.fields_by_name[binding.body].message_type
            assert inner is not None
            message = inner
        if binding.body and message.name in examples.BODIES:
            json_format.ParseDict(dict(examples.BODIES[message.name]), GetMessageClass(message)())
            known.add(message.name)
    assert known == set(examples.BODIES)


async def test_service_keeps_to_its_document(service: Service) -> None:
    """schemathesis, with all its checks: no 5xx, no answer that the document does not have."""
    admin = await service.admin()
    await admin.open()
    await admin.deposit("1000")
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).parent / "schemathesis",
        "--config-file",
        HERE / "schemathesis.toml",
        "run",
        f"{service.http.url}/openapi.json",
        "--checks=all",
        f"--header=Authorization: Bearer {admin.token.token}",
        # A stream has no end to check; it has tests of its own.
        "--exclude-operation-id=AccountService_WatchAccount",
        "--max-examples=2",
        "--seed=20",
        "--no-color",
        cwd=service.settings.data_dir,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(MINUTES_MAX * 60):
        output, _ = await process.communicate()
    report = output.decode()
    assert process.returncode == 0, report
    assert f"Tested: {len(BINDINGS) - 1}" in report
