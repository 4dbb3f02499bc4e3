"""What the log tells operators: acts of the privileged, and what was slow, with its trace."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest
import structlog

from balance_client import v1
from balance_service.calls import endings
from balance_service.ledger import queue
from tests.service import Service

TRACE = "0af7651916cd43dd8448eb211c80319c"


def find(lines: list[MutableMapping[str, Any]], event: str, **facts: str) -> list[dict[str, Any]]:
    return [
        dict(line) for line in lines if line["event"] == event and facts.items() <= line.items()
    ]


async def test_acts_on_others_are_logged_once_they_are_sealed(
    within: None, service: Service
) -> None:
    with structlog.testing.capture_logs() as lines:
        admin, boris = await service.admin(), await service.person()
        await admin.client.users.DisableUser(v1.DisableUserRequest(user=boris.user_id))
        async with asyncio.timeout(60):
            # Transactions of other tests hold the sealing up.
            while not find(lines, "privileged_act", action="user.disabled"):
                await service.app.maintenance.seal_audit_log()
                await asyncio.sleep(0.05)
    (line,) = find(lines, "privileged_act", action="user.disabled")
    assert line["log_level"] == "info"
    assert line["actor"] == f"user:{admin.user_id}"
    assert line["target"] == f"user:{boris.user_id}"
    assert line["request_id"]
    # Who signs in acts on nobody else.
    assert not find(lines, "privileged_act", action="session.started")


async def test_what_was_slow_is_logged_with_the_callers_trace(
    within: None, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await service.person()
    account = await person.open()
    monkeypatch.setattr(endings, "SLOW_SECONDS", 0)
    monkeypatch.setattr(queue, "SLOW_SECONDS", 0)
    request = v1.CreateDepositRequest(account=account.id, amount="5", currency="RUB")
    metadata = (("traceparent", f"00-{TRACE}-b7ad6b7169203331-01"),)
    with structlog.testing.capture_logs() as lines:
        await person.client.deposits.CreateDeposit(request, metadata=metadata)
    (call,) = find(lines, "call_slow")
    assert (call["trace_id"], call["code"]) == (TRACE, "OK")
    (commit,) = find(lines, "commit_slow")
    assert (commit["trace_ids"], commit["commands"]) == ([TRACE], 1)
