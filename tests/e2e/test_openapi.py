"""The OpenAPI document: whole, and shown by its pages."""

import json
import re
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.message_factory import GetMessageClass
from google.rpc import status_pb2

from balance_service.calls.refusals import TABLE
from balance_service.calls.standby_offers import OFFERED, OFFERED_FILES
from balance_service.gateway import examples, schemas
from balance_service.gateway.refusals import status_to_response
from tests.http import BINDINGS
from tests.service import Service

TOLD = tuple(binding for binding in BINDINGS if not binding.deprecated)
# Bounded by the number of currencies, and answered whole.
WHOLE_LISTS = {"RateService_ListCurrencies", "RateService_ListRates", "UserService_ListSessions"}

# A log has no end, and so no number of pages; reports are read whole.
UNCOUNTED_LISTS = {
    "EventService_ListEvents",
    "ReportService_ListBalances",
    "ReportService_SearchMovements",
}


@pytest.fixture
async def document(service: Service) -> dict[str, Any]:
    found: dict[str, Any] = (await service.http("GET", "/openapi.json")).json
    return found


async def test_document_has_every_binding_with_its_words(document: dict[str, Any]) -> None:
    operations = [
        operation for methods in document["paths"].values() for operation in methods.values()
    ]
    assert len(operations) == len(TOLD) == len(BINDINGS) - 1
    assert len({operation["operationId"] for operation in operations}) == len(TOLD)
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
    assert len(unsafe) == 10


async def test_headers_of_freshness_are_told_where_they_hold(document: dict[str, Any]) -> None:
    asked: dict[str, set[str]] = {}
    told: dict[str, set[str]] = {}
    for methods in document["paths"].values():
        for operation in methods.values():
            name = operation["operationId"].partition("_")[2]
            parameters = {parameter["name"] for parameter in operation["parameters"]}
            done = operation["responses"]["200"]
            asked[name] = {each for each in parameters if each.startswith("balance-")}
            told[name] = set(done.get("headers", {}))
    may_be_stale = {name for name, headers in asked.items() if "balance-max-staleness" in headers}
    assert may_be_stale == {*OFFERED, *OFFERED_FILES}
    assert {name for name, headers in told.items() if "balance-read-from" in headers} == {*OFFERED}
    # A payment's position is worth having, a sign-in's is not.
    assert (asked["CreateDeposit"], told["CreateDeposit"]) == (
        {"balance-at-least"},
        {"balance-position"},
    )
    assert not any((asked["CreateToken"], told["CreateToken"], asked["ListUsers"]))


@pytest.mark.parametrize("path", ["/openapi.json", "/openapi-pages.json"])
async def test_every_reference_leads_somewhere(service: Service, path: str) -> None:
    document = (await service.http("GET", path)).json
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


async def test_each_form_of_a_list_has_a_document_of_its_own(service: Service) -> None:
    answers: dict[str, set[str]] = {}
    for path in ("/openapi.json", "/openapi-pages.json"):
        found = (await service.http("GET", path)).json
        schemas = found["components"]["schemas"]
        assert "anyOf" not in json.dumps(list(found["paths"].values()))
        names = answers.setdefault(path, set())
        for methods in found["paths"].values():
            operation = methods.get("get")
            listing = ("List", "Search")
            if not operation or not operation["operationId"].partition("_")[2].startswith(listing):
                continue
            if operation["operationId"] in UNCOUNTED_LISTS:
                assert path == "/openapi.json"
                continue
            schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
            properties = schemas[schema["$ref"].rpartition("/")[2]]["properties"]
            parameters = {parameter["name"] for parameter in operation["parameters"]}
            numbered = path != "/openapi.json"
            if operation["operationId"] in WHOLE_LISTS:
                assert parameters.isdisjoint({"page", "page_token"})
                continue
            assert numbered == ("page" in parameters) == ("results" in properties)
            names.add(operation["operationId"])
            assert numbered != ("page_token" in parameters)
            assert numbered != ("next_page_token" in properties)
    assert len(answers["/openapi.json"]) == 21
    assert answers["/openapi.json"] == answers["/openapi-pages.json"]


async def test_pages_by_number_are_as_their_document_says(service: Service) -> None:
    admin = await service.admin()
    await admin.http("POST", "/api/v1/services", {"name": "Tea", "price": "4"})
    found = (await service.http("GET", "/openapi-pages.json")).json
    answer = (await admin.http("GET", "/api/v1/services?page=1")).json
    schema = found["components"]["schemas"]["ListServicesPage"]
    assert set(answer) == set(schema["properties"]) == set(schema["required"])


async def test_examples_of_refusals_are_what_is_answered(document: dict[str, Any]) -> None:
    shown = 0
    for methods in document["paths"].values():
        for operation in methods.values():
            for code, response in operation["responses"].items():
                example = response["content"].get("application/json", {}).get("example")
                if example is None:
                    assert code.startswith("2")
                    continue
                told = json_format.ParseDict(example, status_pb2.Status())
                reason, answered = example["details"][0]["reason"], status_to_response(told)
                row = next(row for row in TABLE.values() if row.reason == reason)
                assert row.code == example["code"]
                assert code in (str(answered.status), "default"), operation["operationId"]
                assert json.loads(answered.body) == example
                shown += 1
    assert shown > 200


def test_comments_are_shown_as_they_stand() -> None:
    shown = schemas.markdown('"Bearer <token>" in `<b>` is `*` or [0] *')
    assert shown == r'"Bearer \<token\>" in `<b>` is `*` or \[0\] \*'


async def test_comments_hold_no_html(document: dict[str, Any]) -> None:
    texts: list[Any] = []

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            texts.extend(text for name, text in node.items() if name == "description")
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(document)
    assert any("<token" in text for text in texts if isinstance(text, str))
    for text in texts:
        if isinstance(text, str):
            outside = "".join(text.split("`")[::2])
            assert not re.search(r"(?<!\\)<", outside), text


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
