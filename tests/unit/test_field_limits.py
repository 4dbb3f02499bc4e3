"""The limits of requests' fields: all have some, and whoever else states one states the same."""

import json
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest
from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from balance_service._generated.balance.v1 import (
    account_pb2,
    deposit_pb2,
    options_pb2,
    purchase_pb2,
    transfer_pb2,
    user_pb2,
)
from balance_service._generated.balance.v1.options_pb2 import Format, Limits
from balance_service.calls.methods import load_contract
from balance_service.domain import addresses, errors, money
from balance_service.domain.paging import PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, Order
from balance_service.gateway.schemas import Schemas
from balance_service.messages import field_limits

MIGRATIONS = Path(__file__).parents[2] / "migrations"
COMMENTS: dict[str, str] = json.loads(
    (resources.files("balance_service._generated") / "comments.json").read_text(encoding="utf-8")
)
# Compared with what is stored, and never kept.
UNLIMITED = {f"balance.v1.{kind}.etag" for kind in ("User", "Service", "WebhookEndpoint")}
# A larger page is answered with one of this size, so it is no limit of requests.
PAGE_SIZES = {PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX}
PHRASE = re.compile(r"(?:(\d+) to|\bat most|\bup to) (\d+)|\b(\d+) digits", re.IGNORECASE)


def behaves(field: FieldDescriptor, behavior: int) -> bool:
    return behavior in field.GetOptions().Extensions[field_behavior_pb2.field_behavior]


def fields_of(message: Descriptor) -> Iterator[FieldDescriptor]:
    """What a request may set, in it and in the messages of the contract that it holds."""
    for field in message.fields:
        if behaves(field, field_behavior_pb2.OUTPUT_ONLY):
            continue
        yield field
        inner = field.message_type
        if inner and inner.full_name.startswith("balance.") and not inner.GetOptions().map_entry:
            yield from fields_of(inner)


FIELDS = {
    field.full_name: field
    for file in load_contract()
    for service in file.services_by_name.values()
    for method in service.methods
    for field in fields_of(method.input_type)
}


def is_bounded(text: Limits) -> bool:
    return bool(text.max_length or (text.pattern and not re.search(r"[*+]|,\}", text.pattern)))


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
def test_every_field_is_limited(field: FieldDescriptor) -> None:
    stated = field_limits.read(field)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        assert stated.max_items
        assert is_bounded(stated.keys)
        assert is_bounded(stated.values)
    elif field.is_repeated:
        assert stated.max_items
    elif field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        assert is_bounded(stated) or field.full_name in UNLIMITED
        if behaves(field, field_behavior_pb2.REQUIRED):
            assert stated.min_length or not field_limits.compile_pattern(stated).fullmatch("")
    elif field.cpp_type == FieldDescriptor.CPPTYPE_INT32:
        assert stated.HasField("minimum")


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
def test_document_states_every_limit(field: FieldDescriptor) -> None:
    stated = field_limits.read(field)
    schema = Schemas({}).field(field, in_request=True)
    assert schema.get("maxLength", 0) == stated.max_length
    assert schema.get("minItems", 0) == stated.min_items
    assert schema.get("maxItems", schema.get("maxProperties", 0)) == stated.max_items
    for name in ("minimum", "maximum"):
        assert (name in schema) == stated.HasField(name)
        assert schema.get(name, 0) == getattr(stated, name)
    if stated.pattern:
        pattern = schema["pattern"]
        assert isinstance(pattern, str)
        assert f"({stated.pattern})" in pattern


def test_request_ids_are_known_by_their_format() -> None:
    named = {name for name in FIELDS if name.endswith(".request_id")}
    marked = {
        name
        for name, field in FIELDS.items()
        if field_limits.read(field).format == options_pb2.FORMAT_REQUEST_ID
    }
    assert named == marked
    assert len(named) > 10


def numbers_of(stated: Limits) -> set[int]:
    """The numbers by which something is limited; nothing has less than none."""
    numbers: set[int] = set()
    for field, value in stated.ListFields():
        if field.message_type is not None:
            numbers |= numbers_of(value)
        elif field.cpp_type == FieldDescriptor.CPPTYPE_INT32:
            numbers.add(value)
    return numbers - {0}


def numbers_said(comment: str) -> set[int]:
    found = {int(number) for match in PHRASE.findall(comment) for number in match if number}
    return found - {0}


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
def test_comments_of_fields_say_their_limits(field: FieldDescriptor) -> None:
    said = numbers_said(COMMENTS[field.full_name])
    stated = field_limits.read(field)
    if stated.format == options_pb2.FORMAT_PAGE_SIZE:
        assert said == PAGE_SIZES - {PAGE_SIZE_DEFAULT}
        assert f"{PAGE_SIZE_DEFAULT} by default" in COMMENTS[field.full_name]
        return
    # The comment of its format says what all its fields have in common.
    assert said <= numbers_of(stated)
    assert numbers_of(field.GetOptions().Extensions[options_pb2.limits]) <= said


