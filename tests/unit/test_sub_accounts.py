"""How a commit locks accounts with sub-accounts, and what one of these takes."""

from datetime import UTC, datetime
from uuid import UUID

from balance_service.domain import ids
from balance_service.domain.accounts import Account, Status
from balance_service.domain.commands import Origin, Settle, Transfer
from balance_service.domain.money import MINOR_MAX, Money
from balance_service.domain.movements import Kind
from balance_service.domain.requests import Command
from balance_service.domain.sub_accounts import (
    KNOWN_MAX,
    RECEIPTS_MAX,
    KnownSubAccounts,
    Share,
    SubAccount,
)

SHOP, PAYER, OTHER = (UUID(int=number) for number in (1, 2, 3))


def pay(sender: UUID, receiver: UUID, amount: int = 5, key: UUID | None = None) -> Transfer:
    origin = Origin(principal="service:test", request_id=key)
    return Transfer(origin, sender, receiver, Money(amount, "RUB"))


def deposit(account: UUID, key: UUID | None = None) -> Settle:
    origin = Origin(principal="service:test", request_id=key)
    return Settle(origin, Kind.DEPOSIT, account, Money(5, "RUB"))


def sharing(*commands: Command) -> tuple[set[UUID], dict[UUID, tuple[int, int]]]:
    known = KnownSubAccounts()
    known.learn(SHOP, 4)
    whole, receiving = known.sharing(commands)
    assert all(1 <= share.place <= 4 for share in receiving.values())
    return set(whole), {each: share[1:] for each, share in receiving.items()}


def test_account_that_only_receives_is_shared() -> None:
    assert sharing(pay(PAYER, SHOP), pay(OTHER, SHOP, 7)) == (set(), {SHOP: (2, 12)})
    assert sharing(pay(PAYER, OTHER)) == (set(), {})


def test_account_that_anything_else_is_done_to_is_locked_whole() -> None:
    key = ids.new_id()
    for also in (pay(SHOP, OTHER), deposit(SHOP), pay(SHOP, SHOP)):
        assert sharing(pay(PAYER, SHOP), also) == ({SHOP}, {})
    assert sharing(pay(PAYER, SHOP, key=key), deposit(SHOP, key)) == ({SHOP}, {})


def test_full_sub_account_has_the_next_commit_alone_lock_the_account_whole() -> None:
    known = KnownSubAccounts()
    known.learn(SHOP, 4)
    known.lock_whole(SHOP)
    assert known.sharing([pay(PAYER, OTHER)]).whole == set()
    assert known.sharing([pay(PAYER, SHOP)]).whole == {SHOP}
    assert known.sharing([pay(PAYER, SHOP)]).receiving.keys() == {SHOP}


def test_what_is_known_is_bounded_and_forgotten() -> None:
    known = KnownSubAccounts()
    known.learn(SHOP, 4)
    for number in range(KNOWN_MAX):
        known.learn(UUID(int=number + 10), 2)
    assert not known.sharing([pay(PAYER, SHOP)]).receiving
    known.learn(SHOP, 4)
    known.learn(SHOP, 0)
    assert not known.sharing([pay(PAYER, SHOP)]).receiving


def test_room_is_divided_so_that_all_shares_together_fit() -> None:
    account = Account(
        SHOP, OTHER, "RUB", MINOR_MAX - 11, 0, 0, Status.ACTIVE, 0, datetime.now(UTC)
    )._replace(sub_account_count=4)
    empty = SubAccount(SHOP, 1, 0, 0)
    assert empty.has_room(Share(1, 1, 2), account)
    assert not empty.has_room(Share(1, 1, 3), account)
    assert not empty._replace(received_minor=1).has_room(Share(1, 1, 2), account)
    assert not empty._replace(receipts=RECEIPTS_MAX).has_room(Share(1, 1, 1), account)
