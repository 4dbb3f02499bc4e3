"""DepositService: money in from outside."""

import contextlib
from collections.abc import AsyncIterator

from balance_service._generated.balance.v1 import deposit_pb2, reversal_pb2
from balance_service.calls.call import Call
from balance_service.calls.streams import Streams
from balance_service.domain.movements import Followed
from balance_service.domain.state import Done
from balance_service.messages import convert
from balance_service.messages.instructions.all_kinds import AllInstructions
from balance_service.messages.submission import Submission
from balance_service.servicers.series import Series
from balance_service.servicers.settlement import Settlements


class DepositServicer:
    """Brings money in.

    Args:
        submission: Takes commands to the ledger.
        settlements: Reads deposits.
        instructions: How they are asked for, and taken back.
        streams: The streams of this worker.
    """

    service = deposit_pb2.DESCRIPTOR.services_by_name["DepositService"]

    def __init__(
        self,
        submission: Submission,
        settlements: Settlements,
        instructions: AllInstructions,
        streams: Streams,
    ) -> None:
        self._submission = submission
        self._settlements = settlements
        self._instructions = instructions
        self._series = Series(
            submission,
            streams,
            instructions.create_deposit,
            deposit_pb2.DepositOutcome,
            "deposit",
            _tell,
        )

    async def CreateDeposit(
        self, request: deposit_pb2.CreateDepositRequest, call: Call
    ) -> deposit_pb2.Deposit:
        return await self._submission.carry_out(self._instructions.create_deposit, request, call)

    async def BatchCreateDeposits(
        self, request: deposit_pb2.BatchCreateDepositsRequest, call: Call
    ) -> deposit_pb2.BatchCreateDepositsResponse:
        outcomes = await self._series.batch(request, request.requests, call)
        return deposit_pb2.BatchCreateDepositsResponse(outcomes=outcomes)

    async def StreamDeposits(
        self, requests: AsyncIterator[deposit_pb2.CreateDepositRequest], call: Call
    ) -> AsyncIterator[deposit_pb2.DepositOutcome]:
        async with contextlib.aclosing(self._series.stream(requests, call)) as outcomes:
            async for outcome in outcomes:
                yield outcome

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
            archived_before=page.archived_before,
        )

    async def ReverseDeposit(
        self, request: deposit_pb2.ReverseDepositRequest, call: Call
    ) -> reversal_pb2.Reversal:
        return await self._submission.carry_out(self._instructions.reverse_deposit, request, call)


def _tell(done: Done) -> deposit_pb2.Deposit:
    return convert.settlement(deposit_pb2.Deposit, Followed(done.movement))
