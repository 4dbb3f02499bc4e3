"""The audit log as it is read: listed both ways, by admins alone, and exported."""

import json
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

from google.protobuf.field_mask_pb2 import FieldMask

from balance_client import v1
from balance_service.database.pool import Pool
from balance_service.domain.audit import CHAIN_START, Action
from balance_service.domain.principals import Scope
from tests.audit import events, seal_all
from tests.authenticators import ask_again
from tests.cli import Cli
from tests.service import Service, Verified, reason, refused


async def test_list_is_filtered_and_paged_both_ways(service: Service) -> None:
    admin, boris = await service.admin(), await service.person()
    users = admin.client.users
    for _ in range(3):
        await users.DisableUser(v1.DisableUserRequest(user=boris.user_id))
        await users.EnableUser(v1.EnableUserRequest(user=boris.user_id))
    call, target = admin.client.audits.ListAuditEvents, f"user:{boris.user_id}"
    kept = v1.AuditFilter(target=target, action="user.enabled")
    first = await call(v1.ListAuditEventsRequest(filter=kept, page_size=2, count_total=True))
    assert (len(first.events), first.total_size) == (2, 3)
    rest = await call(
        v1.ListAuditEventsRequest(filter=kept, page_size=2, page_token=first.next_page_token)
    )
    newest_first = [*first.events, *rest.events]
    assert not rest.next_page_token
    assert newest_first[::-1] == await events(admin, target=target, action="user.enabled")
    assert [event.date.ToDatetime() for event in newest_first] == sorted(
        (event.date.ToDatetime() for event in newest_first), reverse=True
    )
    middle = newest_first[1].date
    since = await events(admin, target=target, action="user.enabled", start_time=middle)
    until = await events(admin, target=target, action="user.enabled", end_time=middle)
    assert (len(since), len(until)) == (2, 1)
    oldest = v1.ListAuditEventsRequest(filter=kept, page_size=2, order_by="date")
    second = await call(oldest)
    oldest.page_token = second.next_page_token
    assert [*second.events, *(await call(oldest)).events] == newest_first[::-1]
    assert (
        await reason(call(v1.ListAuditEventsRequest(page_token=first.next_page_token)))
        == "PAGE_TOKEN_INVALID"
    )

    path = f"/api/v1/audit_events?filter.target={target}&filter.action=user.enabled"
    answer = await admin.http("GET", f"{path}&page=2&page_size=2&ordering=date")
    assert answer.json["count"] == 3
    assert [event["id"] for event in answer.json["results"]] == [newest_first[0].id]


async def test_wrong_fields_are_named(service: Service) -> None:
    admin = await service.admin()
    for request, field in [
        (v1.ListAuditEventsRequest(page_size=-1), "page_size"),
        (v1.ListAuditEventsRequest(skip=-1), "skip"),
        (v1.ListAuditEventsRequest(order_by="amount"), "order_by"),
        (v1.ListAuditEventsRequest(filter=v1.AuditFilter(action="user.rol")), "filter.action"),
        (v1.ListAuditEventsRequest(filter=v1.AuditFilter(actor="x" * 201)), "filter.actor"),
        (v1.ListAuditEventsRequest(filter=v1.AuditFilter(target="a\0b")), "filter.target"),
    ]:
        error = await refused(admin.client.audits.ListAuditEvents(request))
        named = [violation.field for violation in error.violations]
        assert (error.reason, named) == ("INVALID_FIELD", [field])


Asking = Callable[[Any], Awaitable[object]]
ADMINS_CALLS: dict[str, Asking] = {
    "events": lambda client: client.audits.ListAuditEvents(v1.ListAuditEventsRequest()),
    "approvals": lambda client: client.approvals.ListApprovals(v1.ListApprovalsRequest()),
    "approve": lambda client: client.approvals.ApproveChange(
        v1.ApproveChangeRequest(approval=str(uuid4()))
    ),
    "reject": lambda client: client.approvals.RejectChange(
        v1.RejectChangeRequest(approval=str(uuid4()))
    ),
}


async def test_nobody_but_admins_may_look_or_decide(service: Service) -> None:
    admin, anna, moderator = await service.admin(), await service.person(), await service.person()
    await admin.client.users.UpdateUser(
        v1.UpdateUserRequest(
            id=moderator.user_id,
            user=v1.User(role=v1.ROLE_MODERATOR),
            update_mask=FieldMask(paths=["role"]),
        )
    )
    again = await ask_again(
        service, moderator.email, service.settings.database_url.get_secret_value()
    )
    token = (await service.client().auth.CreateToken(again)).token
    sibling = await service.sibling(*Scope)
    for name, ask in ADMINS_CALLS.items():
        assert await reason(ask(service.client())) == "TOKEN_MISSING", name
        assert await reason(ask(anna.client)) == "PERMISSION_MISSING", name
        assert await reason(ask(sibling)) == "PERMISSION_MISSING", name
    answer = await service.http.signed_in(token)("GET", "/api/v1/audit_events")
    assert answer.status == 403
    answer = await service.http.signed_in(token)("GET", "/api/v1/approvals")
    assert answer.status == 403


def test_actions_are_listed_in_the_documentation() -> None:
    from tests.test_repository_rules import ROOT

    page = (ROOT / "docs/operating/audit-log.md").read_text(encoding="utf-8")
    for action in Action:
        assert f"| `{action}` |" in page, action


async def test_command_line_records_and_exports(
    service: Service, cli: Cli, pool: Pool, verified: Verified
) -> None:
    cli("admin", "create", "boss@example.com")
    cli("service-principal", "create", "billing", "--scope", "deposits:write")
    cli("service-principal", "revoke", "billing")
    key_id = cli("keys", "rotate").split()[0]
    admin = await service.admin()
    theirs = [
        event
        for event in await events(admin)
        if event.actor.startswith("operator:") and event.target != f"user:{admin.user_id}"
    ]
    assert [event.action for event in theirs] == [
        "user.role_changed",
        "principal.created",
        "principal.revoked",
        "key.rotated",
    ]
    assert dict(theirs[1].after) == {"scopes": "deposits:write"}
    assert (theirs[1].target, theirs[3].target) == ("service:billing", f"key:{key_id}")
    assert (theirs[0].network, theirs[0].session) == ("", "")

    await seal_all(pool)
    lines = [json.loads(line) for line in cli("audit", "export").splitlines()]
    assert [line["sequence"] for line in lines] == list(range(1, len(lines) + 1))
    assert [line["event"]["id"] for line in lines[:4]] == [event.id for event in theirs]
    check_chain(lines)
    rest = cli("audit", "export", "--after", "2").splitlines()
    assert [json.loads(line) for line in rest][: len(lines) - 2] == lines[2:]
    await verified()


def check_chain(lines: list[dict[str, Any]]) -> None:
    """As the documentation tells auditors to."""
    from hashlib import sha256

    link = CHAIN_START
    for line in lines:
        text = json.dumps(line["event"], ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        link = sha256(link + text.encode()).digest()
        assert link.hex() == line["hash"], line["sequence"]
