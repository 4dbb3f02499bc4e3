"""The audit log's rules: what a hash covers, what is rationed, and which limits need two people."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balance_service.domain.accounts import Account, Status
from balance_service.domain.approvals import Ceilings
from balance_service.domain.audit import (
    CHAIN_START,
    Actor,
    RecordedEvent,
    chain_hash,
    shorten_email,
)
from balance_service.domain.limits import Limits
from balance_service.domain.rations import ALL_MAX, NETWORK_MAX, WINDOW_SECONDS, Ration
from tests.ledger import ACCOUNTS, NOW, USERS

ID = UUID("0190a1b2-0000-7000-8000-000000000001")
MOMENT = datetime(2026, 1, 2, 3, 4, 5, 60, UTC)
EVENT = RecordedEvent(
    ID, MOMENT, "user.role_changed", "", Actor("user:1", ID, "::/64", "call"), "user:2",
    {"role": "user"}, {"role": "admin", "name": "Анна"}, 'He "said" so\n',
)  # fmt: skip


def test_hash_is_what_it_was_for_ever() -> None:
    """An export of any version must be checked by any later one."""
    link = chain_hash(CHAIN_START, EVENT)
    assert link.hex() == "3db86efca73ac9a97ba44457bd308f86300d9dbffd98f1ab2949192970200f01"
    elsewhere = EVENT._replace(created_at=MOMENT.astimezone(timezone(timedelta(hours=3))))
    assert chain_hash(CHAIN_START, elsewhere) == link
    assert chain_hash(link, EVENT) != link


@pytest.mark.parametrize(
    ("email", "shortened"),
    [
        ("anna@example.com", "a***@example.com"),
        ("a@b.c", "a***@b.c"),
        ('"a@b"@example.com', '"***@example.com'),
    ],
)
def test_addresses_are_shortened(email: str, shortened: str) -> None:
    assert shorten_email(email) == shortened


def test_first_of_each_kind_is_recorded_in_a_window() -> None:
    ration = Ration()
    assert ration.take("a", "wrong code", 0) == 0
    assert [ration.take("a", "wrong code", 1) for _ in range(3)] == [None] * 3
    assert ration.take("b", "wrong code", 2) == 3
    assert ration.take("a", "wrong secret", 3) == 0
    assert ration.take("a", "wrong code", WINDOW_SECONDS - 1) is None
    assert ration.take("a", "wrong code", WINDOW_SECONDS) == 1


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=600))
def test_ration_is_never_exceeded_and_forgets_nobody(tried: list[tuple[int, int]]) -> None:
    ration, recorded, left_out = Ration(), [], 0
    for network, kind in tried:
        counted = ration.take(str(network), kind, 1)
        if counted is None:
            left_out += 1
        else:
            recorded.append(network)
            assert counted == left_out
            left_out = 0
    assert len(recorded) <= ALL_MAX
    assert all(recorded.count(network) <= NETWORK_MAX for network in recorded)
    if tried:
        assert recorded


limits_ = st.one_of(st.none(), st.integers(0, 4))


@given(limits_, limits_, limits_, limits_)
def test_only_a_rise_above_the_ceiling_needs_approval(
    ceiling: int | None, service: int | None, old: int | None, new: int | None
) -> None:
    whole = Account(ACCOUNTS[0], USERS[0], "RUB", 1000, 0, 0, Status.ACTIVE, 0, NOW)
    before = whole._replace(debit_limit_minor=old, daily_limit_minor=new)
    after = before._replace(debit_limit_minor=new)
    ceilings = Ceilings(debit_minor={} if ceiling is None else {"RUB": ceiling})
    limits = Limits(debit_minor={} if service is None else {"RUB": service})
    endless = 10**9
    was, becomes = (
        own if own is not None else (service if service is not None else endless)
        for own in (old, new)
    )
    expected = ceiling is not None and becomes > was and becomes > ceiling
    assert ceilings.are_exceeded(before, after, limits) == expected
