"""WithdrawalService: money out to the outside."""

from balance_service._generated.balance.v1 import reversal_pb2, withdrawal_pb2
from balance_service.calls.call import Call
from balance_service.domain.movements import Followed, Kind
from balance_service.messages import convert
from balance_service.servicers.reversal import Reversals
from balance_service.servicers.settlement import Settlements


class WithdrawalServicer:
    """Sends money out."""

    service = withdrawal_pb2.DESCRIPTOR.services_by_name["WithdrawalService"]

    def __init__(self, settlements: Settlements, reversals: Reversals) -> None:
        self._settlements = settlements
        self._reversals = reversals

    async def CreateWithdrawal(
        self, request: withdrawal_pb2.CreateWithdrawalRequest, call: Call
    ) -> withdrawal_pb2.Withdrawal:
        movement = await self._settlements.create(request, call)
        return convert.settlement(withdrawal_pb2.Withdrawal, Followed(movement))

    async def GetWithdrawal(
        self, request: withdrawal_pb2.GetWithdrawalRequest, call: Call
    ) -> withdrawal_pb2.Withdrawal:
        found = await self._settlements.get(call, request.withdrawal, "withdrawal")
        return convert.settlement(withdrawal_pb2.Withdrawal, found)

    async def ListWithdrawals(
        self, request: withdrawal_pb2.ListWithdrawalsRequest, call: Call
    ) -> withdrawal_pb2.ListWithdrawalsResponse:
        page = await self._settlements.page(request, call)
        return withdrawal_pb2.ListWithdrawalsResponse(
            withdrawals=[
                convert.settlement(withdrawal_pb2.Withdrawal, found) for found in page.followed
            ],
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )

    async def ReverseWithdrawal(
        self, request: withdrawal_pb2.ReverseWithdrawalRequest, call: Call
    ) -> reversal_pb2.Reversal:
        return await self._reversals.reverse(request, call, Kind.WITHDRAWAL, request.withdrawal)
