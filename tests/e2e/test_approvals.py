"""What one operator asks for and another approves: limits above a ceiling, each set once."""

import asyncio
from typing import Any
from uuid import uuid4

import psycopg

from balance_client import BalanceError, v1
from balance_service.domain.principals import Scope
from tests.approvals import CURRENCY, asked
from tests.audit import events
from tests.service import Person, Service, StartService, reason, refused, replayed


async def open_account(service: Service) -> tuple[Person, str]:
    owner = await service.person()
    return owner, (await owner.open(CURRENCY)).id


async def overdraft(person: Person, account: str) -> str:
    request = v1.GetAccountRequest(account=account)
    return (await person.client.accounts.GetAccount(request)).limit


async def approvals(
    admin: Person, status: v1.ApprovalStatus.ValueType = v1.APPROVAL_STATUS_UNSPECIFIED
) -> list[v1.Approval]:
    """All with a status, oldest first."""
    request = v1.ListApprovalsRequest(status=status, page_size=100)
    return list((await admin.client.approvals.ListApprovals(request)).approvals)[::-1]


def approve(admin: Person, approval: str, **others: Any) -> Any:
    request = v1.ApproveChangeRequest(approval=approval, **others)
    return admin.client.approvals.ApproveChange(request)


def reject(admin: Person, approval: str, **others: Any) -> Any:
    request = v1.RejectChangeRequest(approval=approval, **others)
    return admin.client.approvals.RejectChange(request)


async def test_limit_above_the_ceiling_waits_for_another_admin(service: Service) -> None:
    first, second = await service.admin(), await service.admin()
    owner, account = await open_account(service)
    accounts = first.client.accounts
    await accounts.SetAccountLimit(v1.SetAccountLimitRequest(account=account, limit="100"))
    request = v1.SetAccountLimitsRequest(
        account=account, overdraft="250", reason="Card project", request_id="raise 1"
    )
    error = await refused(accounts.SetAccountLimits(request))
    assert (error.reason, error.metadata["status"]) == ("APPROVAL_REQUIRED", "PENDING")
    again = await refused(accounts.SetAccountLimits(request))
    assert again.metadata == error.metadata
    assert await overdraft(owner, account) == "100.00"

    (waiting,) = await approvals(second, v1.APPROVAL_STATUS_PENDING)
    assert waiting.id == error.metadata["approval"]
    assert (waiting.method, waiting.target) == ("SetAccountLimits", f"account:{account}")
    assert (waiting.requester, waiting.reason) == (f"user:{first.user_id}", "Card project")
    assert (waiting.before["overdraft"], waiting.after["overdraft"]) == ("100.00", "250.00")
    made = await approve(second, waiting.id, reason="Contract 12")
    assert (made.status, made.decider) == (v1.APPROVAL_STATUS_APPROVED, f"user:{second.user_id}")
    assert await overdraft(owner, account) == "250.00"

    # Its requester's call is answered as if it had been done at once.
    answer = accounts.SetAccountLimits(request)
    assert await replayed(answer)
    assert (await accounts.SetAccountLimits(request)).limit == "250.00"
    (found,) = await approvals(second)
    assert (found.status, found.decision_reason) == (v1.APPROVAL_STATUS_APPROVED, "Contract 12")
    changes = await accounts.ListAccountChanges(v1.ListAccountChangesRequest(account=account))
    assert [change.after.overdraft for change in changes.changes] == ["250.00", "100.00"]
    assert changes.changes[0].principal == f"user:{first.user_id}"

    told = await events(first, target=f"approval:{waiting.id}")
    assert [(event.action, event.actor) for event in told] == [
        ("approval.requested", f"user:{first.user_id}"),
        ("approval.given", f"user:{second.user_id}"),
    ]
    *_, limits = await events(first, target=f"account:{account}")
    assert (limits.actor, limits.after["approval"]) == (f"user:{second.user_id}", waiting.id)
    assert limits.after["requester"] == f"user:{first.user_id}"


async def test_nobody_approves_what_they_asked_for(service: Service) -> None:
    admin = await service.admin()
    owner, account = await open_account(service)
    approval = await asked(admin, account)
    for decide in (approve, reject):
        error = await refused(decide(admin, approval))
        assert (error.reason, error.metadata["approval"]) == ("APPROVAL_BY_REQUESTER", approval)
    assert await overdraft(owner, account) == "0.00"
    assert len(await approvals(admin, v1.APPROVAL_STATUS_PENDING)) == 1


