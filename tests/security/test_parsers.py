"""Readers of what callers send: whatever it is, they read it or refuse it, and nothing else."""

import json
from contextlib import suppress
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st

from balance_service.calls.call import Call, from_metadata
from balance_service.domain import errors, money
from balance_service.gateway.request_messages import read_request
from balance_service.messages.page_tokens import PageTokens
from tests.http import BINDINGS

TOKENS = PageTokens(bytes(32))
CALL = Call("/a.B/List", "1")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=20,
)
NAMES = sorted(
    {
        name
        for binding in BINDINGS
        for field in binding.method.input.fields
        for name in (field.name, field.camelcase_name)
    }
)


@settings(max_examples=40)
@given(
    binding=st.sampled_from(BINDINGS),
    body=st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=12), JSON, max_size=5),
    query=st.lists(st.tuples(st.sampled_from(NAMES), st.text(max_size=40)), max_size=4),
    variable=st.text(max_size=40),
    key=st.none() | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40),
)
def test_any_request_is_a_message_or_refused(
    binding: object,
    body: dict[str, object],
    query: list[tuple[str, str]],
    variable: str,
    key: str | None,
) -> None:
    variables = dict.fromkeys(binding.variables, variable)  # type: ignore[attr-defined]
    text = json.dumps(body).encode() if binding.body else b""  # type: ignore[attr-defined]
    read = partial(read_request, binding, variables, query, text, key)  # type: ignore[arg-type]
    with suppress(errors.Refusal):
        message = read()
        assert message.DESCRIPTOR is not None


@settings(max_examples=40)
@given(binding=st.sampled_from(BINDINGS), body=st.binary(max_size=200))
def test_any_body_is_a_message_or_refused(binding: object, body: bytes) -> None:
    variables = dict.fromkeys(binding.variables, "x")  # type: ignore[attr-defined]
    with suppress(errors.Refusal):
        read_request(binding, variables, [], body)  # type: ignore[arg-type]


@settings(max_examples=40)
@given(text=st.text(max_size=60), currency=st.sampled_from(sorted(money.DECIMALS)))
def test_any_text_is_an_amount_or_refused(text: str, currency: str) -> None:
    with suppress(errors.InvalidFields):
        read = money.parse_amount(text, currency, "amount")
        assert 0 < read.minor <= money.MINOR_MAX
        assert money.parse_amount(str(read), currency, "amount") == read


@settings(max_examples=40)
@given(token=st.text(max_size=200) | st.binary(max_size=150).map(bytes.hex))
def test_any_text_is_no_page_token(token: str) -> None:
    with suppress(errors.PageTokenInvalid):
        assert TOKENS.read(("query",), CALL, token) is None
        assert token == ""


@settings(max_examples=40)
@given(place=st.binary(max_size=60), at=st.integers(0, 200), change=st.integers(1, 255))
def test_page_token_with_any_byte_changed_is_refused(place: bytes, at: int, change: int) -> None:
    token = TOKENS.write(("query",), CALL, place)
    at %= len(token)
    altered = token[:at] + chr((ord(token[at]) + change) % 128) + token[at + 1 :]
    if altered == token:
        return
    # The last character has bits that stand for nothing.
    with suppress(errors.PageTokenInvalid):
        assert TOKENS.read(("query",), CALL, altered) == place
        assert at == len(token) - 1


@settings(max_examples=40)
@given(
    sent=st.lists(
        st.tuples(
            st.sampled_from(
                ["authorization", "x-request-id", "accept-language", "traceparent", "x-other"]
            ),
            st.text(max_size=120),
        ),
        max_size=6,
    )
)
def test_any_metadata_is_a_call(sent: list[tuple[str, str]]) -> None:
    call = from_metadata("/a.B/C", sent, None)
    assert call.correlation_id.isascii()
    assert call.correlation_id.isprintable()
    assert call.language in {"en", "ru"}
