"""How the commands of calls reach the ledger, each for as long as its caller waits."""

from collections.abc import Sequence
from typing import TypeVar

from balance_service.calls.call import Call
from balance_service.domain import errors
from balance_service.domain.requests import Command, Request
from balance_service.domain.state import Done, How, Outcome
from balance_service.ledger.queue import CommitQueue
from balance_service.ledger.turns import Answer
from balance_service.messages import fields
from balance_service.messages.instructions.kind import CommandT, Instructions, finish
from balance_service.messages.origin import MovingRequest

Asked = TypeVar("Asked", bound=MovingRequest)
Told = TypeVar("Told")


class Submission:
    """Submits commands to the ledger.

    Args:
        queue: Gathers the commands of many callers into commits.
    """

    def __init__(self, queue: CommitQueue) -> None:
        self._queue = queue

    async def carry_out(
        self, instructions: Instructions[Asked, CommandT, Told], request: Asked, call: Call
    ) -> Told:
        """Takes the steps of a call that moves money.

        Args:
            instructions: How requests of its kind are read and answered.
            request: What is asked.
            call: Who asks.

        Raises:
            Refusal: It was refused.
        """
        command = await finish(instructions.read(request, call, fields.Checks()))
        done = await self.submit_one(command, call, validate_only=request.validate_only)
        return instructions.answer(command, done)

    async def submit_one(
        self, command: Command, call: Call, *, validate_only: bool = False
    ) -> Done:
        """Carries out one command, and tells the caller if that was done before.

        Args:
            command: What is asked.
            call: Who asks.
            validate_only: Whether to answer as if it were carried out, and change nothing.

        Raises:
            Refusal: It was refused.
        """
        (outcome,) = await self.submit(Request((command,), validate_only=validate_only), call)
        if isinstance(outcome, errors.Refusal):
            raise outcome
        if outcome.how == How.REPLAYED:
            call.mark_replayed()
        elif outcome.how == How.ALREADY_PURCHASED:
            call.mark_existing()
        return outcome

    async def submit(self, request: Request, call: Call) -> Sequence[Outcome]:
        """Carries out the commands of a request.

        Returns:
            An outcome for each item, in order; refusals of single items are among them.

        Raises:
            Overloaded, DeadlinePassed, Unavailable: As `CommitQueue.submit`.
        """
        return await self._queue.submit(
            request, call.timeout_seconds, trace_id=call.trace_id, span=call.span
        )

    def begin(self, command: Command, call: Call) -> Answer:
        """Starts to carry out one command; its outcome comes later.

        Raises:
            Overloaded, Unavailable: As `CommitQueue.check_room`.
        """
        return self._queue.enqueue(
            Request((command,)), call.timeout_seconds, trace_id=call.trace_id, span=call.span
        )

    def check_room(self, commands: int, call: Call) -> None:
        """Refuses a large request that the queue has no room for, before its items are read.

        Raises:
            Overloaded, Unavailable: As `CommitQueue.check_room`.
        """
        self._queue.check_room(call.principal.name, commands)