async def test_services_ask_as_admins_do(service: Service) -> None:
    admin, sibling = await service.admin(), await service.sibling(Scope.ACCOUNTS_WRITE)
    owner, account = await open_account(service)
    error = await refused(
        sibling.accounts.SetAccountLimit(v1.SetAccountLimitRequest(account=account, limit="101"))
    )
    assert error.reason == "APPROVAL_REQUIRED"
    await approve(admin, error.metadata["approval"])
    assert await overdraft(owner, account) == "101.00"


async def test_rejected_changes_are_not_made(service: Service) -> None:
    first, second = await service.admin(), await service.admin()
    owner, account = await open_account(service)
    request = v1.SetAccountLimitRequest(account=account, limit="101", request_id="raise 2")
    set_limit = first.client.accounts.SetAccountLimit
    approval = (await refused(set_limit(request))).metadata["approval"]
    rejected = await reject(second, approval, reason="Too much")
    assert (rejected.status, rejected.decision_reason) == (v1.APPROVAL_STATUS_REJECTED, "Too much")
    for decide in (approve, reject):
        error = await refused(decide(second, approval))
        assert (error.reason, error.metadata["status"]) == ("APPROVAL_NOT_PENDING", "REJECTED")
    error = await refused(set_limit(request))
    assert (error.reason, error.metadata["status"]) == ("APPROVAL_REQUIRED", "REJECTED")
    assert await overdraft(owner, account) == "0.00"


async def test_expired_changes_are_not_made(service: Service, database_url: str) -> None:
    first, second = await service.admin(), await service.admin()
    owner, account = await open_account(service)
    approval = await asked(first, account)
    with psycopg.connect(database_url) as conn:
        conn.execute("UPDATE approvals SET expires_at = now()")
    error = await refused(approve(second, approval))
    assert (error.reason, error.metadata["status"]) == ("APPROVAL_NOT_PENDING", "EXPIRED")
    assert [found.id for found in await approvals(first, v1.APPROVAL_STATUS_EXPIRED)] == [approval]
    assert await approvals(first, v1.APPROVAL_STATUS_PENDING) == []
    assert await overdraft(owner, account) == "0.00"


