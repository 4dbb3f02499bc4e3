"""Page tokens: what is written is read, whatever is listed, and it is short."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balance_service.calls.call import Call
from balance_service.domain import errors
from balance_service.domain.money import DECIMALS
from balance_service.domain.paging import AmountPosition, Position
from balance_service.messages import page_tokens
from balance_service.messages.page_tokens import (
    TOKEN_LENGTH_MAX,
    PageTokens,
    position_from_bytes,
    position_to_bytes,
)

TOKENS = PageTokens(b"k" * 32)
SEQUENCES = st.integers(min_value=0, max_value=2**63 - 1)
MANY = {UUID(int=n): code for n, code in enumerate(DECIMALS, 1)}
CALL = Call("/a.B/List", "1")
HIGHEST = dict.fromkeys(MANY, 2**63 - 1)


def token_of(position: Position) -> str:
    return TOKENS.write(("asked",), CALL, position_to_bytes(position, MANY))


@st.composite
def positions(draw: st.DrawFn) -> Position:
    ends = draw(st.dictionaries(st.sampled_from(list(MANY)), SEQUENCES))
    listed = st.sampled_from(sorted(ends)) if ends else st.nothing()
    after = {
        account_id: draw(st.integers(min_value=1, max_value=ends[account_id]))
        for account_id in draw(st.sets(listed))
        if ends[account_id]
    }
    last = draw(st.none() | st.builds(AmountPosition, SEQUENCES, listed, SEQUENCES))
    return Position(ends, after, draw(SEQUENCES), last)


@given(position=positions())
def test_every_position_is_read_as_it_was_written(position: Position) -> None:
    token = token_of(position)
    assert len(token) <= TOKEN_LENGTH_MAX
    place = TOKENS.read(("asked",), CALL, token)
    assert place is not None
    assert position_from_bytes(place, MANY) == position


def test_largest_tokens_stay_short() -> None:
    """With an account in every currency: what a URL holds, at any depth newest first."""
    assert len(token_of(Position(HIGHEST, passed=2**63 - 1))) < 2048
    # Oldest first, at four thousand million entries an account.
    assert (
        len(token_of(Position(dict.fromkeys(MANY, 2**32), dict.fromkeys(MANY, 2**32 - 1)))) < 2048
    )
    # And what no ledger comes to is still read.
    last = AmountPosition(2**63 - 1, next(iter(MANY)), 2**63 - 1)
    largest = Position(HIGHEST, dict.fromkeys(MANY, 2**62), 2**63 - 1, last)
    assert len(token_of(largest)) <= TOKEN_LENGTH_MAX


@given(position=positions(), opened=st.sampled_from(list(MANY)))
def test_account_opened_since_is_no_part_of_the_list(position: Position, opened: UUID) -> None:
    before = {account_id: code for account_id, code in MANY.items() if account_id != opened}
    if opened not in position.ends:
        place = position_to_bytes(position, before)
        assert position_from_bytes(place, MANY) == position


@pytest.mark.parametrize("asked", [(), ("other",), ("asked", "more"), ("asked\n",)])
def test_token_is_of_what_was_asked(asked: tuple[str, ...]) -> None:
    token = TOKENS.write(("asked",), CALL, b"place")
    with pytest.raises(errors.PageTokenInvalid):
        TOKENS.read(asked, CALL, token)


@pytest.mark.parametrize("token", ["x", "=", "é", "A" * 22, "A" * 1_000_000, "\x00", "A" * 23])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(errors.PageTokenInvalid):
        TOKENS.read(("asked",), CALL, token)


def test_token_of_another_table_of_currencies_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    token = TOKENS.write(("asked",), CALL, b"place")
    monkeypatch.setattr(page_tokens, "_FORM", "2 RUB")
    with pytest.raises(errors.PageTokenInvalid):
        TOKENS.read(("asked",), CALL, token)
