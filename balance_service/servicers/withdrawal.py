"""WithdrawalService: money out to the outside."""

from balance_service._generated.balance.v1 import withdrawal_pb2, withdrawal_pb2_grpc
from balance_service.servicers import convert
from balance_service.servicers.call import Context
from balance_service.servicers.settlement import Settlements


class WithdrawalServicer(withdrawal_pb2_grpc.WithdrawalServiceServicer):
    """Sends money out."""

    def __init__(self, settlements: Settlements) -> None:
        self._settlements = settlements

    async def CreateWithdrawal(
        self, request: withdrawal_pb2.CreateWithdrawalRequest, context: Context
    ) -> withdrawal_pb2.Withdrawal:
        return convert.settlement(
            withdrawal_pb2.Withdrawal, await self._settlements.create(request)
        )

    async def GetWithdrawal(
        self, request: withdrawal_pb2.GetWithdrawalRequest, context: Context
    ) -> withdrawal_pb2.Withdrawal:
        return convert.settlement(
            withdrawal_pb2.Withdrawal, await self._settlements.get(request.withdrawal, "withdrawal")
        )

    async def ListWithdrawals(
        self, request: withdrawal_pb2.ListWithdrawalsRequest, context: Context
    ) -> withdrawal_pb2.ListWithdrawalsResponse:
        page = await self._settlements.page(request)
        return withdrawal_pb2.ListWithdrawalsResponse(
            withdrawals=[
                convert.settlement(withdrawal_pb2.Withdrawal, line.movement) for line in page.lines
            ],
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )
