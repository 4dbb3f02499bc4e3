"""Scenes for the refusals of changes that two people make together."""

from uuid import uuid4

from balance_client import v1
from balance_service.domain import errors
from tests.approvals import CURRENCY, asked, two_asked
from tests.refusal_scenes import Ask, World, provokes


@provokes(errors.ApprovalRequired)
async def limit_above_the_ceiling(world: World) -> Ask:
    account = (await world.anna.open(CURRENCY)).id
    request = v1.SetAccountLimitRequest(account=account, limit="100.01", request_id="raise 1")
    return Ask("AccountService/SetAccountLimit", request, world.admin)


@provokes(errors.ApprovalNotFound)
async def approval_that_is_not_there(world: World) -> Ask:
    request = v1.ApproveChangeRequest(approval=str(uuid4()))
    return Ask("ApprovalService/ApproveChange", request, world.admin)


@provokes(errors.ApprovalByRequester)
async def own_change_approved(world: World) -> Ask:
    account = (await world.boris.open(CURRENCY)).id
    request = v1.ApproveChangeRequest(approval=await asked(world.admin, account))
    return Ask("ApprovalService/ApproveChange", request, world.admin)


@provokes(errors.ApprovalNotPending)
async def rejected_change_approved(world: World) -> Ask:
    approval, _ = await two_asked(world.service)
    rejected = v1.RejectChangeRequest(approval=approval)
    await world.admin.client.approvals.RejectChange(rejected)
    request = v1.ApproveChangeRequest(approval=approval)
    return Ask("ApprovalService/ApproveChange", request, world.admin)
