"""Scenes for the refusals of reversals and holds."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from google.protobuf.timestamp_pb2 import Timestamp

from balance_client import v1
from balance_service.domain import errors
from tests.refusal_scenes import Ask, World, provokes


@provokes(errors.NotReversible)
async def withdrawal_reversed_as_a_deposit(world: World) -> Ask:
    request = v1.CreateWithdrawalRequest(amount="1")
    withdrawal = await world.anna.client.withdrawals.CreateWithdrawal(request)
    reverse = v1.ReverseDepositRequest(deposit=withdrawal.id, reason="Wrong")
    return Ask("DepositService/ReverseDeposit", reverse, world.admin)


@provokes(errors.ReversalTooLarge)
async def deposit_reversed_twice(world: World) -> Ask:
    deposit = await world.anna.deposit("1", world.account)
    request = v1.ReverseDepositRequest(deposit=deposit.id, reason="Wrong")
    await world.admin.client.deposits.ReverseDeposit(request)
    return Ask("DepositService/ReverseDeposit", request, world.admin)


@provokes(errors.HoldNotFound)
async def hold_that_is_not_there(world: World) -> Ask:
    return Ask("HoldService/GetHold", v1.GetHoldRequest(hold=str(uuid4())), world.anna)


@provokes(errors.HoldClosed)
async def capture_of_a_voided_hold(world: World) -> Ask:
    hold = await world.hold()
    await world.anna.client.holds.VoidHold(v1.VoidHoldRequest(hold=hold))
    return Ask("HoldService/CaptureHold", v1.CaptureHoldRequest(hold=hold), world.anna)


@provokes(errors.HoldExpired)
async def capture_after_its_time(world: World) -> Ask:
    soon = Timestamp()
    soon.FromDatetime(datetime.now(UTC) + timedelta(milliseconds=500))
    hold = await world.hold(soon)
    await asyncio.sleep(0.6)
    return Ask("HoldService/CaptureHold", v1.CaptureHoldRequest(hold=hold), world.anna)


@provokes(errors.CaptureTooLarge)
async def capture_beyond_the_hold(world: World) -> Ask:
    request = v1.CaptureHoldRequest(hold=await world.hold(), amount="1.01")
    return Ask("HoldService/CaptureHold", request, world.anna)


@provokes(errors.AlreadyPurchased)
async def hold_for_what_was_bought(world: World) -> Ask:
    tea = await world.sell("1")
    await world.anna.client.purchases.CreatePurchase(v1.CreatePurchaseRequest(service=tea))
    return Ask("HoldService/CreateHold", v1.CreateHoldRequest(service=tea), world.anna)
