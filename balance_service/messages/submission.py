"""Requests that move money: where one comes from, and how its command reaches the ledger."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple, Protocol, cast
from uuid import UUID

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from balance_service.calls.call import Call
from balance_service.domain import errors
from balance_service.domain.commands import Origin
from balance_service.domain.requests import Command, Request
from balance_service.domain.state import Done, How, Outcome
from balance_service.ledger.queue import CommitQueue
from balance_service.ledger.turns import Answer
from balance_service.messages import fields

EFFECTIVE_WITHIN = timedelta(days=366)


class MovingRequest(Protocol):
    """What every request that moves money has."""

    request_id: str
    account_etag: str

    @property
    def metadata(self) -> Mapping[str, str]: ...


class DatedRequest(MovingRequest, Protocol):
    """A request whose movement may have a value date."""

    @property
    def effective_time(self) -> Timestamp: ...

    def HasField(self, field_name: Literal["effective_time"]) -> bool: ...


class SentId(NamedTuple):
    """A request id, and the text by which its caller knows it."""

    request_id: UUID
    text: str


def read_origin(
    request: MovingRequest,
    call: Call,
    description: str = "",
    default_id: SentId | None = None,
    *,
    effective_at: datetime | None = None,
) -> Origin:
    """Reads who asks for a movement, why, and under which request id.

    A user may change only accounts of their own, a service any.

    Args:
        request: Its request id, metadata and etag are read here.
        call: Who asks.
        description: The reason of the movement, already read.
        default_id: Stands in for a request id that was not sent.
        effective_at: Its value date, already read.

    Raises:
        InvalidFields: The request id, the metadata or the etag are malformed.
    """
    checks = fields.Checks()
    request_id, text = checks(fields.request_id, request.request_id), request.request_id
    if default_id and not text:
        request_id, text = default_id
    metadata = checks(fields.metadata, request.metadata)
    if request.account_etag:
        checks(fields.text, cast("Message", request), "account_etag")
    checks.finish()
    principal = call.principal
    return Origin(
        principal=principal.name,
        owner_id=principal.user_id,
        reads_all=principal.reads_all,
        request_id=request_id,
        request_text=text,
        description=description,
        metadata=metadata,
        etag=request.account_etag,
        effective_at=effective_at,
    )


def read_effective_time(request: DatedRequest) -> datetime | None:
    """Reads a movement's value date; None for that of booking.

    Raises:
        InvalidFields: It is more than a year away, either way.
    """
    if not request.HasField("effective_time"):
        return None
    effective_at = fields.moment(request.effective_time, "effective_time")
    if abs(effective_at - datetime.now(UTC)) > EFFECTIVE_WITHIN:
        raise errors.invalid("effective_time", "must be at most a year away")
    return effective_at


class Submission:
    """Submits commands to the ledger, each for as long as its caller waits.

    Args:
        queue: Gathers the commands of many callers into commits.
    """

    def __init__(self, queue: CommitQueue) -> None:
        self._queue = queue

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
        return outcome

    async def submit(self, request: Request, call: Call) -> Sequence[Outcome]:
        """Carries out the commands of a request.

        Returns:
            An outcome for each item, in order; refusals of single items are among them.

        Raises:
            Overloaded, DeadlinePassed, Unavailable: As `CommitQueue.submit`.
        """
        return await self._queue.submit(request, call.timeout_seconds)

    def begin(self, command: Command, call: Call) -> Answer:
        """Starts to carry out one command; its outcome comes later.

        Raises:
            Overloaded, Unavailable: As `CommitQueue.check_room`.
        """
        return self._queue.enqueue(Request((command,)), call.timeout_seconds)

    def check_room(self, commands: int, call: Call) -> None:
        """Refuses a large request that the queue has no room for, before its items are read.

        Raises:
            Overloaded, Unavailable: As `CommitQueue.check_room`.
        """
        self._queue.check_room(call.principal.name, commands)
