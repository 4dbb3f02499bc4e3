"""The core: each rule of holds, captures and releases by an example."""

import dataclasses
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from balance_service.domain import errors
from balance_service.domain.accounts import Status
from balance_service.domain.commands import Origin, Purchase, Settle, Transfer
from balance_service.domain.follow_up_commands import Capture, Place, Release, Reverse
from balance_service.domain.holds import Hold, HoldStatus
from balance_service.domain.money import MINOR_MAX, Money
from balance_service.domain.movements import Kind, Movement
from balance_service.domain.requests import Command
from balance_service.domain.state import Done, How, Outcome, State
from tests.ledger import ACCOUNTS, NOW, RATES, SERVICES, USERS
from tests.unit.test_ledger import CLOSED, account, by, only, state_of
from tests.unit.test_reversals import becomes, posted, rub

HOUR = timedelta(hours=1)
LATER = NOW + HOUR


def sending(amount: int = 100, origin: Origin | None = None) -> Transfer:
    return Transfer(origin or by(), ACCOUNTS[0], ACCOUNTS[1], rub(amount))


def buying(origin: Origin | None = None, price: Money | None = None) -> Purchase:
    return Purchase(origin or by(), ACCOUNTS[0], SERVICES[0], price or rub(100), RATES)


def placed(state: State, purpose: Transfer | Purchase | Settle | None = None) -> Movement:
    return posted(state, Place(purpose or sending(), LATER))


def held(state: State) -> tuple[int, int]:
    """The balance and the held part of the account that pays."""
    account = state.accounts[ACCOUNTS[0]]
    return account.balance_minor, account.held_minor


def hold_of(state: State, hold: Movement) -> Hold:
    return state.holds[hold.movement_id]


def two() -> State:
    return state_of(account(0), account(1))


def test_hold_reserves_and_moves_nothing() -> None:
    state = two()
    hold = placed(state)
    assert held(state) == (1000, 100)
    assert (hold.kind, hold.balance_after_minor, hold.expires_at) == (Kind.HOLD, 1000, LATER)
    assert isinstance(only(state, sending(901)), errors.InsufficientFunds)
    assert state.accounts[ACCOUNTS[0]].sequence == 0


@pytest.mark.parametrize(
    ("purpose", "kind"),
    [
        (sending(), Kind.TRANSFER),
        (buying(), Kind.PURCHASE),
        (Settle(by(), Kind.WITHDRAWAL, ACCOUNTS[0], rub(100)), Kind.WITHDRAWAL),
    ],
    ids=["transfer", "purchase", "withdrawal"],
)
def test_capture_makes_what_was_held_for(purpose: Transfer | Purchase | Settle, kind: Kind) -> None:
    state = two()
    hold = placed(state, purpose)
    captured = posted(state, Capture(by(), hold))
    assert (captured.kind, captured.original_id) == (kind, hold.movement_id)
    assert (captured.amount_minor, captured.whole, captured.final) == (100, True, True)
    assert held(state) == (900, 0)
    assert hold_of(state, hold)[2:5] == (0, 100, HoldStatus.CAPTURED)


def test_a_deposit_holds_nothing() -> None:
    with pytest.raises(AssertionError):
        Place(Settle(by(), Kind.DEPOSIT, ACCOUNTS[0], rub(1)), LATER)


def test_rest_of_a_capture_is_given_back_unless_it_is_kept() -> None:
    state = two()
    hold = placed(state)
    kept = posted(state, Capture(by(), hold, rub(30), keep_rest=True))
    assert (held(state), kept.final) == ((970, 70), False)
    closing = posted(state, Capture(by(), hold, rub(30)))
    assert (held(state), closing.final) == ((940, 0), True)
    assert hold_of(state, hold)[2:5] == (0, 60, HoldStatus.CAPTURED)


