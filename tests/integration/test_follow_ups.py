"""Reversals and holds on real Postgres: of what is asked at once, one order is kept."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from psycopg import errors as pg

from balance_service.database.pool import Pool
from balance_service.domain import errors, ids
from balance_service.domain.commands import Purchase, Settle, Transfer
from balance_service.domain.follow_up_commands import Capture, Place, Release, Reverse
from balance_service.domain.money import Money
from balance_service.domain.movements import Kind, Movement
from balance_service.domain.requests import Command, Request
from balance_service.domain.state import Done, How, Outcome
from balance_service.repositories import accounts
from tests.commits import commit
from tests.integration.small_ledger import RATES, by, for_sale, made, move_on, opened
from tests.integration.test_commit_path import Verified, balance

ROUNDS = 8


def rub(amount: int) -> Money:
    return Money(amount, "RUB")


async def at_once(pool: Pool, *commands: Command) -> list[Outcome]:
    """The outcomes of commands, each in a commit of its own."""
    answers = await asyncio.gather(*(commit(pool, Request((command,))) for command in commands))
    return [answer[0][0] for answer in answers]


def posted(outcomes: Sequence[Outcome]) -> list[Movement]:
    done = [outcome for outcome in outcomes if isinstance(outcome, Done)]
    return [one.movement for one in done if one.how == How.POSTED]


async def rich(pool: Pool) -> tuple[UUID, UUID]:
    anna, boris = await opened(pool, "RUB", "RUB")
    await made(pool, Settle(by(), Kind.DEPOSIT, anna, rub(10_000)))
    return anna, boris


async def held(pool: Pool, account: UUID) -> int:
    async with pool.connection() as conn:
        return (await accounts.get(conn, [account]))[0].account.held_minor


def in_a_day() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)


async def test_hold_that_is_captured_and_voided_at_once_ends_once(
    pool: Pool, verified: Verified
) -> None:
    anna, boris = await rich(pool)
    for _ in range(ROUNDS):
        before = await balance(pool, anna)
        (hold,) = await made(pool, Place(Transfer(by(), anna, boris, rub(100)), in_a_day()))
        endings: list[Command] = [Capture(by(), hold), Release(by(), hold), Capture(by(), hold)]
        outcomes = await at_once(pool, *endings)
        (one,) = posted(outcomes)
        assert sum(isinstance(outcome, errors.HoldClosed) for outcome in outcomes) == 2
        taken = 100 if one.kind == Kind.TRANSFER else 0
        assert await balance(pool, anna) == before - taken
        assert await held(pool, anna) == 0
    await verified()


async def test_hold_that_expires_twice_at_once_expires_once(
    pool: Pool, verified: Verified, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna, boris = await rich(pool)
    place = Place(Transfer(by(), anna, boris, rub(100)), in_a_day())
    holds = await made(pool, *[place_again(place) for _ in range(ROUNDS)])
    move_on(monkeypatch, timedelta(days=2))
    for hold in holds:
        endings: list[Command] = [
            Release(by(), hold, Kind.EXPIRY),
            Release(by(), hold, Kind.EXPIRY),
            Capture(by(), hold),
            Release(by(), hold),
        ]
        outcomes = await at_once(pool, *endings)
        (one,) = posted(outcomes)
        assert one.kind == Kind.EXPIRY
        assert sum(isinstance(outcome, errors.HoldExpired) for outcome in outcomes) >= 2
    assert await held(pool, anna) == 0
    await verified()


def place_again(place: Place) -> Place:
    purpose = place.purpose
    assert isinstance(purpose, Transfer)
    again = Transfer(by(), purpose.from_account_id, purpose.to_account_id, purpose.money)
    return Place(again, place.expires_at)


async def test_captures_at_once_never_take_more_than_was_held(
    pool: Pool, verified: Verified
) -> None:
    anna, boris = await rich(pool)
    (hold,) = await made(pool, Place(Transfer(by(), anna, boris, rub(100)), in_a_day()))
    parts = [Capture(by(), hold, rub(30), keep_rest=True) for _ in range(6)]
    outcomes = await at_once(pool, *parts)
    assert len(posted(outcomes)) == 3
    assert {type(o) for o in outcomes if not isinstance(o, Done)} == {errors.CaptureTooLarge}
    assert (await balance(pool, boris), await held(pool, anna)) == (90, 10)
    await verified()


async def test_reversals_at_once_never_take_back_more_than_the_original(
    pool: Pool, verified: Verified
) -> None:
    anna, boris = await rich(pool)
    for original in await made(
        pool,
        Transfer(by(), anna, boris, rub(100)),
        Settle(by(), Kind.DEPOSIT, anna, rub(100)),
        Settle(by(), Kind.WITHDRAWAL, anna, rub(100)),
    ):
        outcomes = await at_once(pool, *[Reverse(by(), original, rub(30)) for _ in range(6)])
        assert len(posted(outcomes)) == 3
        assert {type(o) for o in outcomes if not isinstance(o, Done)} == {errors.ReversalTooLarge}
    await verified()


async def test_refund_and_purchase_at_once_leave_the_service_bought_once(
    pool: Pool, verified: Verified
) -> None:
    anna, _ = await rich(pool)
    (service,) = await for_sale(pool, rub(100))
    (bought,) = await made(pool, Purchase(by(), anna, service, rub(100), RATES))
    for _ in range(ROUNDS):
        buys = [Purchase(by(), anna, service, rub(100), RATES) for _ in range(2)]
        refund, *outcomes = await at_once(pool, Reverse(by(), bought), *buys)
        assert isinstance(refund, Done)
        new = posted(outcomes)
        assert len(new) <= 1
        assert await balance(pool, anna) == 10_000 - 100 * len(new)
        if not new:
            new = await made(pool, Purchase(by(), anna, service, rub(100), RATES))
        (bought,) = new
    await verified()


async def test_service_bought_in_parts_is_bought_again_once_all_are_refunded(
    pool: Pool, verified: Verified
) -> None:
    anna, _ = await rich(pool)
    (service,) = await for_sale(pool, rub(100))
    buy = Purchase(by(), anna, service, rub(100), RATES)
    (hold,) = await made(pool, Place(buy, in_a_day()))
    first, second = await made(
        pool, Capture(by(), hold, rub(40), keep_rest=True), Capture(by(), hold)
    )
    await made(pool, Reverse(by(), first))
    (kept,) = await at_once(pool, Purchase(by(), anna, service, rub(100), RATES))
    assert kept == Done(second, How.ALREADY_PURCHASED)
    await verified()
    # Refunded and bought again in one commit.
    await made(pool, Reverse(by(), second), Purchase(by(), anna, service, rub(100), RATES))
    await verified()


async def test_transfers_and_their_reversals_at_once_do_not_deadlock(
    pool: Pool, verified: Verified
) -> None:
    """Payer and receiver are the other way round."""
    anna, boris = await rich(pool)
    sent = await made(pool, *[Transfer(by(), anna, boris, rub(10)) for _ in range(ROUNDS)])
    others = [Transfer(by(), anna, boris, rub(1)) for _ in range(ROUNDS)]
    outcomes = await at_once(pool, *[Reverse(by(), one) for one in sent], *others)
    assert len(posted(outcomes)) == 2 * ROUNDS
    assert await balance(pool, boris) == ROUNDS
    await verified()


async def test_used_reference_of_a_hold_is_refused_and_its_neighbours_are_not(
    pool: Pool, verified: Verified
) -> None:
    anna, _ = await rich(pool)
    out = Settle(by(), Kind.WITHDRAWAL, anna, rub(1), "bank", "po_1")
    await made(pool, out)
    again = Place(Settle(by(), Kind.WITHDRAWAL, anna, rub(1), "bank", "po_1"), in_a_day())
    neighbour = Settle(by(), Kind.DEPOSIT, anna, rub(5))
    answers = await commit(pool, Request((again,)), Request((neighbour,)))
    assert isinstance(answers[0][0], errors.ReferenceReused)
    assert isinstance(answers[1][0], Done)
    await verified()


async def test_validated_requests_write_nothing(pool: Pool, verified: Verified) -> None:
    anna, boris = await rich(pool)
    command = Place(Transfer(by(ids.new_id()), anna, boris, rub(100)), in_a_day())
    (validated,) = await commit(pool, Request((command,), validate_only=True))
    assert await held(pool, anna) == 0
    (done,) = await commit(pool, Request((command,)))
    assert isinstance(validated[0], Done)
    assert isinstance(done[0], Done)
    assert validated[0].movement.movement_id == done[0].movement.movement_id
    assert (done[0].how, await held(pool, anna)) == (How.POSTED, 100)
    await verified()


async def test_database_itself_keeps_holds_and_what_follows_in_bounds(
    pool: Pool,
) -> None:
    anna, boris = await rich(pool)
    (hold,) = await made(pool, Place(Transfer(by(), anna, boris, rub(100)), in_a_day()))
    await made(pool, Capture(by(), hold, rub(30), keep_rest=True))
    for statement, constraint in (
        ("UPDATE holds SET left_minor = -1", "left_not_negative"),
        ("UPDATE holds SET left_minor = 0", "open_hold_has_something_left"),
        ("UPDATE holds SET status = 3", "open_hold_has_something_left"),
        ("UPDATE holds SET status = 9, left_minor = 0", "hold_status_known"),
        (
            "UPDATE holds SET status = 2, left_minor = 0, captured_minor = 0",
            "captured_hold_has_captures",
        ),
        ("UPDATE accounts SET held_minor = 20000", "balance_within_limit"),
        ("UPDATE accounts SET held_minor = -1", "held_not_negative"),
        (
            "INSERT INTO follows VALUES (gen_random_uuid(), gen_random_uuid(), 0, 0)",
            "follow_amount_positive",
        ),
        (
            "INSERT INTO follows VALUES (gen_random_uuid(), gen_random_uuid(), 1, -1)",
            "follow_price_not_negative",
        ),
    ):
        async with pool.connection() as conn:
            with pytest.raises(pg.CheckViolation) as refused:
                await conn.execute(statement.encode())
        assert refused.value.diag.constraint_name == constraint
    for statement in (
        "UPDATE follows SET amount_minor = 1",
        "DELETE FROM follows",
        "DELETE FROM holds",
        "UPDATE holds SET expires_at = now()",
        "UPDATE holds SET account_id = gen_random_uuid()",
        "DELETE FROM purchases",
    ):
        async with pool.connection() as conn:
            with pytest.raises(pg.InsufficientPrivilege):
                await conn.execute(statement.encode())
