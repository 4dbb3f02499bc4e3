"""Refusals: small whatever was sent, and no dearer than reading it."""

import json
import time
from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balance_service.calls import shortening
from balance_service.calls.refusals import status
from balance_service.domain import errors
from balance_service.domain.errors import Violation
from balance_service.gateway.heads import RequestHead
from balance_service.gateway.numbered_pages import read_paging
from balance_service.gateway.refusals import refusal_to_response
from balance_service.gateway.request_messages import read_request
from tests.http import BY_METHOD

LARGEST = 1 << 20
# What a refusal may cost, in times of what it costs to parse the same bytes: enough for a machine
# under load, and far from what squares.
DEARER_MAX = 60
DEPOSIT = BY_METHOD["/balance.v1.DepositService/CreateDeposit"]
BATCH = BY_METHOD["/balance.v1.TransferService/BatchCreateTransfers"]
LIST = BY_METHOD["/balance.v1.DepositService/ListDeposits"]


def names(count: int, last: str = "") -> str:
    return "{" + ",".join([*(f'"name{n}": 1' for n in range(count)), last]).strip(",") + "}"


def batch(item: str, count: int) -> str:
    return '{"requests": [' + ",".join([item] * count) + "]}"


BODIES = {
    "many names": names(60_000),
    "a name repeated at the end": names(20_000, '"name0": 1'),
    "many names, a name repeated": names(60_000, '"name59999": 1'),
    "names repeated in pairs": batch('{"amount": "1", "amount": "2"}', 12_000),
    "names in both cases": batch('{"toAccount": "1", "to_account": "1"}', 12_000),
    "items of no kind": batch("5", 400_000),
    "items that are empty but one": batch("{}", 300_000)[:-2] + ", 5]}",
    "items with values of no kind": batch('{"amount": 5, "metadata": [], "currency": {}}', 8_000),
    "metadata of no kind": '{"metadata": ' + names(20_000) + "}",
    "metadata of no kind at the end": '{"metadata": {'
    + ",".join(f'"n{n}": ""' for n in range(20_000))
    + ', "z": 1}}',
    "a long value": json.dumps({"amount": 1, "description": "\ud800" * 150_000}),
    "a long name": json.dumps({"x" * 1_000_000: 1}),
    "a long name in nothing but escapes": json.dumps({"\x01" * 170_000: 1}),
    "deep lists": '{"amount": ' + "[" * 900 + "]" * 900 + "}" + " " * 1_000_000,
    "lists too deep to parse": "[" * 1_000_000,
    "wide lists": '{"amount": [' + ",".join(["[]"] * 300_000) + "]}",
    "numbers": '{"amount": [' + ",".join(["9" * 4000] * 250) + "]}",
}


def refuse(act: Callable[[], object]) -> bytes:
    """The answer of what must be refused."""
    with pytest.raises(errors.Refusal) as error:
        act()
    return refusal_to_response(error.value, "ru", "some-id").body


def seconds(act: Callable[[], object]) -> float:
    """The least that it takes."""
    found = []
    for _ in range(3):
        start = time.process_time()
        act()
        found.append(time.process_time() - start)
    return min(found)


def parse(body: bytes) -> None:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        # It was given up early, so let the bytes alone be the measure.
        json.loads(json.dumps("x" * len(body)))


@pytest.mark.parametrize("name", BODIES)
def test_refused_body_costs_about_what_parsing_it_costs(name: str) -> None:
    body = BODIES[name].encode()
    assert 200_000 < len(body) <= LARGEST
    for binding in (DEPOSIT, BATCH):
        answer = refuse(lambda binding=binding: read_request(binding, {}, [], body))  # type: ignore[misc]
        assert len(answer) < 8192
        cost = seconds(lambda b=binding: refuse(lambda: read_request(b, {}, [], body)))  # type: ignore[misc]
        assert cost < DEARER_MAX * max(seconds(lambda: parse(body)), 0.001)


QUERIES = {
    "names": urlencode([(f"name{n}", "x" * 600) for n in range(100)]),
    "too many": "&".join(["a=b"] * 16_000),
    "one value": "page_size=" + "9" * 65_000,
    "one name": "a." * 32_000 + "=1",
    "escapes": "account=" + "%D0%B6" * 10_000,
    "no escapes": "%ff" * 20_000,
    "a mask": "filter.start_time=" + "2026-01-01T00:00:00Z," * 3_000,
    "pages": "&".join(["page=1"] * 100) + "&order_by=" + "date," * 12_000,
}


@pytest.mark.parametrize("name", QUERIES)
def test_refused_query_costs_about_what_parsing_it_costs(name: str) -> None:
    text = QUERIES[name]

    def read() -> object:
        head = RequestHead({"query_string": text.encode(), "headers": []})
        return read_request(LIST, {}, read_paging(LIST, head.query).query, b"")

    if name == "escapes":  # An account of no form is for the servicer to refuse.
        read()
    else:
        assert len(refuse(read)) < 8192
        cost = seconds(lambda: refuse(read))
        assert cost < DEARER_MAX * max(seconds(lambda: json.loads(json.dumps(text))), 0.001)


def size(answer_bytes: bytes, message: str) -> int:
    """What a status takes in trailers: its details in base64, its message percent-encoded."""
    escaped = sum(1 if 0x20 <= byte <= 0x7E and byte != 0x25 else 3 for byte in message.encode())
    return len(answer_bytes) * 4 // 3 + escaped


@given(
    st.lists(st.tuples(st.text(max_size=400), st.text(max_size=400)), min_size=1, max_size=60),
    st.sampled_from(["en", "ru"]),
)
def test_violations_fit_into_trailers(found: list[tuple[str, str]], language: str) -> None:
    refusal = errors.InvalidFields(tuple(Violation(*one) for one in found))
    answer = status(refusal, language)
    assert size(answer.SerializeToString(), answer.message) < 7000
    told = shortening.shorten_violations(refusal.violations)
    assert 1 <= len(told.violations) <= shortening.VIOLATIONS_MAX
    assert len(told.violations) + told.more == len(found)


@pytest.mark.parametrize("character", ["x", "ж", "😀", "\x01", "%", "\ud800"])
def test_facts_fit_into_trailers(character: str) -> None:
    long = character * 100_000
    for refusal in (
        errors.ReferenceReused(long, long, long),
        errors.IdempotencyKeyReused(long, (long, long)),
        errors.InsufficientFunds(long, long, long, long, long),
        errors.UsernameTaken(long),
        errors.invalid(long, long),
    ):
        for language in ("en", "ru"):
            answer = status(refusal, language)
            assert size(answer.SerializeToString(), answer.message) < 7000


def test_twenty_violations_are_told_and_the_others_counted() -> None:
    refusal = errors.InvalidFields(tuple(Violation(f"f{n}", "is wrong") for n in range(57)))
    answer = status(refusal)
    assert answer.message.endswith("; and 37 more")
    assert b"more_violations" in answer.details[0].value
    assert answer.details[1].value.count(b"is wrong") == 20
    short = status(errors.invalid("amount", "is wrong"))
    assert short.message == "amount is wrong"
    assert b"more_violations" not in short.details[0].value


@given(st.text(), st.integers(3, 50))
def test_what_is_shown_is_short_and_printable(text: str, bytes_max: int) -> None:
    shown = shortening.shorten(text, bytes_max)
    assert len(shown.encode()) <= bytes_max
    assert shown.isprintable()
    if text.isprintable() and len(text.encode()) <= bytes_max:
        assert shown == text
