"""Somebody's story, told through a running service, for an operator to look at afterwards."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import uuid4

from google.protobuf.field_mask_pb2 import FieldMask

from balance_client import v1
from balance_service.config import Settings
from balance_service.domain.principals import Scope
from tests.service import Service, start_within, stop_service

EMAIL = "boris@example.com"
ADMIN = "root@admin.example.com"


class Story(NamedTuple):
    """Who there is, and what they did: ids, and the public numbers of accounts."""

    user: str
    account: str
    number: str
    other_number: str
    service: str
    deposit: str
    purchase: str
    transfer: str
    withdrawal: str
    hold: str


def tell(settings: Settings) -> Story:
    """Tells it on the database that settings name; the service is stopped at the end."""
    return asyncio.run(_tell(settings))


async def _tell(settings: Settings) -> Story:
    service = await start_within(settings)
    try:
        return await _live(service)
    finally:
        await stop_service(service)


async def _live(service: Service) -> Story:
    boris, anna = await service.person(EMAIL), await service.person("anna@example.com")
    await boris.client.users.UpdateMe(
        v1.UpdateMeRequest(
            user=v1.User(username="boris", first_name="Boris", last_name="Petrov"),
            update_mask=FieldMask(paths=["username", "first_name", "last_name"]),
        )
    )
    mine, theirs = await boris.open(), await anna.open()
    deposit = await boris.deposit("5000.00", mine.id)
    admin = await service.admin()
    offered = v1.Service(name="Course", description="", price="1599.20", currency="RUB")
    bought = await admin.client.purchases.CreateService(v1.CreateServiceRequest(service=offered))
    purchase = await boris.client.purchases.CreatePurchase(
        v1.CreatePurchaseRequest(account=mine.id, service=bought.id)
    )
    transfer = await boris.client.transfers.CreateTransfer(
        v1.CreateTransferRequest(
            from_account=mine.id, to_account=theirs.id, amount="750.50", description="Lunch"
        )
    )
    withdrawal = await boris.client.withdrawals.CreateWithdrawal(
        v1.CreateWithdrawalRequest(account=mine.id, amount="100.00")
    )
    hold = await _hold(service, mine.id)
    return Story(
        boris.user_id,
        mine.id,
        mine.number,
        theirs.number,
        bought.id,
        deposit.id,
        purchase.id,
        transfer.id,
        withdrawal.id,
        hold.id,
    )


async def _hold(service: Service, account: str) -> v1.Hold:
    shop = await service.sibling(Scope.HOLDS_WRITE)
    request = v1.CreateHoldRequest(account=account, amount="50.00", request_id=str(uuid4()))
    request.expire_time.FromDatetime(datetime.now(UTC) + timedelta(days=1))
    return await shop.holds.CreateHold(request)