def test_rest_that_is_kept_and_nothing_closes_the_hold() -> None:
    state = two()
    hold = placed(state)
    assert posted(state, Capture(by(), hold, keep_rest=True)).final
    assert hold_of(state, hold).status == HoldStatus.CAPTURED


def test_capture_of_more_than_is_left_is_refused() -> None:
    state = two()
    hold = placed(state)
    posted(state, Capture(by(), hold, rub(30), keep_rest=True))
    refusal = only(state, Capture(by(), hold, rub(71)))
    assert refusal == errors.CaptureTooLarge(str(hold.movement_id), "0.70", "RUB")


def after(command: type[Capture | Release], hold: Movement) -> Command:
    return command(by(), hold)


@pytest.mark.parametrize("first", [Capture, Release])
@pytest.mark.parametrize("second", [Capture, Release])
def test_closed_hold_stays_closed(
    first: type[Capture | Release], second: type[Capture | Release]
) -> None:
    state = two()
    hold = placed(state)
    posted(state, after(first, hold))
    before = state.copy()
    status = "CAPTURED" if first is Capture else "VOIDED"
    refusal = only(state, after(second, hold))
    assert refusal == errors.HoldClosed(str(hold.movement_id), status)
    assert state == before


def test_void_gives_back_what_is_left_also_on_a_frozen_account() -> None:
    state = two()
    hold = placed(state)
    posted(state, Capture(by(), hold, rub(30), keep_rest=True))
    becomes(state, status=Status.FROZEN)
    assert isinstance(only(state, Capture(by(), hold)), errors.AccountFrozen)
    released = posted(state, Release(by(), hold))
    assert (released.kind, released.amount_minor) == (Kind.RELEASE, 70)
    assert held(state) == (970, 0)
    assert hold_of(state, hold)[2:5] == (0, 30, HoldStatus.VOIDED)


def test_hold_whose_time_is_over_is_neither_captured_nor_voided() -> None:
    state = two()
    hold = placed(state)
    for command in (Capture(by(), hold), Release(by(), hold)):
        refusal = only(state, command, LATER)
        assert refusal == errors.HoldExpired(str(hold.movement_id), LATER)
    assert held(state) == (1000, 100)


def test_hold_expires_at_its_time_and_not_before() -> None:
    state = two()
    hold = placed(state)
    expire = Release(by(), hold, Kind.EXPIRY)
    early = only(state, expire, LATER - timedelta(microseconds=1))
    assert early == errors.HoldClosed(str(hold.movement_id), "OPEN")
    assert held(state) == (1000, 100)
    outcome = only(state, expire, LATER)
    assert isinstance(outcome, Done)
    assert held(state) == (1000, 0)
    assert hold_of(state, hold).status == HoldStatus.EXPIRED
    for command in (Capture(by(), hold), Release(by(), hold), Release(by(), hold, Kind.EXPIRY)):
        assert isinstance(only(state, command, LATER), errors.HoldExpired)


def test_closed_hold_does_not_expire() -> None:
    state = two()
    hold = placed(state)
    posted(state, Capture(by(), hold, rub(10)))
    refusal = only(state, Release(by(), hold, Kind.EXPIRY), LATER)
    assert refusal == errors.HoldClosed(str(hold.movement_id), "CAPTURED")


def test_capture_of_what_was_never_held_is_refused() -> None:
    state = two()
    hold = placed(two())
    assert only(state, Capture(by(), hold)) == errors.HoldNotFound(str(hold.movement_id))
    assert only(state, Release(by(), hold)) == errors.HoldNotFound(str(hold.movement_id))


@pytest.mark.parametrize(
    "receiver",
    [{"status": Status.FROZEN}, CLOSED, {"balance_minor": MINOR_MAX - 99}],
    ids=["frozen", "closed", "full"],
)
def test_receiver_that_cannot_receive_leaves_the_hold(receiver: dict[str, object]) -> None:
    state = two()
    hold = placed(state)
    becomes(state, 1, **receiver)
    assert only(state, Capture(by(), hold)) == errors.ReceiverUnavailable()
    assert held(state) == (1000, 100)
    # Nor is money held for it.
    assert only(state, Place(sending(), LATER)) == errors.ReceiverUnavailable()


