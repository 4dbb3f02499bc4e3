"""Many requests of one kind: together in a batch, or as they come in a stream."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message
from google.rpc import status_pb2

from balance_service._generated.balance.v1 import deposit_pb2, transfer_pb2
from balance_service.calls.call import Call
from balance_service.calls.refusals import status
from balance_service.calls.streams import Streams
from balance_service.domain import errors
from balance_service.domain.requests import Request
from balance_service.domain.state import Done, How
from balance_service.ledger.turns import Answer
from balance_service.messages import fields
from balance_service.messages.answer_room import AnswerRoom
from balance_service.messages.instructions.items import Item, read_items, tell
from balance_service.messages.instructions.kind import Instructions, finish
from balance_service.messages.origin import MovingRequest, read_sent_id
from balance_service.messages.submission import Submission

Asked = TypeVar("Asked", bound=MovingRequest)
Outcome = TypeVar("Outcome", transfer_pb2.TransferOutcome, deposit_pb2.DepositOutcome)
BatchRequest = transfer_pb2.BatchCreateTransfersRequest | deposit_pb2.BatchCreateDepositsRequest


class Series(Generic[Asked, Outcome]):
    """The requests of one kind, each read and refused as a call of its own would be.

    Args:
        submission: Takes commands to the ledger.
        streams: The streams of this worker.
        instructions: How one request is authorised and read.
        outcome: What tells what became of one.
        field: Its field for what was made.
        tell_made: What tells what was made.
    """

    def __init__(
        self,
        submission: Submission,
        streams: Streams,
        instructions: Instructions[Asked, Any, Any],
        outcome: type[Outcome],
        field: str,
        tell_made: Callable[[Done], Message],
    ) -> None:
        self._submission = submission
        self._streams = streams
        self._instructions = instructions
        self._outcome: type[Outcome] = outcome
        self._field = field
        self._tell_made = tell_made

    async def batch(
        self, request: BatchRequest, requests: Sequence[Asked], call: Call
    ) -> Iterator[Outcome]:
        """Carries out the requests of a batch; their outcomes, in order.

        Args:
            request: The batch.
            requests: Its items.
            call: Who asks.
        """
        checks = fields.Checks()
        checks(fields.check_count, request, "requests")
        batch_id = checks(read_sent_id, request)
        checks.finish()
        self._submission.check_room(len(requests), call)
        items = (Item(self._instructions, item) for item in requests)
        read = await read_items(items, call, batch_id)

        together = Request(tuple(read), request.all_or_nothing, validate_only=request.validate_only)
        outcomes = await self._submission.submit(together, call)

        room = AnswerRoom()
        return (self._told(outcome, room) for outcome in tell(outcomes, call.language))

    async def stream(
        self, requests: AsyncIterator[Asked], call: Call
    ) -> AsyncGenerator[Outcome, None]:
        """Carries out requests as they come; their outcomes, in order."""

        async def begin(request: Asked) -> Answer:
            checks = fields.Checks()
            if not request.request_id:
                checks.refuse("request_id", "is required in a stream, which may break")
            if request.validate_only:
                checks.refuse("validate_only", "is not for streams")
            command = await finish(self._instructions.read(request, call, checks))
            return self._submission.begin(command, call)

        async with contextlib.aclosing(self._streams.answers(requests, begin)) as outcomes:
            async for outcome in outcomes:
                if isinstance(outcome, errors.Refusal):
                    yield self._told(status(outcome, call.language))
                else:
                    yield self._told(outcome)

    def _told(self, outcome: Done | status_pb2.Status, room: AnswerRoom | None = None) -> Outcome:
        if isinstance(outcome, status_pb2.Status):
            return self._outcome(error=outcome)
        made = self._tell_made(outcome)
        if room:
            room.fit(made)
        fields_: dict[str, Any] = {self._field: made}
        return self._outcome(**fields_, replayed=outcome.how == How.REPLAYED)