@pytest.mark.parametrize("name", Format.keys())
def test_comments_of_formats_say_their_limits(name: str) -> None:
    said = numbers_said(COMMENTS[f"balance.v1.{name}"])
    assert said == numbers_of(field_limits.read_format(Format.Value(name)))


CREATE_DEPOSIT, CREATE_TRANSFER, FREEZE_ACCOUNT, SERVICE, USER, SET_EXTERNAL_ID = (
    message.DESCRIPTOR
    for message in (
        deposit_pb2.CreateDepositRequest,
        transfer_pb2.CreateTransferRequest,
        account_pb2.FreezeAccountRequest,
        purchase_pb2.Service,
        user_pb2.User,
        user_pb2.SetUserExternalIdRequest,
    )
)
CONSTRAINTS = {
    "email_in_lower_case": field_limits.read_format(options_pb2.FORMAT_EMAIL),
    "names_not_too_long": field_limits.find(USER, "first_name"),
    "bio_not_too_long": field_limits.find(USER, "bio"),
    "description_not_too_long": field_limits.find(CREATE_TRANSFER, "description"),
    "name_not_too_long": field_limits.find(SERVICE, "name"),
    "service_description_not_too_long": field_limits.find(SERVICE, "description"),
    "reference_not_too_long": field_limits.find(CREATE_DEPOSIT, "reference"),
    "caller_reference_not_too_long": field_limits.find(CREATE_DEPOSIT, "reference"),
    "reason_not_too_long": field_limits.find(FREEZE_ACCOUNT, "reason"),
    "source_not_too_long": field_limits.find(CREATE_DEPOSIT, "source"),
    "caller_source_not_too_long": field_limits.find(CREATE_DEPOSIT, "source"),
    "external_id_not_too_long": field_limits.find(SET_EXTERNAL_ID, "external_id"),
    "external_source_not_too_long": field_limits.find(SET_EXTERNAL_ID, "source"),
}


def constraints(pattern: str) -> dict[str, str]:
    """The constraints of all migrations whose condition matches, by name."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in MIGRATIONS.glob("*.sql"))
    return dict(re.findall(rf"CONSTRAINT (\w+) CHECK \((.*{pattern}.*)\)", text))


def test_tables_hold_what_requests_may() -> None:
    conditions = constraints(r"length\(")
    # Operators name certificates at the command line; no request does.
    del conditions["name_well_formed"]
    assert set(conditions) == set(CONSTRAINTS)
    for name, condition in conditions.items():
        allowed = {int(most) for most in re.findall(r"(?:<=|AND) (\d+)", condition)}
        if name.endswith("source_not_too_long"):
            # The caller is the source by default, and their name may be longer than any other's.
            assert allowed.pop() >= CONSTRAINTS[name].max_length
        else:
            assert allowed == {CONSTRAINTS[name].max_length}, name


def test_limits_of_names_are_the_same_for_both_names() -> None:
    assert field_limits.find(USER, "first_name") == field_limits.find(USER, "last_name")


@pytest.mark.parametrize("text", ["ab", "abc", "a" * 30, "a" * 31, "1abc", "a.b-c_d", "a b", "aéb"])
def test_table_keeps_the_usernames_that_requests_may_name(text: str) -> None:
    (pattern,) = re.findall("'(.*)'", constraints("username ~")["username_well_formed"])
    stated = field_limits.find(USER, "username")
    matched = field_limits.compile_pattern(stated).fullmatch(text) is not None
    allowed = matched and stated.min_length <= len(text) <= stated.max_length
    assert allowed == bool(re.search(pattern, text))


@pytest.mark.parametrize(
    "text",
    ["0", "1", "01", "0.5", ".5", "5.", "-1", "+1", "1e3", " 1", "1,5", "1" * 19, "0" * 2, "٣"],
)
def test_amounts_are_read_as_their_format_has_them(text: str) -> None:
    stated = field_limits.read_format(options_pb2.FORMAT_AMOUNT)
    matched = field_limits.compile_pattern(stated).fullmatch(text) is not None
    try:
        money.parse_number(text, "amount", zero=True)
    except errors.InvalidFields:
        assert not matched
    else:
        assert matched


def test_domain_keeps_to_the_formats() -> None:
    assert field_limits.read_format(options_pb2.FORMAT_EMAIL).max_length == addresses.LENGTH_MAX
    order = field_limits.compile_pattern(field_limits.read_format(options_pb2.FORMAT_ORDER))
    assert all(order.fullmatch(choice) for choice in Order)
    currency = field_limits.compile_pattern(field_limits.read_format(options_pb2.FORMAT_CURRENCY))
    assert all(currency.fullmatch(code) for code in money.DECIMALS)
    longest = field_limits.read_format(options_pb2.FORMAT_AMOUNT).max_length
    # Beyond it the text is not looked at; up to it, the number is too large.
    refusals = {longest: "must be at most", longest + 1: "must be a decimal string"}
    for length, refusal in refusals.items():
        with pytest.raises(errors.InvalidFields) as caught:
            money.parse_number("9" * length, "amount")
        assert caught.value.violations[0].description.startswith(refusal)