def test_hold_and_its_capture_may_use_the_overdraft() -> None:
    state = state_of(account(0, 0, limit_minor=100), account(1))
    hold = placed(state)
    assert isinstance(only(state, sending(1)), errors.InsufficientFunds)
    posted(state, Capture(by(), hold))
    assert held(state) == (-100, 0)


def test_refusals_of_a_capture_come_in_their_order() -> None:
    """Each is mended in turn, and shows the next."""
    state = two()
    hold = placed(state)
    becomes(state, status=Status.FROZEN)
    becomes(state, 1, status=Status.FROZEN)

    def refused(owner: UUID = USERS[0], etag: str = "", now: datetime = NOW) -> Outcome:
        origin = Origin(principal="user:1", owner_id=owner, etag=etag)
        return only(state, Capture(origin, hold, rub(101)), now)

    assert isinstance(refused(owner=USERS[1], etag="other"), errors.AccountNotFound)
    assert isinstance(refused(etag="other"), errors.EtagMismatch)
    assert isinstance(refused(now=LATER), errors.AccountFrozen)
    becomes(state, status=Status.ACTIVE)
    assert isinstance(refused(now=LATER), errors.HoldExpired)
    assert isinstance(refused(), errors.CaptureTooLarge)
    assert isinstance(only(state, Capture(by(), hold)), errors.ReceiverUnavailable)


def test_service_bought_meanwhile_is_not_captured_for() -> None:
    state = two()
    hold = placed(state, buying())
    bought = posted(state, buying())
    refusal = only(state, Capture(by(), hold))
    assert refusal == errors.AlreadyPurchased(str(SERVICES[0]), str(bought.movement_id))
    refusal = only(state, Place(buying(), LATER))
    assert refusal == errors.AlreadyPurchased(str(SERVICES[0]), str(bought.movement_id))
    posted(state, Reverse(by(), bought))
    posted(state, Capture(by(), hold))


def test_several_of_what_is_bought_once_are_refused_alike_whatever_was_bought() -> None:
    """What accounts have bought is not looked up for such a hold."""
    several = dataclasses.replace(buying(), quantity=2)
    state = two()
    unknown = only(state, Place(several, LATER))
    posted(state, buying())
    assert isinstance(unknown, errors.InvalidFields)
    assert only(state, Place(several, LATER)) == unknown


def test_what_was_bought_is_not_shown_to_who_does_not_own_the_account() -> None:
    state = two()
    posted(state, buying())
    nosy = Place(buying(by(owner=USERS[2])), LATER)
    assert isinstance(only(state, nosy), errors.AccountNotFound)


def test_service_stays_bought_while_one_of_its_captures_is_in_force() -> None:
    state = two()
    hold = placed(state, buying())
    first = posted(state, Capture(by(), hold, rub(40), keep_rest=True))
    posted(state, Reverse(by(), first))
    second = posted(state, Capture(by(), hold))
    third = posted(state, Reverse(by(), second, rub(59)))
    assert only(state, buying()) == Done(second, How.ALREADY_PURCHASED)
    posted(state, Reverse(by(), second))
    assert posted(state, buying()).movement_id != third.movement_id


def test_captures_of_a_converted_price_add_up_to_it() -> None:
    state = two()
    hold = placed(state, buying(price=Money(1, "USD")))
    assert (hold.amount_minor, hold.price_minor) == (80, 1)
    parts = [posted(state, Capture(by(), hold, rub(n), keep_rest=True)) for n in (40, 1, 38, 1)]
    # Half a cent rounds to even; what is over half is the cent.
    assert [part.price_minor for part in parts] == [0, 1, 0, 0]
    assert {part.rate for part in parts} == {hold.rate}
    backs = [posted(state, Reverse(by(), part)) for part in parts]
    assert [back.price_minor for back in backs] == [0, 1, 0, 0]


