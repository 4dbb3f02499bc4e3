"""Fair turns between principals, and who gives way where there is no room."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from balance_service.domain import ids
from balance_service.domain.commands import Origin, Settle
from balance_service.domain.money import Money
from balance_service.domain.movements import Kind
from balance_service.domain.requests import Request
from balance_service.ledger.turns import QueuedRequest, Turns

ACCOUNT = ids.new_id()
Sent = list[tuple[str, int]]
PRINCIPALS = st.sampled_from(["user:a", "user:b", "user:c", "service:d"])
SENT: st.SearchStrategy[Sent] = st.lists(st.tuples(PRINCIPALS, st.integers(1, 20)), max_size=60)


@pytest.fixture(autouse=True)
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    asyncio.set_event_loop(made)
    yield made
    asyncio.set_event_loop(None)
    made.close()


def request(principal: str, size: int) -> QueuedRequest:
    command = Settle(
        Origin(principal=principal), Kind.DEPOSIT, ACCOUNT, Money(1, "RUB"), None, None
    )
    answer = asyncio.get_event_loop_policy().get_event_loop().create_future()
    return QueuedRequest(Request((command,) * size), answer)


def waiting(sent: Sent) -> tuple[Turns, list[QueuedRequest]]:
    turns, added = Turns(), [request(*one) for one in sent]
    for one in added:
        turns.add(one)
    return turns, added


def take_all(turns: Turns) -> list[QueuedRequest]:
    taken = []
    while first := turns.next():
        assert turns.take() is first
        taken.append(first)
    return taken


def sizes(requests: list[QueuedRequest]) -> Counter[str]:
    found: Counter[str] = Counter()
    for one in requests:
        found[one.request.principal] += len(one.request.items)
    return found


@given(SENT)
def test_each_principals_requests_are_taken_once_and_in_order(sent: Sent) -> None:
    turns, added = waiting(sent)
    assert (len(turns), turns.commands) == (len(sent), sum(size for _, size in sent))
    lines = defaultdict(list)
    for taken in take_all(turns):
        lines[taken.request.principal].append(taken)
    for principal, line in lines.items():
        assert line == [one for one in added if one.request.principal == principal]
    assert (len(turns), turns.commands) == (0, 0)


@given(SENT, st.integers(0, 40))
@example([("user:a", 20)] * 20 + [("user:b", 1)] * 20, 20)
def test_nobody_who_waits_falls_behind_others_by_more_than_a_request_of_each(
    sent: Sent, count: int
) -> None:
    """The bound of the algorithm's authors, while both have something waiting."""
    turns, added = waiting(sent)
    taken = [turns.take() for _ in range(min(count, len(added)))]
    had, left = sizes(taken), sizes([one for one in added if one not in taken])
    for behind in left:
        for ahead in had:
            assert had[ahead] - had[behind] <= 40


def test_who_asks_for_little_is_next_whatever_another_has_waiting() -> None:
    turns, added = waiting([("service:payroll", 1000)] * 26)
    assert turns.take() is added[0]
    turns.add(single := request("user:a", 1))
    assert [turns.take(), turns.take()] in ([added[1], single], [single, added[1]])


def test_who_comes_back_has_no_credit_for_having_been_away() -> None:
    turns, _ = waiting([("user:a", 10)] * 10)
    for _ in range(5):
        turns.take()
    for _ in range(10):
        turns.add(request("user:b", 10))
    had = sizes([turns.take() for _ in range(6)])
    assert had["user:a"] == had["user:b"] == 30


def test_who_had_much_done_while_nobody_else_waited_is_not_put_behind() -> None:
    turns, _ = waiting([("user:a", 1000)])
    turns.take()
    turns.add(first := request("user:a", 1))
    turns.add(request("user:b", 1))
    assert turns.take() is first


def test_what_gave_way_does_not_count_against_who_asked_for_it() -> None:
    turns, added = waiting([("user:a", 10), ("user:a", 90), ("user:b", 10)])
    assert turns.make_room("user:c", 10, 50) == [added[1]]
    turns.add(again := request("user:a", 1))
    turns.add(request("user:b", 1))
    turns.take(), turns.take()
    assert turns.take() is again


@given(SENT, PRINCIPALS, st.integers(1, 20), st.integers(20, 200))
def test_room_is_made_by_the_newest_of_those_who_have_more_waiting(
    sent: Sent, principal: str, size: int, most: int
) -> None:
    turns, added = waiting(sent)
    before = sizes(added)
    share = before[principal] + size
    excess = sum(max(count - share, 0) for count in before.values())
    missing = sum(before.values()) + size - most
    assert turns.has_room(principal, size, most) == (missing <= 0 or excess >= missing)
    if not turns.has_room(principal, size, most):
        return
    dropped = turns.make_room(principal, size, most)
    assert turns.commands + size <= most
    assert all(before[one.request.principal] > share for one in dropped)
    assert bool(dropped) == (missing > 0)
    kept = take_all(turns)
    for one in dropped:
        line = [other for other in added if other.request.principal == one.request.principal]
        assert all(line.index(one) > line.index(other) for other in kept if other in line)
    assert Counter(map(id, [*kept, *dropped])) == Counter(map(id, added))
