"""TransferService: money from one account to another."""

import contextlib
from collections.abc import AsyncIterator, Sequence

from balance_service._generated.balance.v1 import reversal_pb2, transfer_pb2
from balance_service.calls.call import Call
from balance_service.calls.streams import Streams
from balance_service.database.pool import Pool
from balance_service.domain import errors
from balance_service.domain.movements import Followed, Kind
from balance_service.domain.paging import Direction
from balance_service.domain.requests import Request
from balance_service.domain.state import Done, How, Outcome
from balance_service.messages import account_access, convert, fields
from balance_service.messages.instructions.all_kinds import AllInstructions
from balance_service.messages.instructions.split import Split, read_split
from balance_service.messages.listing import Listing, read_query
from balance_service.messages.submission import Submission
from balance_service.reading.lookups import Lookups
from balance_service.repositories import journal
from balance_service.servicers.series import Series


class TransferServicer:
    """Moves money between accounts.

    Args:
        pool: For reads.
        submission: Takes commands to the ledger.
        listing: Lists transfers.
        instructions: How transfers are asked for, and sent back.
        lookups: What splits refer to.
        streams: The streams of this worker.
    """

    service = transfer_pb2.DESCRIPTOR.services_by_name["TransferService"]

    def __init__(
        self,
        pool: Pool,
        submission: Submission,
        listing: Listing,
        instructions: AllInstructions,
        lookups: Lookups,
        streams: Streams,
    ) -> None:
        self._pool = pool
        self._submission = submission
        self._listing = listing
        self._instructions = instructions
        self._lookups = lookups
        self._series = Series(
            submission,
            streams,
            instructions.create_transfer,
            transfer_pb2.TransferOutcome,
            "transfer",
            _tell,
        )

    async def CreateTransfer(
        self, request: transfer_pb2.CreateTransferRequest, call: Call
    ) -> transfer_pb2.Transfer:
        return await self._submission.carry_out(self._instructions.create_transfer, request, call)

    async def BatchCreateTransfers(
        self, request: transfer_pb2.BatchCreateTransfersRequest, call: Call
    ) -> transfer_pb2.BatchCreateTransfersResponse:
        outcomes = await self._series.batch(request, request.requests, call)
        return transfer_pb2.BatchCreateTransfersResponse(outcomes=outcomes)

    async def CreateSplit(
        self, request: transfer_pb2.CreateSplitRequest, call: Call
    ) -> transfer_pb2.CreateSplitResponse:
        split = await read_split(self._lookups, request, call)

        together = Request(
            tuple(split.transfers),
            all_or_nothing=True,
            validate_only=request.validate_only,
            parts_of=split.request_id,
        )
        done = _check_done(await self._submission.submit(together, call), split, request)
        if done[0].how == How.REPLAYED:
            call.mark_replayed()

        return convert.split(done, split.parts)

    async def StreamTransfers(
        self, requests: AsyncIterator[transfer_pb2.CreateTransferRequest], call: Call
    ) -> AsyncIterator[transfer_pb2.TransferOutcome]:
        async with contextlib.aclosing(self._series.stream(requests, call)) as outcomes:
            async for outcome in outcomes:
                yield outcome

    async def GetTransfer(
        self, request: transfer_pb2.GetTransferRequest, call: Call
    ) -> transfer_pb2.Transfer:
        transfer_id = fields.identifier(request.transfer, "transfer")

        async with self._pool.connection() as conn:
            movement, for_sender = await account_access.get_movement(
                conn, call, transfer_id, Kind.TRANSFER
            )
            found = await journal.followed(conn, movement)

        return convert.transfer(found, for_sender=for_sender)

    async def ListTransfers(
        self, request: transfer_pb2.ListTransfersRequest, call: Call
    ) -> transfer_pb2.ListTransfersResponse:
        return await self._page(request, call, Direction.IN if request.received else Direction.OUT)

    async def ListReceivedTransfers(
        self, request: transfer_pb2.ListTransfersRequest, call: Call
    ) -> transfer_pb2.ListTransfersResponse:
        return await self._page(request, call, Direction.IN)

    async def ReverseTransfer(
        self, request: transfer_pb2.ReverseTransferRequest, call: Call
    ) -> reversal_pb2.Reversal:
        return await self._submission.carry_out(self._instructions.reverse_transfer, request, call)

    async def _page(
        self, request: transfer_pb2.ListTransfersRequest, call: Call, direction: Direction
    ) -> transfer_pb2.ListTransfersResponse:
        """Takes the four steps for a list of transfers in one direction."""
        principal = call.principal

        checks = fields.Checks()
        account_id = checks(account_access.read_id_or_own, principal, request.account, "account")
        query = read_query(checks, request, account_id, Kind.TRANSFER, direction)
        checks.finish()

        page = await self._listing.page(query, call)

        sent = direction == Direction.OUT
        return transfer_pb2.ListTransfersResponse(
            transfers=[convert.transfer(found, for_sender=sent) for found in page.followed],
            next_page_token=page.next_page_token,
            total_size=page.total_size,
            archived_before=page.archived_before,
        )


def _check_done(
    outcomes: Sequence[Outcome], split: Split, request: transfer_pb2.CreateSplitRequest
) -> list[Done]:
    """The parts of a split, if it was carried out.

    Raises:
        Refusal: It was refused, for the part that could not be made.
    """
    done: list[Done] = []
    for place, outcome in enumerate(outcomes):
        if isinstance(outcome, errors.BatchRefused):
            continue
        if isinstance(outcome, errors.Refusal):
            raise split.refusal(place, outcome, request.receivers[place].to_account)
        done.append(outcome)
    return done


def _tell(done: Done) -> transfer_pb2.Transfer:
    return convert.transfer(Followed(done.movement), for_sender=True)
