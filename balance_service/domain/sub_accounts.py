"""Sub-accounts: rows that take an account's receipts side by side, until they are numbered on it.

A commit that only adds to such an account locks one of its sub-accounts. Whoever takes anything
from it, or decides about it, locks all of them and first numbers what waits there.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from balance_service.domain import money
from balance_service.domain.accounts import Account
from balance_service.domain.commands import Exchange, Transfer
from balance_service.domain.follow_up_commands import Capture, Place
from balance_service.domain.movements import Kind
from balance_service.domain.requests import Command

SUB_ACCOUNTS_MAX = 64
# What waits on one of them, so that to number all of it is short.
RECEIPTS_MAX = 2_000
# Accounts that a worker remembers to have sub-accounts; any other is found out again.
KNOWN_MAX = 10_000


class Share(NamedTuple):
    """What one sub-account may be asked to take by a commit.

    Args:
        place: Which of the account's, from 1.
        receipts: How many at most.
        amount_minor: How much at most, in minor units.
    """

    place: int
    receipts: int
    amount_minor: int


class Sharing(NamedTuple):
    """How a commit locks the accounts that are known to have sub-accounts.

    Args:
        whole: Those that it locks with all sub-accounts.
        receiving: Those of which it locks one sub-account alone.
    """

    whole: frozenset[UUID]
    receiving: Mapping[UUID, Share]


class SubAccount(NamedTuple):
    """A locked sub-account.

    Args:
        account_id: Of which account.
        place: Which of its sub-accounts, from 1.
        received_minor: What waits there, in minor units.
        receipts: In how many receipts.
    """

    account_id: UUID
    place: int
    received_minor: int
    receipts: int

    def has_room(self, share: Share, account: Account) -> bool:
        """Whether it takes a share, however much the account's other sub-accounts take.

        What the account can still hold is divided among them.
        """
        room_minor = (money.MINOR_MAX - account.balance_minor) // account.sub_account_count
        return (
            self.receipts + share.receipts <= RECEIPTS_MAX
            and self.received_minor + share.amount_minor <= room_minor
        )


class KnownSubAccounts:
    """What a worker has learnt about which accounts have sub-accounts, from rows that it locked."""

    def __init__(self) -> None:
        self._counts: OrderedDict[UUID, int] = OrderedDict()
        self._full: set[UUID] = set()

    def learn(self, account_id: UUID, count: int) -> None:
        """Keeps how many an account has; 0 for none."""
        self._counts.pop(account_id, None)
        if count:
            self._counts[account_id] = count
        if len(self._counts) > KNOWN_MAX:
            self._counts.popitem(last=False)

    def lock_whole(self, account_id: UUID) -> None:
        """Has the next commit that adds to an account lock it whole, which empties them."""
        self._full.add(account_id)

    def sharing(self, commands: Sequence[Command]) -> Sharing:
        """How a commit of these commands locks the accounts that have sub-accounts."""
        if not self._counts:
            return _NONE
        touched = {each for command in commands for each in command.account_ids}
        known = touched & self._counts.keys()
        if not known:
            return _NONE
        received = [(command, received_by(command)) for command in commands]
        whole = {each for command, found in received for each in _others(command, found)}
        whole |= self._full
        self._full -= touched
        receiving = {account_id: self._share(account_id, received) for account_id in known - whole}
        return Sharing(frozenset(known & whole), receiving)

    def _share(
        self, account_id: UUID, received: Iterable[tuple[Command, tuple[UUID, int] | None]]
    ) -> Share:
        mine = [
            (command, found[1]) for command, found in received if found and found[0] == account_id
        ]
        # Commits are spread by an id that is random at its end.
        place = mine[0][0].origin.movement_id.int % self._counts[account_id] + 1
        return Share(place, len(mine), sum(minor for _, minor in mine))


_NONE = Sharing(frozenset(), {})


def _others(command: Command, found: tuple[UUID, int] | None) -> Iterable[UUID]:
    """The accounts of a command that it does more to than add."""
    ids = command.account_ids
    if found is None or ids.count(found[0]) > 1:
        return ids
    return (each for each in ids if each != found[0])


def received_by(command: Command) -> tuple[UUID, int] | None:
    """The account that a command only adds to, if any, and how much at most, in minor units.

    What is answered with the balance of the account that receives needs that account's lock: a
    deposit, and what gives a withdrawal or purchase back. So does a reversal by quote, for all of
    whose parts the order counts, and with it every other.
    """
    match command:
        case Transfer() | Exchange():
            quote = command.quote
            return command.to_account_id, (quote.received if quote else command.money).minor
        case Place(purpose=Transfer() as intended):
            return intended.to_account_id, 0
        case Capture() if command.kind == Kind.TRANSFER:
            return command.hold.to_account_id, command.hold.amount_minor
    return None