async def test_of_racing_decisions_one_is_made(service: Service) -> None:
    first, *others = [await service.admin() for _ in range(4)]
    _, account = await open_account(service)
    for n in range(4):
        limit = f"{101 + n}.00"
        approval = await asked(first, account, limit)
        calls = [decide(admin, approval) for admin in others for decide in (approve, reject)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        made = [outcome for outcome in outcomes if isinstance(outcome, v1.Approval)]
        lost = [outcome for outcome in outcomes if isinstance(outcome, BalanceError)]
        assert (len(made), {error.reason for error in lost}) == (1, {"APPROVAL_NOT_PENDING"})
        approved = made[0].status == v1.APPROVAL_STATUS_APPROVED
        assert (await overdraft(first, account) == limit) == approved
        decided = await events(first, target=f"approval:{approval}")
        assert [event.action for event in decided[1:]] == [
            "approval.given" if approved else "approval.rejected"
        ]


async def test_change_that_cannot_be_made_any_more_stays_pending(service: Service) -> None:
    first, second = await service.admin(), await service.admin()
    _, account = await open_account(service)
    approval = await asked(first, account)
    await first.client.accounts.CloseAccount(v1.CloseAccountRequest(account=account))
    assert await reason(approve(second, approval)) == "ACCOUNT_CLOSED"
    await first.client.accounts.ReopenAccount(
        v1.ReopenAccountRequest(account=account, reason="By mistake")
    )
    assert (await approve(second, approval)).status == v1.APPROVAL_STATUS_APPROVED


async def test_request_id_is_that_of_one_change(service: Service) -> None:
    first, second = await service.admin(), await service.admin()
    _, account = await open_account(service)
    request = v1.SetAccountLimitRequest(account=account, limit="101", request_id="raise 3")
    accounts = first.client.accounts
    approval = (await refused(accounts.SetAccountLimit(request))).metadata["approval"]
    request.limit = "101.00"
    assert (await refused(accounts.SetAccountLimit(request))).metadata["approval"] == approval
    request.limit = "102"
    error = await refused(accounts.SetAccountLimit(request))
    assert (error.reason, error.metadata["fields"]) == ("IDEMPOTENCY_KEY_REUSED", "limit")
    other = v1.SetAccountLimitsRequest(
        account=account, overdraft="101", reason="Why", request_id="raise 3"
    )
    error = await refused(accounts.SetAccountLimits(other))
    assert (error.reason, error.metadata["fields"]) == ("IDEMPOTENCY_KEY_REUSED", "method")
    # What its requester used it for meanwhile stays answered as it was.
    freeze = v1.FreezeAccountRequest(account=account, request_id="raise 3")
    await accounts.FreezeAccount(freeze)
    await approve(second, approval)
    assert (await accounts.FreezeAccount(freeze)).limit == "0.00"


async def test_rehearsals_keep_nothing(service: Service) -> None:
    first, second = await service.admin(), await service.admin()
    owner, account = await open_account(service)
    rehearsed = v1.SetAccountLimitRequest(account=account, limit="101", validate_only=True)
    error = await refused(first.client.accounts.SetAccountLimit(rehearsed))
    assert (error.reason, "approval" in error.metadata) == ("APPROVAL_REQUIRED", False)
    assert await approvals(first) == []
    approval = await asked(first, account)
    for decide in (approve, reject):
        assert (await decide(second, approval, validate_only=True)).decider
    assert len(await approvals(first, v1.APPROVAL_STATUS_PENDING)) == 1
    assert await overdraft(owner, account) == "0.00"
    approved = {"approval": approval, "request_id": "approve 1"}
    assert await approve(second, **approved) == await approve(second, **approved)


async def test_only_what_raises_a_limit_above_its_ceiling_waits(
    start_service: StartService,
) -> None:
    service = await start_service(
        approval_overdraft_above="RUB=100",
        approval_debit_limit_above="RUB=50",
        approval_daily_limit_above="RUB=70,USD=1",
        debit_max="RUB=60",
    )
    first, second, owner = [await service.admin() for _ in range(3)]
    account = (await owner.open()).id
    euros = (await owner.open("EUR")).id

    async def set_limits(account: str = account, **limits: Any) -> str:
        """What comes of it: the id of an approval, or nothing if it was done alone."""
        request = v1.SetAccountLimitsRequest(account=account, reason="Why", **limits)
        try:
            await first.client.accounts.SetAccountLimits(request)
        except BalanceError as error:
            assert error.reason == "APPROVAL_REQUIRED"
            return error.metadata["approval"]
        return ""

    assert not await set_limits(overdraft="100", debit_limit="50", daily_limit="70")
    assert not await set_limits(euros, overdraft="1000", debit_limit="999", daily_limit="999")
    assert await set_limits(overdraft="100.01")
    assert await set_limits(debit_limit="50.01")
    # The service's own limit for one debit, and none for a day.
    assert await set_limits(unset_debit_limit=True)
    unlimited = await set_limits(unset_daily_limit=True, overdraft="50")
    assert unlimited
    await approve(second, unlimited)
    assert not await set_limits(daily_limit="5000", overdraft="20")
    assert not await set_limits(daily_limit="80")
    assert await set_limits(daily_limit="80.01")
    assert not await set_limits(daily_limit="80")


async def test_list_is_filtered_and_paged_both_ways(service: Service) -> None:
    first, second = await service.admin(), await service.admin()
    _, account = await open_account(service)
    made = [await asked(first, account, f"{101 + n}") for n in range(3)]
    await reject(second, made[1])
    call = second.client.approvals.ListApprovals
    page = await call(v1.ListApprovalsRequest(page_size=2, count_total=True))
    rest = v1.ListApprovalsRequest(page_size=2, page_token=page.next_page_token)
    listed = [*page.approvals, *(await call(rest)).approvals]
    assert [found.id for found in listed] == made[::-1]
    assert page.total_size == 3
    answer = await second.http(
        "GET", "/api/v1/approvals?status=APPROVAL_STATUS_PENDING&page=2&page_size=1"
    )
    assert answer.json["count"] == 2
    assert [found["id"] for found in answer.json["results"]] == [made[0]]
    approved = await second.http("POST", f"/api/v1/approvals/{made[0]}:approve", {"reason": "Yes"})
    assert (approved.status, approved.json["status"]) == (200, "APPROVAL_STATUS_APPROVED")


async def test_wrong_fields_are_named(service: Service) -> None:
    admin = await service.admin()
    requests: list[tuple[Any, str]] = [
        (v1.ApproveChangeRequest(), "approval"),
        (v1.ApproveChangeRequest(approval="x"), "approval"),
        (v1.ApproveChangeRequest(approval=str(uuid4()), reason="x" * 201), "reason"),
        (v1.RejectChangeRequest(approval=str(uuid4()), request_id=" "), "request_id"),
        (v1.ListApprovalsRequest(page_size=-1), "page_size"),
        (v1.ListApprovalsRequest(status=9), "status"),  # type: ignore[arg-type]
    ]
    for request, field in requests:
        name = type(request).__name__.removesuffix("Request")
        error = await refused(getattr(admin.client.approvals, name)(request))
        named = [violation.field for violation in error.violations]
        assert (error.reason, named) == ("INVALID_FIELD", [field])
