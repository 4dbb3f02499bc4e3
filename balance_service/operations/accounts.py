"""What operators do with accounts, at the desk."""

from datetime import UTC, datetime, timedelta
from typing import BinaryIO, NamedTuple
from uuid import UUID

from balance_service._generated.balance.v1 import account_pb2, approval_pb2, statement_pb2
from balance_service.domain import errors
from balance_service.domain.account_changes import ChangeKind
from balance_service.messages.approvals import NeedsApproval
from balance_service.messages.statement_files.forms import Form
from balance_service.operations.desk import Desk
from balance_service.repositories import account_changes, limit_ends

# More than the currencies there are, of each of which a user has one account at most.
OF_USER_MAX = 1000
NONE = "none"


class Period(NamedTuple):
    """From one moment on, before another; None for no bound."""

    since: datetime | None
    until: datetime | None


class NewLimits(NamedTuple):
    """Limits as they are typed: an amount, "none" for no limit of its own, empty to leave one."""

    overdraft: str
    debit: str
    daily: str


async def of_user(desk: Desk, user_id: str) -> list[account_pb2.Account]:
    """All accounts of a user."""
    request = account_pb2.ListAccountsRequest(user=user_id)
    return await desk.list(request, account_pb2.ListAccountsResponse, "accounts", OF_USER_MAX)


async def find(
    desk: Desk, user: str, currency: str, status: str, limit: int
) -> list[account_pb2.Account]:
    """Accounts of a user, or of anybody.

    Args:
        desk: Where they are asked for.
        user: Their id, e-mail address or username; empty for anybody's.
        currency: Keeps accounts in it; empty for all.
        status: Keeps accounts of it, as the contract has it; empty for all.
        limit: How many at most.
    """
    value = account_pb2.AccountStatus.Value(status or "ACCOUNT_STATUS_UNSPECIFIED")
    if user:
        owned = await of_user(desk, (await desk.user(user)).id)
        kept = [
            account
            for account in owned
            if currency.upper() in ("", account.currency) and value in (0, account.status)
        ]
        return kept[:limit]
    request = account_pb2.SearchAccountsRequest(currency=currency, status=value)
    return await desk.list(request, account_pb2.SearchAccountsResponse, "accounts", limit)


async def show(desk: Desk, name: str) -> tuple[account_pb2.Account, datetime | None]:
    """An account, and when its limits go back if they do."""
    account = await desk.account(name)
    return account, await limits_end(desk, account.id)


async def statement(
    desk: Desk, name: str, period: Period, limit: int
) -> tuple[account_pb2.Account, list[account_pb2.Entry], datetime | None]:
    """An account, its entries of a period, the newest first, and before when they are archived.

    That is told if the entries go back as far.
    """
    account = await desk.account(name)
    kept = account_pb2.MovementFilter()
    if period.since:
        kept.start_time.FromDatetime(period.since)
    if period.until:
        kept.end_time.FromDatetime(period.until)
    request = account_pb2.ListEntriesRequest(account=account.id, filter=kept)
    entries: list[account_pb2.Entry] = []
    archived = None
    async for page in desk.pages(request, account_pb2.ListEntriesResponse, "entries", limit):
        entries += page.entries
        if page.HasField("archived_before"):
            archived = page.archived_before.ToDatetime(UTC)
    return account, entries, archived


async def download(desk: Desk, name: str, period: Period, form: Form, file: BinaryIO) -> None:
    """Writes an account's statement for a period into a file; all of it, or a refusal is raised."""
    account = await desk.account(name)
    request = statement_pb2.DownloadStatementRequest(account=account.id)
    if period.since:
        request.start_time.FromDatetime(period.since)
    if period.until:
        request.end_time.FromDatetime(period.until)
    request.format = statement_pb2.StatementFormat.ValueType(form)
    async for part in desk.stream(request):
        file.write(part.data)


async def changes(desk: Desk, name: str, limit: int) -> list[account_pb2.AccountChange]:
    """What operators changed on an account, the newest first."""
    account = await desk.account(name)
    request = account_pb2.ListAccountChangesRequest(account=account.id)
    return await desk.list(request, account_pb2.ListAccountChangesResponse, "changes", limit)


async def freeze(
    desk: Desk, name: str, reason: str, *, debits_alone: bool = False
) -> account_pb2.Account:
    """Freezes an account: for everything, or for what would be taken from it."""
    account = await desk.account(name)
    scope = account_pb2.FREEZE_SCOPE_DEBITS if debits_alone else account_pb2.FREEZE_SCOPE_ALL
    request = account_pb2.FreezeAccountRequest(account=account.id, scope=scope, reason=reason)
    return await desk.ask(request, account_pb2.Account)


async def unfreeze(desk: Desk, name: str, reason: str) -> account_pb2.Account:
    """Lets money move again."""
    account = await desk.account(name)
    request = account_pb2.UnfreezeAccountRequest(account=account.id, reason=reason)
    return await desk.ask(request, account_pb2.Account)


async def close(desk: Desk, name: str, reason: str) -> account_pb2.Account:
    """Closes an account that nothing is on."""
    account = await desk.account(name)
    request = account_pb2.CloseAccountRequest(account=account.id, reason=reason)
    return await desk.ask(request, account_pb2.Account)


async def reopen(desk: Desk, name: str, reason: str) -> account_pb2.Account:
    """Opens a closed account again."""
    account = await desk.account(name)
    request = account_pb2.ReopenAccountRequest(account=account.id, reason=reason)
    return await desk.ask(request, account_pb2.Account)


async def set_limits(
    desk: Desk, name: str, limits: NewLimits, reason: str, life: timedelta | None = None
) -> account_pb2.Account:
    """Sets an account's limits.

    Args:
        desk: Where that is done.
        name: The account.
        limits: What they are to be.
        reason: Why.
        life: How long they hold before they go back by themselves; None for until others are set.

    Raises:
        ApprovalRequired: Another admin has to approve it first; it is kept for them.
        PermissionMissing: Likewise, but it is for a time, which would run meanwhile.
    """
    account = await desk.account(name)
    request = account_pb2.SetAccountLimitsRequest(
        account=account.id,
        overdraft=limits.overdraft,
        debit_limit="" if limits.debit == NONE else limits.debit,
        daily_limit="" if limits.daily == NONE else limits.daily,
        unset_debit_limit=limits.debit == NONE,
        unset_daily_limit=limits.daily == NONE,
        reason=reason,
    )
    if life is None:
        return await desk.ask(request, account_pb2.Account)
    try:
        return await desk.set_limits_for(request, life)
    except NeedsApproval:
        needed = "another admin's approval, which a limit for a time cannot wait for"
        raise errors.PermissionMissing(required=needed) from None


async def set_sub_accounts(desk: Desk, name: str, count: int, reason: str) -> account_pb2.Account:
    """Gives an account so many sub-accounts; 0 for none."""
    account = await desk.account(name)
    request = account_pb2.SetSubAccountsRequest(
        account=account.id, sub_accounts=count, reason=reason
    )
    return await desk.ask(request, account_pb2.Account)


async def limits_end(desk: Desk, account_id: str) -> datetime | None:
    """When the limits of an account go back; None where nothing is to be changed."""
    async with desk.pool.connection() as conn:
        end = await limit_ends.find(conn, UUID(account_id))
        last = await account_changes.last_of_kind(conn, UUID(account_id), ChangeKind.SET_LIMITS)
    return end.ends_at if end and end.change_id == last else None


async def approvals(desk: Desk, status: str, limit: int) -> list[approval_pb2.Approval]:
    """Changes above a ceiling of which a status tells what became, as the contract has it."""
    value = approval_pb2.ApprovalStatus.Value(f"APPROVAL_STATUS_{status}")
    request = approval_pb2.ListApprovalsRequest(status=value)
    return await desk.list(request, approval_pb2.ListApprovalsResponse, "approvals", limit)
