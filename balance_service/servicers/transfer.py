"""TransferService: money from one account to another."""

import contextlib
from collections.abc import AsyncIterator, Iterable, Iterator

from balance_service._generated.balance.v1 import reversal_pb2, transfer_pb2
from balance_service.calls.call import Call
from balance_service.calls.refusals import status
from balance_service.calls.streams import Streams
from balance_service.database.pool import Pool
from balance_service.domain import errors, ids
from balance_service.domain.commands import Transfer
from balance_service.domain.movements import Followed, Kind
from balance_service.domain.paging import Direction
from balance_service.domain.principals import Scope
from balance_service.domain.requests import Request
from balance_service.domain.state import How, Outcome
from balance_service.ledger.turns import Answer
from balance_service.messages import account_access, convert, fields
from balance_service.messages.listing import Listing, read_query
from balance_service.messages.submission import SentId, Submission, read_effective_time, read_origin
from balance_service.repositories import journal
from balance_service.servicers.reversal import Reversals

# A batch of a thousand items could otherwise be refused in 4 MB.
BATCH_REFUSALS_BYTES_MAX = 1 << 18


class TransferServicer:
    """Moves money between accounts.

    Args:
        pool: For reads.
        submission: Takes commands to the ledger.
        listing: Lists transfers.
        reversals: Sends transfers back.
        streams: The streams of this worker.
    """

    service = transfer_pb2.DESCRIPTOR.services_by_name["TransferService"]

    def __init__(
        self,
        pool: Pool,
        submission: Submission,
        listing: Listing,
        reversals: Reversals,
        streams: Streams,
    ) -> None:
        self._pool = pool
        self._submission = submission
        self._listing = listing
        self._reversals = reversals
        self._streams = streams

    async def CreateTransfer(
        self, request: transfer_pb2.CreateTransferRequest, call: Call
    ) -> transfer_pb2.Transfer:
        _authorise(call)

        command = await self._read_command(request, call, fields.Checks())

        done = await self._submission.submit_one(command, call, validate_only=request.validate_only)

        return convert.transfer(Followed(done.movement), for_sender=True)

    async def BatchCreateTransfers(
        self, request: transfer_pb2.BatchCreateTransfersRequest, call: Call
    ) -> transfer_pb2.BatchCreateTransfersResponse:
        _authorise(call)

        checks = fields.Checks()
        checks(fields.check_count, request, "requests")
        batch_id = checks(fields.request_id, request.request_id)
        checks.finish()
        self._submission.check_room(len(request.requests), call)
        sent_id = SentId(batch_id, request.request_id) if batch_id else None
        items = [
            await self._read_item(item, call, index, sent_id)
            for index, item in enumerate(request.requests)
        ]

        together = Request(
            tuple(items), request.all_or_nothing, validate_only=request.validate_only
        )
        outcomes = await self._submission.submit(together, call)

        return transfer_pb2.BatchCreateTransfersResponse(
            outcomes=_convert_outcomes(outcomes, call.language)
        )

    async def StreamTransfers(
        self, requests: AsyncIterator[transfer_pb2.CreateTransferRequest], call: Call
    ) -> AsyncIterator[transfer_pb2.TransferOutcome]:
        _authorise(call)

        async def begin(request: transfer_pb2.CreateTransferRequest) -> Answer:
            checks = fields.Checks()
            if not request.request_id:
                checks.refuse("request_id", "is required in a stream, which may break")
            _refuse_rehearsal(checks, request, "is not for streams")
            command = await self._read_command(request, call, checks)
            return self._submission.begin(command, call)

        async with contextlib.aclosing(self._streams.answers(requests, begin)) as outcomes:
            async for outcome in outcomes:
                yield _convert_outcome(outcome, call.language)

    async def GetTransfer(
        self, request: transfer_pb2.GetTransferRequest, call: Call
    ) -> transfer_pb2.Transfer:
        principal = call.principal

        transfer_id = fields.identifier(request.transfer, "transfer")

        async with self._pool.connection() as conn:
            movement, for_sender = await account_access.get_movement(
                conn, principal, transfer_id, Kind.TRANSFER
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
        return await self._reversals.reverse(request, call, Kind.TRANSFER, request.transfer)

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
        )

    async def _read_command(
        self,
        request: transfer_pb2.CreateTransferRequest,
        call: Call,
        checks: fields.Checks,
        default_id: SentId | None = None,
    ) -> Transfer:
        """Reads a transfer, and looks up the accounts that are not given by id.

        Args:
            request: One transfer.
            call: Who asks.
            checks: What is wrong with it so far; finished here.
            default_id: Its request id where it has none of its own.

        Raises:
            InvalidFields: Something is wrong with it.
            QuoteNotFound: There is no such quote of the caller's.
            AccountNotFound: The user has no account of their own in the currency, or there is none
                with the receiver's number.
        """
        principal = call.principal
        amount = checks(fields.amount, request.amount, request.currency)
        sender = checks(
            account_access.read_id_or_own, principal, request.from_account, "from_account"
        )
        receiver = checks(account_access.read_receiver, request.to_account)
        quote_id = checks(fields.optional_identifier, request.quote, "quote")
        description = checks(fields.text, request, "description")
        effective_at = checks(read_effective_time, request)
        origin = checks(
            read_origin, request, call, description, default_id, effective_at=effective_at
        )
        checks.finish()
        quote = None
        if quote_id or sender is None or receiver is None:
            async with self._pool.connection() as conn:
                if quote_id:
                    quote = await account_access.get_quote(conn, principal, quote_id)
                    sender = sender or quote.account_id
                if sender is None:
                    sender = await account_access.find_own_account(conn, principal, amount.currency)
                if receiver is None:
                    receiver = await account_access.find_receiver(
                        conn, principal, request.to_account
                    )
        return Transfer(origin, sender, receiver, amount, quote)

    async def _read_item(
        self,
        item: transfer_pb2.CreateTransferRequest,
        call: Call,
        index: int,
        batch_id: SentId | None,
    ) -> Transfer | errors.Refusal:
        """Reads one item of a batch, whose refusal is its own outcome."""
        checks = fields.Checks()
        _refuse_rehearsal(checks, item, "is of the whole batch")
        item_id = None
        if batch_id:
            derived = ids.derived_id(f"item {index}", batch_id.request_id)
            item_id = SentId(derived, batch_id.text)
        try:
            return await self._read_command(item, call, checks, item_id)
        except errors.Refusal as refusal:
            return refusal


