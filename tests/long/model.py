"""A simple ledger of dicts, which shares no code with the service's and predicts its answers."""

from collections import defaultdict
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any
from uuid import UUID

MAX = 9_223_372_036_854_775_807
ACTIVE, FROZEN, CLOSED = 1, 2, 3
DECIMALS = {"RUB": 2, "USD": 2, "JPY": 0}
# Roubles for a unit: awkward, so that parts of converted prices do not come out even.
ROUBLES = {"RUB": Decimal(1), "USD": Decimal("78.9937"), "JPY": Decimal("0.5273")}


class Refused(Exception):  # noqa: N818 - as the service's refusals are named
    """A refusal, by the name of its class."""


@dataclass(frozen=True)
class Ask:
    """What is asked, in plain values.

    Args:
        kind: Of the operation: a name in `kinds.KINDS`.
        id: The id that its movement will have.
        owner: Who must own the account that changes; None for anyone.
        reads_all: Whether the caller hears why a receiver cannot receive.
        etag: What the account must be like; empty for anything.
        effective_at: The value date, if any.
        fields: What the kind asks for. A repeat must have the same, but for those that begin
            with an underscore.
    """

    kind: str
    id: UUID
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


Row = dict[str, Any]


@dataclass
class Books:
    """Every account and movement. A row is never changed but replaced, so that it can be undone."""

    now: datetime
    accounts: dict[UUID, Row] = field(default_factory=dict)
    movements: dict[UUID, Row] = field(default_factory=dict)
    bought: dict[tuple[UUID, UUID], tuple[UUID, ...]] = field(default_factory=dict)
    references: dict[tuple[str, str], UUID] = field(default_factory=dict)
    system: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    # What was touched since it was last emptied, to be compared with the database.
    touched: set[Any] = field(default_factory=set)
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
        self, ask: Ask, account: UUID, amount: int, currency: str, *, forced: bool = False
    ) -> None:
        try:
            row = self.any_account(account)
            check_open(row, forced=forced)
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

    def move(self, side: UUID | tuple[str, str], amount: int) -> None:
        """Changes what is on an account, or on a system account by role and currency."""
        if isinstance(side, tuple):
            self.put(self.system, side, self.system[side] + amount)
            return
        row = self.accounts[side]
        self.change(
            self.accounts, side, balance=row["balance"] + amount, sequence=row["sequence"] + 1
        )

    def reserve(self, account: UUID, amount: int) -> None:
        self.change(self.accounts, account, held=self.accounts[account]["held"] + amount)

    def sell(self, account: UUID, amount: int, currency: str, price: Row) -> None:
        """Moves what a sale, or below zero its refund, moves."""
        self.move(account, -amount)
        if price["currency"] == currency:
            self.move(("revenue", currency), amount)
            return
        self.move(("fx", currency), amount)
        self.move(("revenue", price["currency"]), price["amount"])
        self.move(("fx", price["currency"]), -price["amount"])

    def record(self, ask: Ask, kind: str, user: UUID, **values: Any) -> Row:
        """Writes a movement; `user` is whose balance it shows."""
        shown = self.accounts[user]["balance"]
        row = {"kind": kind, "ask": ask, "user": user, "balance": shown}
        row |= {"followed": 0, "price_followed": 0}
        self.put(self.movements, ask.id, {**row, **values})
        return self.movements[ask.id]

    def follow(self, original: UUID, amount: int, price: int) -> None:
        row = self.movements[original]
        self.change(
            self.movements,
            original,
            followed=row["followed"] + amount,
            price_followed=row["price_followed"] + price,
        )


def etag(row: Row) -> str:
    return f"{row['sequence']}.{row['held']}.{row['limit']}.{row['status']}.."


def check_open(row: Row, *, forced: bool = False) -> None:
    if row["status"] == CLOSED:
        raise Refused("AccountClosed")
    if row["status"] == FROZEN and not forced:
        raise Refused("AccountFrozen")


def check_room(row: Row, amount: int) -> None:
    if row["balance"] + amount > MAX:
        raise Refused("BalanceOverflow")


def check_funds(row: Row, amount: int, *, overdraft: bool = True) -> None:
    reach = row["limit"] if overdraft else 0
    if amount > row["balance"] - row["held"] + reach:
        raise Refused("InsufficientFunds")


def charge(amount: int, currency: str, target: str) -> int:
    """What a price costs in another currency, half to even, at a rate of twelve digits."""
    if currency == target:
        return amount
    with localcontext(prec=12):
        rate = ROUBLES[currency] / ROUBLES[target]
    exact = Fraction(amount, 10 ** DECIMALS[currency]) * Fraction(rate)
    cost: int = round(exact * 10 ** DECIMALS[target])
    if cost < 1:
        raise Refused("ChargeTooSmall")
    return cost


def price_part(row: Row, amount: int) -> int:
    """What a part of a movement's amount has of its price, after the parts before."""
    if row["price"]["currency"] == row["currency"]:
        return 0
    until_now = Fraction(row["price"]["amount"] * (row["followed"] + amount), row["amount"])
    return round(until_now) - int(row["price_followed"])
