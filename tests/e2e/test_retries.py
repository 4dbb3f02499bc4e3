"""Clients that follow the published service config with gRPC's own retries."""

from pathlib import Path
from typing import Any

import grpc
import pytest

from balance_client import v1
from balance_client.policy import new_request_id
from balance_service.domain import errors
from tests.service import Person, Service

CONFIG = (Path(__file__).parent.parent.parent / "clients/service_config.json").read_text()


async def send(service: Service, caller: Person, method: str, request: Any) -> None:
    """A call by a plain gRPC client whose first sending the service is not there for."""
    queue = service.app.queue
    room = queue.check_room
    missed: list[int] = []

    def miss_once(principal: str, commands: int) -> None:
        if not missed:
            missed.append(commands)
            raise errors.Unavailable
        room(principal, commands)

    metadata = (("authorization", f"Bearer {caller.token.token}"),)
    options = [("grpc.service_config", CONFIG)]
    async with grpc.aio.insecure_channel(service.target, options) as channel:
        call: Any = channel.unary_unary(
            f"/balance.v1.{method}", request_serializer=type(request).SerializeToString
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(queue, "check_room", miss_once)
            await call(request, metadata=metadata)
    assert missed


@pytest.mark.usefixtures("within")
async def test_what_is_sent_again_needs_the_id_it_had(service: Service) -> None:
    admin = await service.admin()
    account = (await admin.open()).id
    request = v1.CreateDepositRequest(account=account, amount="5")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await send(service, admin, "DepositService/CreateDeposit", request)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "request_id" in str(dict(refused.value.trailing_metadata() or ()))
    request.request_id = str(new_request_id())
    await send(service, admin, "DepositService/CreateDeposit", request)
    found = await admin.client.accounts.GetAccount(v1.GetAccountRequest(account=account))
    assert found.balance == "5.00"


@pytest.mark.usefixtures("within")
async def test_batch_is_repeatable_by_the_ids_of_its_items(service: Service) -> None:
    admin, boris = await service.admin(), await service.person()
    account, other = (await admin.open()).id, (await boris.open()).id
    await admin.deposit("10", account)
    batch = v1.BatchCreateTransfersRequest(
        requests=[v1.CreateTransferRequest(from_account=account, to_account=other, amount="1")]
    )
    with pytest.raises(grpc.aio.AioRpcError):
        await send(service, admin, "TransferService/BatchCreateTransfers", batch)
    batch.requests[0].request_id = str(new_request_id())
    await send(service, admin, "TransferService/BatchCreateTransfers", batch)
    found = await admin.client.accounts.GetAccount(v1.GetAccountRequest(account=account))
    assert found.balance == "9.00"


@pytest.mark.usefixtures("within")
async def test_mixed_batch_is_repeatable_by_the_ids_of_its_items(service: Service) -> None:
    admin = await service.admin()
    account = (await admin.open()).id
    deposit = v1.CreateDepositRequest(account=account, amount="3", request_id=str(new_request_id()))
    withdrawal = v1.CreateWithdrawalRequest(account=account, amount="1", metadata={"a": "b"})
    batch = v1.BatchCreateMovementsRequest(
        requests=[
            v1.CreateMovementRequest(create_deposit=deposit, linked=True),
            v1.CreateMovementRequest(create_withdrawal=withdrawal),
        ]
    )
    with pytest.raises(grpc.aio.AioRpcError):
        await send(service, admin, "BatchService/BatchCreateMovements", batch)
    batch.requests[1].create_withdrawal.request_id = str(new_request_id())
    await send(service, admin, "BatchService/BatchCreateMovements", batch)
    found = await admin.client.accounts.GetAccount(v1.GetAccountRequest(account=account))
    assert found.balance == "2.00"