def _refuse_rehearsal(
    checks: fields.Checks, request: transfer_pb2.CreateTransferRequest, rule: str
) -> None:
    if request.validate_only:
        checks.refuse("validate_only", rule)


def _authorise(call: Call) -> None:
    principal = call.principal
    if principal.user_id is None:
        principal.require_scope(Scope.TRANSFERS_WRITE)


def _convert_outcomes(
    outcomes: Iterable[Outcome], language: str
) -> Iterator[transfer_pb2.TransferOutcome]:
    """The outcomes of a batch; once its refusals are large, each names one violation alone."""
    room = BATCH_REFUSALS_BYTES_MAX
    for outcome in outcomes:
        if room < 0 and isinstance(outcome, errors.InvalidFields):
            first, *others = outcome.violations
            outcome = errors.InvalidFields((first,), outcome.more + len(others))  # noqa: PLW2901
        converted = _convert_outcome(outcome, language)
        room -= converted.error.ByteSize()
        yield converted


def _convert_outcome(outcome: Outcome, language: str) -> transfer_pb2.TransferOutcome:
    if isinstance(outcome, errors.Refusal):
        return transfer_pb2.TransferOutcome(error=status(outcome, language))
    return transfer_pb2.TransferOutcome(
        transfer=convert.transfer(Followed(outcome.movement), for_sender=True),
        replayed=outcome.how == How.REPLAYED,
    )
