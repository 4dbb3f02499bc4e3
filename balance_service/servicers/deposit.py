"""DepositService: money in from outside."""

from balance_service._generated.balance.v1 import deposit_pb2, deposit_pb2_grpc
from balance_service.servicers import convert
from balance_service.servicers.call import Context
from balance_service.servicers.settlement import Settlements


class DepositServicer(deposit_pb2_grpc.DepositServiceServicer):
    """Brings money in."""

    def __init__(self, settlements: Settlements) -> None:
        self._settlements = settlements

    async def CreateDeposit(
        self, request: deposit_pb2.CreateDepositRequest, context: Context
    ) -> deposit_pb2.Deposit:
        return convert.settlement(deposit_pb2.Deposit, await self._settlements.create(request))

    async def GetDeposit(
        self, request: deposit_pb2.GetDepositRequest, context: Context
    ) -> deposit_pb2.Deposit:
        return convert.settlement(
            deposit_pb2.Deposit, await self._settlements.get(request.deposit, "deposit")
        )

    async def ListDeposits(
        self, request: deposit_pb2.ListDepositsRequest, context: Context
    ) -> deposit_pb2.ListDepositsResponse:
        page = await self._settlements.page(request)
        return deposit_pb2.ListDepositsResponse(
            deposits=[
                convert.settlement(deposit_pb2.Deposit, line.movement) for line in page.lines
            ],
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )
