"""DepositService: money in from outside."""

from balance_service._generated.balance.v1 import deposit_pb2, reversal_pb2
from balance_service.calls.call import Call
from balance_service.domain.movements import Followed, Kind
from balance_service.messages import convert
from balance_service.servicers.reversal import Reversals
from balance_service.servicers.settlement import Settlements


class DepositServicer:
    """Brings money in."""

    service = deposit_pb2.DESCRIPTOR.services_by_name["DepositService"]

    def __init__(self, settlements: Settlements, reversals: Reversals) -> None:
        self._settlements = settlements
        self._reversals = reversals

    async def CreateDeposit(
        self, request: deposit_pb2.CreateDepositRequest, call: Call
    ) -> deposit_pb2.Deposit:
        movement = await self._settlements.create(request, call)
        return convert.settlement(deposit_pb2.Deposit, Followed(movement))

    async def GetDeposit(
        self, request: deposit_pb2.GetDepositRequest, call: Call
    ) -> deposit_pb2.Deposit:
        found = await self._settlements.get(call, request.deposit, "deposit")
        return convert.settlement(deposit_pb2.Deposit, found)

    async def ListDeposits(
        self, request: deposit_pb2.ListDepositsRequest, call: Call
    ) -> deposit_pb2.ListDepositsResponse:
        page = await self._settlements.page(request, call)
        return deposit_pb2.ListDepositsResponse(
            deposits=[convert.settlement(deposit_pb2.Deposit, found) for found in page.followed],
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )

    async def ReverseDeposit(
        self, request: deposit_pb2.ReverseDepositRequest, call: Call
    ) -> reversal_pb2.Reversal:
        return await self._reversals.reverse(request, call, Kind.DEPOSIT, request.deposit)
