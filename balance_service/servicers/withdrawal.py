"""WithdrawalService: money out to the outside."""

from balance_service._generated.balance.v1 import reversal_pb2, withdrawal_pb2
from balance_service.calls.call import Call
from balance_service.messages import convert
from balance_service.messages.instructions.all_kinds import AllInstructions
from balance_service.messages.submission import Submission
from balance_service.servicers.settlement import Settlements


class WithdrawalServicer:
    """Sends money out.

    Args:
        submission: Takes commands to the ledger.
        settlements: Reads withdrawals.
        instructions: How they are asked for, and taken back.
    """

    service = withdrawal_pb2.DESCRIPTOR.services_by_name["WithdrawalService"]

    def __init__(
        self,
        submission: Submission,
        settlements: Settlements,
        instructions: AllInstructions,
    ) -> None:
        self._submission = submission
        self._settlements = settlements
        self._instructions = instructions

    async def CreateWithdrawal(
        self, request: withdrawal_pb2.CreateWithdrawalRequest, call: Call
    ) -> withdrawal_pb2.Withdrawal:
        return await self._submission.carry_out(self._instructions.create_withdrawal, request, call)

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
            archived_before=page.archived_before,
        )

    async def ReverseWithdrawal(
        self, request: withdrawal_pb2.ReverseWithdrawalRequest, call: Call
    ) -> reversal_pb2.Reversal:
        return await self._submission.carry_out(
            self._instructions.reverse_withdrawal, request, call
        )
