"""What a kind of request that moves money needs, so that a call of its own, a batch and a stream
treat it alike.
"""

from collections.abc import Coroutine
from typing import Any, Protocol, TypeAlias, TypeVar

from balance_service.calls.call import Call
from balance_service.domain.requests import Command
from balance_service.domain.state import Done
from balance_service.messages import fields
from balance_service.messages.origin import SentId

Asked_contra = TypeVar("Asked_contra", contravariant=True)
CommandT = TypeVar("CommandT", bound=Command)
Told_co = TypeVar("Told_co", covariant=True)

# A command, or what looks up what it refers to first. Most transfers refer to nothing, and a task
# for each item of a batch would cost half of what reading it does.
Reading: TypeAlias = CommandT | Coroutine[Any, Any, CommandT]


async def finish(reading: Reading[CommandT]) -> CommandT:
    """The command of one request, with what it refers to.

    Raises:
        Refusal: That is not there, as far as the caller may know.
    """
    return await reading if isinstance(reading, Coroutine) else reading


class Instructions(Protocol[Asked_contra, CommandT, Told_co]):
    """The requests of one kind: what one means, and how it is answered."""

    def read(
        self,
        request: Asked_contra,
        call: Call,
        checks: fields.Checks,
        default_id: SentId | None = None,
    ) -> Reading[CommandT]:
        """Reads a request of a caller whom the table of access lets in.

        Args:
            request: What is asked.
            call: Who asks.
            checks: What is wrong with it so far; finished here.
            default_id: Its request id where it has none of its own.

        Raises:
            InvalidFields: Something is wrong with it.
            Refusal: What it refers to is not there, as far as the caller may know.
        """

    def answer(self, command: CommandT, done: Done) -> Told_co:
        """What came of a command, as a message."""
