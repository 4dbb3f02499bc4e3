"""What operators decide about accounts, through the service's own servicer."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from balance_service._generated.balance.v1 import account_pb2
from balance_service.calls.call import Call
from balance_service.database.pool import Pool
from balance_service.domain import errors, money
from balance_service.domain.approvals import Ceilings
from balance_service.domain.limits import Limits
from balance_service.domain.principals import Principal, Scope
from balance_service.messages.approvals import Approvals
from balance_service.messages.page_tokens import PageTokens
from balance_service.servicers.account_changes import AccountChanges
from tests.long.rules import (
    ACTIVE,
    CLOSED,
    DEBITS_FROZEN,
    FROZEN,
    OVERDRAFT_MAX,
    Refused,
    Row,
)
from tests.long.world import World


@dataclass
class Change:
    """A change in both forms.

    Args:
        account: Whose rules change.
        kind: Its name.
        send: Asks the service for it.
        predict: The account's new rules; raises Refused.
    """

    account: UUID
    kind: str
    send: Callable[[], Awaitable[object]]
    predict: Callable[[Row], Row]


class Operators:
    """Those who change accounts.

    Args:
        pool: Where the accounts are.
        limits: What the service is configured with.
    """

    def __init__(self, pool: Pool, limits: Limits) -> None:
        approvals = Approvals(pool)
        self._changes = AccountChanges(pool, PageTokens(bytes(32)), limits, Ceilings(), approvals)
        caller = Principal("service:support", None, None, frozenset({Scope.ACCOUNTS_WRITE}))
        self._call = Call("/balance.v1.AccountService/Change", "", caller=caller)

    async def change(self, world: World) -> str:
        """Makes one change as the model predicts it; how it ended."""
        change, books = self._draw(world), world.books
        try:
            rules: Row | str = change.predict(books.accounts[change.account])
        except Refused as refused:
            rules = str(refused)
        try:
            await change.send()
        except errors.Refusal as refusal:
            assert type(refusal).__name__ == rules, (refusal, rules, change)
            return f"{change.kind} {rules}"
        assert isinstance(rules, dict), (rules, change)
        books.change(books.accounts, change.account, **rules)
        return f"{change.kind} done"

    def _draw(self, world: World) -> Change:
        changes, call = self._changes, self._call
        kind = world.rng.choices(
            ["unfreeze", "freeze", "freeze debits", "close", "reopen", "limits"],
            [6, 1, 2, 6, 5, 8],
        )[0]
        account = _draw_account(world, kind)
        text: dict[str, Any] = {"account": str(account), "reason": "Why"}
        match kind:
            case "unfreeze":
                unfreeze = account_pb2.UnfreezeAccountRequest(**text)
                return Change(account, kind, lambda: changes.unfreeze(unfreeze, call), _unfreeze)
            case "close":
                close = account_pb2.CloseAccountRequest(**text)
                return Change(account, kind, lambda: changes.close(close, call), _close)
            case "reopen":
                reopen = account_pb2.ReopenAccountRequest(**text)
                return Change(account, kind, lambda: changes.reopen(reopen, call), _reopen)
            case "limits":
                return self._draw_limits(world, account)
        debits = kind == "freeze debits"
        scope = account_pb2.FREEZE_SCOPE_DEBITS if debits else account_pb2.FREEZE_SCOPE_ALL
        freeze = account_pb2.FreezeAccountRequest(**text, scope=scope)
        return Change(
            account,
            kind,
            lambda: changes.freeze(freeze, call),
            lambda row: _freeze(row, debits=debits),
        )

    def _draw_limits(self, world: World, account: UUID) -> Change:
        rng, currency = world.rng, world.books.accounts[account]["currency"]
        new: dict[str, int | None] = {}
        fields: dict[str, Any] = {}
        if rng.random() < 0.7:
            new["limit"] = rng.choice([0, 0, 1_000, 1_500, 1_501, 9_000])
            fields["overdraft"] = money.format_minor(new["limit"] or 0, currency)
        for name, highest in (("debit_limit", 20_000), ("daily_limit", 60_000)):
            if rng.random() < 0.4 or not fields:
                limit = rng.choice([None, None, rng.randint(0, highest)])
                new[name] = limit
                if limit is None:
                    fields[f"unset_{name}"] = True
                else:
                    fields[name] = money.format_minor(limit, currency)
        request = account_pb2.SetAccountLimitsRequest(account=str(account), reason="Why", **fields)
        return Change(
            account,
            "limits",
            lambda: self._changes.set_limits(request, self._call),
            lambda row: _set_limits(row, new),
        )


def _draw_account(world: World, kind: str) -> UUID:
    """Mostly one to which the change can be made."""
    fits: Callable[[Row], bool] = {
        "close": lambda row: not row["balance"] and not row["held"],
        "reopen": lambda row: bool(row["status"] == CLOSED),
        "unfreeze": lambda row: row["status"] in (FROZEN, DEBITS_FROZEN),
    }.get(kind, lambda row: True)
    fitting = [account for account, row in world.books.accounts.items() if fits(row)]
    return world.rng.choice(fitting) if fitting and world.rng.random() < 0.8 else world.account()


def _check_not_closed(row: Row) -> None:
    if row["status"] == CLOSED:
        raise Refused("AccountClosed")


def _freeze(row: Row, *, debits: bool) -> Row:
    _check_not_closed(row)
    return {"status": DEBITS_FROZEN if debits and row["status"] != FROZEN else FROZEN}


def _unfreeze(row: Row) -> Row:
    _check_not_closed(row)
    return {"status": ACTIVE}


def _close(row: Row) -> Row:
    if row["balance"] or row["held"]:
        raise Refused("AccountNotEmpty")
    return {"status": CLOSED}


def _reopen(row: Row) -> Row:
    if row["status"] != CLOSED:
        raise Refused("AccountNotClosed")
    return {"status": ACTIVE}


def _set_limits(row: Row, new: dict[str, int | None]) -> Row:
    _check_not_closed(row)
    limit = new.get("limit")
    if limit is not None:
        ceiling = OVERDRAFT_MAX.get(row["currency"])
        if ceiling is not None and limit > ceiling:
            raise Refused("OverdraftAboveMax")
        if row["balance"] - row["held"] < -limit:
            raise Refused("LimitBelowBalance")
    return dict(new)
