"""TransferService: money from one account to another."""

import contextlib
from collections.abc import AsyncIterator
from uuid import UUID

from balance_service._generated.balance.v1 import transfer_pb2
from balance_service.calls.call import Call
from balance_service.calls.refusals import status
from balance_service.calls.streams import Streams
from balance_service.domain import errors, ids
from balance_service.domain.commands import Request, Transfer
from balance_service.domain.ledger import How, Outcome
from balance_service.domain.movements import Kind
from balance_service.domain.paging import Direction
from balance_service.domain.principals import Scope
from balance_service.ledger.queue import Answer
from balance_service.messages import access, convert, fields
from balance_service.messages.movements import Movements, SentId, origin

BATCH_MAX = 1000


class TransferServicer:
    """Moves money between accounts."""

    service = transfer_pb2.DESCRIPTOR.services_by_name["TransferService"]

    def __init__(self, movements: Movements, streams: Streams) -> None:
        self._movements = movements
        self._streams = streams

    async def CreateTransfer(
        self, request: transfer_pb2.CreateTransferRequest, call: Call
    ) -> transfer_pb2.Transfer:
        _authorise(call)
        command = await self._command(request, call, fields.Checks())
        done = await self._movements.submit_one(command, call)
        return convert.transfer(done.movement, for_sender=True)

    async def BatchCreateTransfers(
        self, request: transfer_pb2.BatchCreateTransfersRequest, call: Call
    ) -> transfer_pb2.BatchCreateTransfersResponse:
        _authorise(call)
        checks = fields.Checks()
        if not 1 <= len(request.requests) <= BATCH_MAX:
            checks.refuse("requests", f"must have 1 to {BATCH_MAX} items")
        batch_id = checks(fields.request_id, request.request_id)
        checks.finish()
        self._movements.check_room(len(request.requests))
        batch = SentId(batch_id, request.request_id) if batch_id else None
        read = [
            await self._item(item, call, index, batch)
            for index, item in enumerate(request.requests)
        ]
        outcomes = await self._movements.submit(Request(tuple(read), request.all_or_nothing), call)
        language = call.language
        return transfer_pb2.BatchCreateTransfersResponse(
            outcomes=[_answer(outcome, language) for outcome in outcomes]
        )

    async def StreamTransfers(
        self, requests: AsyncIterator[transfer_pb2.CreateTransferRequest], call: Call
    ) -> AsyncIterator[transfer_pb2.TransferOutcome]:
        _authorise(call)
        language = call.language

        async def begin(request: transfer_pb2.CreateTransferRequest) -> Answer:
            checks = fields.Checks()
            if not request.request_id:
                checks.refuse("request_id", "is required in a stream, which may break")
            return self._movements.begin(await self._command(request, call, checks), call)

        async with contextlib.aclosing(self._streams.answers(requests, begin)) as outcomes:
            async for outcome in outcomes:
                yield _answer(outcome, language)

    async def GetTransfer(
        self, request: transfer_pb2.GetTransferRequest, call: Call
    ) -> transfer_pb2.Transfer:
        principal = call.principal
        transfer_id = fields.identifier(request.transfer, "transfer")
        async with self._movements.pool.connection() as conn:
            movement, sender = await access.readable_movement(
                conn, principal, transfer_id, Kind.TRANSFER
            )
        return convert.transfer(movement, for_sender=sender)

    async def ListTransfers(
        self, request: transfer_pb2.ListTransfersRequest, call: Call
    ) -> transfer_pb2.ListTransfersResponse:
        return await self._page(request, call, Direction.IN if request.received else Direction.OUT)

    async def ListReceivedTransfers(
        self, request: transfer_pb2.ListTransfersRequest, call: Call
    ) -> transfer_pb2.ListTransfersResponse:
        return await self._page(request, call, Direction.IN)

    async def _page(
        self, request: transfer_pb2.ListTransfersRequest, call: Call, direction: Direction
    ) -> transfer_pb2.ListTransfersResponse:
        page = await self._movements.page(request, call, Kind.TRANSFER, direction)
        sent = direction == Direction.OUT
        return transfer_pb2.ListTransfersResponse(
            transfers=[convert.transfer(line.movement, for_sender=sent) for line in page.lines],
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )

    async def _command(
        self,
        request: transfer_pb2.CreateTransferRequest,
        call: Call,
        checks: fields.Checks,
        default_id: SentId | None = None,
    ) -> Transfer:
        """Reads a transfer; only what is not given by id is looked up.

        Args:
            request: One transfer.
            call: Who asks.
            checks: What is wrong with it so far.
            default_id: Its request id where it has none of its own.
        """
        principal = call.principal
        amount = fields.amount(checks, request)
        sender = checks(access.named, principal, request.from_account, "from_account")
        by_number = ids.is_account_number(request.to_account)
        receiver = None if by_number else checks(_receiver_id, request.to_account)
        description = checks(fields.description, request.description)
        origin_ = origin(request, call, checks, principal.user_id, description, default_id)
        checks.finish()
        if sender is None or receiver is None:
            async with self._movements.pool.connection() as conn:
                sender = sender or await access.own(conn, principal, amount.currency)
                receiver = receiver or await access.receiver(conn, principal, request.to_account)
        return Transfer(origin_, sender, receiver, amount)

    async def _item(
        self,
        item: transfer_pb2.CreateTransferRequest,
        call: Call,
        index: int,
        batch: SentId | None,
    ) -> Transfer | errors.Refusal:
        """Reads one item of a batch, whose refusal is its own outcome."""
        item_id = None
        if batch:
            item_id = SentId(ids.derived_id(f"item {index}", batch.request_id), batch.text)
        try:
            return await self._command(item, call, fields.Checks(), item_id)
        except errors.Refusal as refusal:
            return refusal


def _receiver_id(text: str) -> UUID:
    """Reads the id of the account that receives, which is not its number."""
    try:
        return fields.identifier(text, "to_account")
    except errors.InvalidFields:
        what = "an account's id, or its number of ten digits, the last of which checks the others"
        told = f"must be {what}" if text else f"is required: {what}"
        raise errors.invalid("to_account", told) from None


def _authorise(call: Call) -> None:
    principal = call.principal
    if principal.user_id is None:
        principal.require_scope(Scope.TRANSFERS_WRITE)


def _answer(outcome: Outcome, language: str) -> transfer_pb2.TransferOutcome:
    if isinstance(outcome, errors.Refusal):
        return transfer_pb2.TransferOutcome(error=status(outcome, language))
    return transfer_pb2.TransferOutcome(
        transfer=convert.transfer(outcome.movement, for_sender=True),
        replayed=outcome.how == How.REPLAYED,
    )