@pytest.mark.parametrize(
    ("purpose", "used"),
    [
        (sending(60, by(1)), sending(60, by(1))),
        (
            Settle(by(1), Kind.WITHDRAWAL, ACCOUNTS[0], rub(60)),
            Settle(by(1), Kind.WITHDRAWAL, ACCOUNTS[0], rub(60)),
        ),
        (buying(by(1)), buying(by(1))),
    ],
    ids=["transfer", "withdrawal", "purchase"],
)
def test_request_id_of_a_hold_or_a_capture_is_not_that_of_a_plain_movement(
    purpose: Transfer | Purchase | Settle, used: Command
) -> None:
    state = two()
    posted(state, Place(purpose, LATER))
    refusal = only(state, used)
    assert isinstance(refusal, errors.IdempotencyKeyReused)
    assert refusal.fields == ("method",)
    state = two()
    hold = posted(state, Place(dataclasses.replace(purpose, origin=by()), LATER))
    posted(state, Capture(by(1), hold))
    refusal = only(state, used)
    assert isinstance(refusal, errors.IdempotencyKeyReused)
    assert refusal.fields == ("method",)


def test_repeats_are_the_same_and_others_are_refused() -> None:
    state = two()
    hold = posted(state, Place(sending(100, by(0)), LATER))
    other = placed(state)
    assert only(state, Place(sending(100, by(0)), LATER)) == Done(hold, How.REPLAYED)
    # When the service chose the time, another one is no difference.
    again = Place(sending(100, by(0)), LATER + HOUR, explicit=False)
    assert only(state, again) == Done(hold, How.REPLAYED)
    posted(state, Capture(by(1), hold, rub(40), keep_rest=True))
    released = posted(state, Release(by(2), hold))
    assert only(state, Release(by(2), hold), LATER + HOUR) == Done(released, How.REPLAYED)
    for command, field in (
        (Place(sending(100, by(0)), LATER + HOUR), "expire_time"),
        (Place(sending(99, by(0)), LATER), "amount"),
        (Place(Settle(by(0), Kind.WITHDRAWAL, ACCOUNTS[0], rub(100)), LATER), "purpose"),
        (Capture(by(1), hold, rub(40)), "keep_rest"),
        (Capture(by(1), hold, rub(41), keep_rest=True), "amount"),
        (Capture(by(1), other, rub(40), keep_rest=True), "hold"),
        (Capture(by(2), hold), "method"),
        (Release(by(2), other), "hold"),
        (Release(by(1), hold), "method"),
    ):
        refusal = only(state, command)
        assert isinstance(refusal, errors.IdempotencyKeyReused)
        assert refusal.fields == (field,)


def test_nothing_is_dated_before_its_hold() -> None:
    """Postgres may go on with a clock that is behind, and a hold does not date its account."""
    state = two()
    hold = placed(state)
    behind = NOW - HOUR
    becomes(state, 0, changed_at=behind)
    becomes(state, 1, changed_at=behind)
    outcome = only(state, Capture(by(), hold, rub(1), keep_rest=True), behind)
    assert isinstance(outcome, Done)
    assert outcome.movement.created_at == hold.created_at
    becomes(state, 0, changed_at=behind)
    outcome = only(state, Release(by(), hold), behind)
    assert isinstance(outcome, Done)
    assert outcome.movement.created_at == hold.created_at


def test_hold_whose_time_would_be_over_when_it_is_dated_is_refused() -> None:
    state = state_of(account(0, changed_at=LATER), account(1))
    assert isinstance(only(state, Place(sending(), LATER)), errors.HoldExpired)
    assert isinstance(only(two(), Place(sending(), NOW)), errors.HoldExpired)
