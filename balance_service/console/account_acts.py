"""What operators do with an account: freeze, unfreeze, limit, close and reopen it."""

import asyncio
import re
from collections.abc import Sequence

from balance_service._generated.balance.v1 import account_pb2
from balance_service.console import accounts
from balance_service.console.act_kinds import REASON, Act, Change, Field, Order, Subject, asking
from balance_service.console.rendering import amount, value_label
from balance_service.console.visits import Visit

_SCOPES = {"all": account_pb2.FREEZE_SCOPE_ALL, "debits": account_pb2.FREEZE_SCOPE_DEBITS}
# As the contract's numbers can be.
_NUMBER = re.compile(r"[0-9]{1,9}")


async def _subject(visit: Visit, target: str) -> Subject:
    account = await accounts.read(visit, target)
    status = value_label("account_status", account.status, visit.language)
    return Subject(
        [
            ("account", account.number),
            ("status", status),
            ("balance", f"{amount(account.balance)} {account.currency}"),
            ("held", f"{amount(account.held)} {account.currency}"),
        ],
    )


async def _changes(
    visit: Visit, order: Order, answer: account_pb2.Account | None
) -> Sequence[Change]:
    """The rules of the account, before and after."""
    before = await accounts.read(visit, order.target)
    after = answer or _as_ordered(before, order)
    old, new = (_rules(visit, account) for account in (before, after))
    return [Change(label, old[label], new[label]) for label in old]


async def _splitting(visit: Visit, target: str) -> Subject:
    """The account, whose sub-accounts are to be more or fewer."""
    subject, account = await asyncio.gather(_subject(visit, target), accounts.read(visit, target))
    return Subject(subject.facts, {"sub_accounts": str(account.sub_accounts)})


async def _split(visit: Visit, order: Order, answer: account_pb2.Account) -> Sequence[Change]:
    """How many sub-accounts the account has, before and after."""
    before = await accounts.read(visit, order.target)
    return [Change("sub_accounts", str(before.sub_accounts), str(answer.sub_accounts))]


def _rules(visit: Visit, account: account_pb2.Account) -> dict[str, str]:
    def limit(text: str, *, own: bool) -> str:
        if not text:
            return visit.text("fact.no_limit")
        shown = f"{amount(text)} {account.currency}"
        return shown if own else visit.text("fact.by_the_service", limit=shown)

    return {
        "status": value_label("account_status", account.status, visit.language),
        "overdraft": f"{amount(account.limit)} {account.currency}",
        "debit_limit": limit(account.debit_limit, own=account.debit_limit_is_own),
        "daily_limit": limit(account.daily_limit, own=account.daily_limit_is_own),
    }


def _as_ordered(before: account_pb2.Account, order: Order) -> account_pb2.Account:
    """The account with the limits that are ordered, where the service does not tell."""
    after = account_pb2.Account()
    after.CopyFrom(before)
    after.limit = order["overdraft"] or before.limit
    for name in ("debit_limit", "daily_limit"):
        if order[name]:
            setattr(after, name, order[name])
            setattr(after, f"{name}_is_own", True)
        elif f"unset_{name}" in order:
            setattr(after, name, "")
    return after


def _freeze(order: Order) -> account_pb2.FreezeAccountRequest:
    return account_pb2.FreezeAccountRequest(
        account=order.target,
        request_id=order.request_id,
        scope=_SCOPES.get(order["scope"], account_pb2.FREEZE_SCOPE_ALL),
        reason=order["reason"],
        validate_only=order.rehearsal,
    )


def _set_limits(order: Order) -> account_pb2.SetAccountLimitsRequest:
    return account_pb2.SetAccountLimitsRequest(
        account=order.target,
        overdraft=order["overdraft"],
        debit_limit=order["debit_limit"],
        daily_limit=order["daily_limit"],
        unset_debit_limit="unset_debit_limit" in order,
        unset_daily_limit="unset_daily_limit" in order,
        reason=order["reason"],
        request_id=order.request_id,
        validate_only=order.rehearsal,
    )


def _set_sub_accounts(order: Order) -> account_pb2.SetSubAccountsRequest:
    typed = order["sub_accounts"].strip()
    return account_pb2.SetSubAccountsRequest(
        account=order.target,
        # Left out where no number is typed, which the service refuses.
        sub_accounts=int(typed) if _NUMBER.fullmatch(typed) else None,
        reason=order["reason"],
        request_id=order.request_id,
        validate_only=order.rehearsal,
    )


_LIMITS = (
    Field("overdraft", "amount"),
    Field("debit_limit", "amount"),
    Field("unset_debit_limit", "flag"),
    Field("daily_limit", "amount"),
    Field("unset_daily_limit", "flag"),
)


def _path(target: str) -> str:
    return f"/accounts/{target}"


ACTS = (
    Act(
        name="freeze-account",
        fields=(Field("scope", "choice", tuple(_SCOPES)), REASON),
        subject=_subject,
        method=lambda service: service.accounts.FreezeAccount,
        request=_freeze,
        changes=_changes,
        path=_path,
        is_danger=True,
    ),
    Act(
        name="unfreeze-account",
        fields=(REASON,),
        subject=_subject,
        method=lambda service: service.accounts.UnfreezeAccount,
        request=asking(account_pb2.UnfreezeAccountRequest, "account"),
        changes=_changes,
        path=_path,
    ),
    Act(
        name="set-limits",
        fields=(*_LIMITS, REASON),
        subject=_subject,
        method=lambda service: service.accounts.SetAccountLimits,
        request=_set_limits,
        changes=_changes,
        path=_path,
    ),
    Act(
        name="set-sub-accounts",
        fields=(Field("sub_accounts", "number", required=True), REASON),
        subject=_splitting,
        method=lambda service: service.accounts.SetSubAccounts,
        request=_set_sub_accounts,
        changes=_split,
        path=_path,
    ),
    Act(
        name="close-account",
        fields=(REASON,),
        subject=_subject,
        method=lambda service: service.accounts.CloseAccount,
        request=asking(account_pb2.CloseAccountRequest, "account"),
        changes=_changes,
        path=_path,
        is_danger=True,
    ),
    Act(
        name="reopen-account",
        fields=(REASON,),
        subject=_subject,
        method=lambda service: service.accounts.ReopenAccount,
        request=asking(account_pb2.ReopenAccountRequest, "account"),
        changes=_changes,
        path=_path,
    ),
)
