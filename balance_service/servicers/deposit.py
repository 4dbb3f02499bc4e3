"""DepositService: money in from outside."""

from balance_service._generated.balance.v1 import deposit_pb2
from balance_service.calls.call import Call
from balance_service.messages import convert
from balance_service.servicers.settlement import Settlements


class DepositServicer:
    """Brings money in."""

    service = deposit_pb2.DESCRIPTOR.services_by_name["DepositService"]

    def __init__(self, settlements: Settlements) -> None:
        self._settlements = settlements

    async def CreateDeposit(
        self, request: deposit_pb2.CreateDepositRequest, call: Call
    ) -> deposit_pb2.Deposit:
        movement = await self._settlements.create(request, call)
        return convert.settlement(deposit_pb2.Deposit, movement)

    async def GetDeposit(
        self, request: deposit_pb2.GetDepositRequest, call: Call
    ) -> deposit_pb2.Deposit:
        movement = await self._settlements.get(call, request.deposit, "deposit")
        return convert.settlement(deposit_pb2.Deposit, movement)

    async def ListDeposits(
        self, request: deposit_pb2.ListDepositsRequest, call: Call
    ) -> deposit_pb2.ListDepositsResponse:
        page = await self._settlements.page(request, call)
        return deposit_pb2.ListDepositsResponse(
            deposits=[
                convert.settlement(deposit_pb2.Deposit, line.movement) for line in page.lines
            ],
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )
