"""A simple ledger of dicts, which shares no code with the service's and predicts its answers."""

from collections import defaultdict
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from tests.long.rules import ZONE, Refused, Row, check_receives, check_room, etag

# An account, or one of the service's own by role and currency.
Side = UUID | tuple[str, str]


@dataclass(frozen=True)
class Ask:
    """What is asked, in plain values.

    Args:
        kind: Of the operation: a name in `kinds.KINDS`.
        id: The id that its movement will have.
        principal: Who asks.
        owner: Who must own the account that changes; None for anyone.
        reads_all: Whether the caller hears why a receiver cannot receive.
        etag: What the account must be like; empty for anything.
        effective_at: The value date, if any.
        fields: What the kind asks for. A repeat must have the same, but for those that begin
            with an underscore.
    """

    kind: str
    id: UUID
    principal: str
    owner: UUID | None
    reads_all: bool
    etag: str
    effective_at: datetime | None
    fields: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.fields[name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def content(self) -> dict[str, Any]:
        compared = {n: value for n, value in self.fields.items() if not n.startswith("_")}
        return {"kind": self.kind, "effective_at": self.effective_at, **compared}


@dataclass
class Books:
    """Every account and movement. A row is never changed but replaced, so that it can be undone.

    Args:
        now: The time of all that is posted.
        accounts: By id.
        movements: By id: what was asked, what it came to, and what every side gained.
        entries: By account and number: movement, amount, and the balance after it.
        debits: By account and day: what was debited.
        bought: By account and service: the movements that bought it.
        references: By source and reference: who used it.
        quotes: By id.
        uses: By quote: the movement that carried it out.
        system: By role and currency: the balance.
        touched: Keys that were changed since it was emptied, to be compared with the database.
    """

    now: datetime
    accounts: dict[UUID, Row] = field(default_factory=dict)
    movements: dict[UUID, Row] = field(default_factory=dict)
    entries: dict[tuple[UUID, int], tuple[UUID | None, int, int]] = field(default_factory=dict)
    debits: dict[tuple[UUID, date], int] = field(default_factory=dict)
    bought: dict[tuple[UUID, UUID], tuple[UUID, ...]] = field(default_factory=dict)
    references: dict[tuple[str, str], UUID] = field(default_factory=dict)
    quotes: dict[UUID, Row] = field(default_factory=dict)
    uses: dict[UUID, UUID] = field(default_factory=dict)
    system: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    touched: set[Any] = field(default_factory=set)
    # The movement that is being made, and what its sides gain.
    _making: UUID | None = None
    _legs: dict[Side, int] = field(default_factory=lambda: defaultdict(int))
    _undo: list[Callable[[], object]] = field(default_factory=list)

    def put(self, table: MutableMapping[Any, Any], key: Any, value: Any) -> None:
        """Changes a table so that it can be undone."""
        if key in table:
            before = table[key]
            self._undo.append(lambda: table.__setitem__(key, before))
        else:
            self._undo.append(lambda: table.pop(key))
        table[key] = value
        self.touched.add(key)

    def change(self, table: dict[UUID, Row], key: UUID, **values: Any) -> None:
        self.put(table, key, {**table[key], **values})

    @property
    def mark(self) -> int:
        """Now, for `undo`."""
        return len(self._undo)

    def undo(self, mark: int) -> None:
        """Takes back all changes since."""
        while len(self._undo) > mark:
            self._undo.pop()()

    def keep(self) -> None:
        """Makes all changes for good."""
        self._undo.clear()

    # What rules are made of

    @property
    def today(self) -> date:
        return self.now.astimezone(ZONE).date()

    def spent(self, account: UUID, day: date | None = None) -> int:
        """What was debited on a day, today by default."""
        return self.debits.get((account, day or self.today), 0)

    def account(self, ask: Ask, account: UUID) -> Row:
        row = self.any_account(account, ask.owner)
        if ask.etag and ask.etag != etag(row):
            raise Refused("EtagMismatch")
        return row

    def any_account(self, account: UUID, owner: UUID | None = None) -> Row:
        row = self.accounts.get(account)
        if row is None or (owner and row["owner"] != owner):
            raise Refused("AccountNotFound")
        return row

    def receiver(
        self,
        ask: Ask,
        account: UUID,
        amount: int,
        currency: str,
        *,
        owner: UUID | None = None,
        forced: bool = False,
    ) -> None:
        try:
            row = self.any_account(account, owner)
            check_receives(row, forced=forced)
            if row["currency"] != currency:
                raise Refused("CurrencyMismatch")
            check_room(row, amount)
        except Refused:
            theirs = self.accounts.get(account, {}).get("owner")
            if ask.reads_all or (ask.owner and theirs == ask.owner):
                raise
            raise Refused("ReceiverUnavailable") from None

    def in_force(self, account: UUID, service: UUID) -> UUID | None:
        """The first movement by which an account has a service."""
        for movement in self.bought.get((account, service), ()):
            row = self.movements[movement]
            if row["followed"] < row["amount"]:
                return movement
        return None

    def hold(self, movement: UUID) -> Row:
        row = self.movements.get(movement)
        if row is None or row["kind"] != "hold":
            raise Refused("HoldNotFound")
        return row

    def check_hold_open(self, row: Row, *, expiring: bool = False) -> None:
        late = not expiring and self.now >= row["expires"]
        if row["status"] == "expired" or (row["status"] == "open" and late):
            raise Refused("HoldExpired")
        if row["status"] != "open":
            raise Refused("HoldClosed")

    # What movements are made of

    def begin(self, movement: UUID) -> None:
        """Goes over to another movement."""
        self._making = movement
        self._legs.clear()

    def move(self, side: Side, amount: int, *, debit: bool = False) -> None:
        """Changes what is on an account, or on one of the service's own.

        Args:
            side: The account.
            amount: What it gains; nothing is entered where that is nothing.
            debit: Whether it counts for the limits of its day if it is below zero.
        """
        if not amount:
            return
        self._legs[side] += amount
        if isinstance(side, tuple):
            self.put(self.system, side, self.system[side] + amount)
            return
        row = self.accounts[side]
        balance, sequence = row["balance"] + amount, row["sequence"] + 1
        self.change(self.accounts, side, balance=balance, sequence=sequence, last_day=self.today)
        self.put(self.entries, (side, sequence), (self._making, amount, balance))
        if debit and amount < 0:
            self.put(self.debits, (side, self.today), self.spent(side) - amount)

    def buy(self, movement: UUID, account: UUID, service: UUID, *, repeatable: bool) -> None:
        """Remembers what an account may not buy again."""
        if not repeatable:
            key = account, service
            self.put(self.bought, key, (*self.bought.get(key, ()), movement))

    def reserve(self, account: UUID, amount: int) -> None:
        self.change(self.accounts, account, held=self.accounts[account]["held"] + amount)

    def sell(
        self, account: UUID, amount: int, currency: str, price: Row, *, debit: bool = False
    ) -> None:
        """Moves what a sale, or below zero its refund, moves."""
        self.move(account, -amount, debit=debit)
        if price["currency"] == currency:
            self.move(("revenue", currency), amount)
            return
        self.move(("fx", currency), amount)
        self.move(("revenue", price["currency"]), price["amount"])
        self.move(("fx", price["currency"]), -price["amount"])

    def exchange(self, payer: UUID, receiver: UUID, quoted: Row, *, debit: bool = False) -> None:
        """Moves what a movement by quote, or below zero its reversal, moves on its five sides."""
        target, gets = quoted["price"]["currency"], quoted["price"]["amount"]
        self.move(payer, -quoted["amount"], debit=debit)
        self.move(("fx", quoted["currency"]), quoted["amount"])
        self.move(("fx", target), -quoted["worth"])
        self.move(receiver, gets)
        self.move(("rounding", target), quoted["worth"] - gets)

    def record(self, ask: Ask, kind: str, user: UUID, **values: Any) -> Row:
        """Writes a movement; `user` is whose balance it shows."""
        shown = self.accounts[user]["balance"]
        row = {"kind": kind, "ask": ask, "user": user, "balance": shown, "legs": dict(self._legs)}
        row |= {"followed": 0, "price_followed": 0, "followers": ()}
        self.put(self.movements, ask.id, {**row, **values})
        return self.movements[ask.id]

    def follow(self, original: UUID, follower: UUID, amount: int, price: int) -> None:
        row = self.movements[original]
        self.change(
            self.movements,
            original,
            followed=row["followed"] + amount,
            price_followed=row["price_followed"] + price,
            followers=(*row["followers"], follower),
        )
