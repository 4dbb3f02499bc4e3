"""Where a request that moves money comes from: who asks, why, when, and under which request id."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple, Protocol, cast
from uuid import UUID

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from balance_service.calls.access import Condition
from balance_service.calls.call import Call
from balance_service.domain import errors
from balance_service.domain.commands import Origin
from balance_service.messages import fields

EFFECTIVE_WITHIN = timedelta(days=366)


class MovingRequest(Protocol):
    """What every request that moves money has."""

    request_id: str
    account_etag: str
    validate_only: bool

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


class IdentifiedRequest(Protocol):
    """A request with a request id."""

    request_id: str


def read_sent_id(request: IdentifiedRequest) -> SentId | None:
    """Reads the request id of a request that may have none.

    Raises:
        InvalidFields: It is malformed.
    """
    request_id = fields.request_id(request.request_id)
    return SentId(request_id, request.request_id) if request_id else None


def read_origin(
    request: MovingRequest,
    call: Call,
    description: str = "",
    default_id: SentId | None = None,
    *,
    effective_at: datetime | None = None,
) -> Origin:
    """Reads who asks for a movement, why, and under which request id.

    A user may change only accounts of their own, a service any: the ledger holds the command to the
    owner that is named here.

    Args:
        request: Its request id, metadata and etag are read here.
        call: Who asks.
        description: The reason of the movement, already read.
        default_id: Stands in for a request id that was not sent.
        effective_at: Its value date, already read.

    Raises:
        InvalidFields: The request id, the metadata or the etag are malformed.
    """
    call.prove(Condition.OWNER)
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
