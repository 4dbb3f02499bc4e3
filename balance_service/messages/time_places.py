"""Where a list by time goes on, as bytes of a page token: after a moment and an id."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

_EPOCH = datetime.fromtimestamp(0, UTC)


def write(moment: datetime, row_id: UUID) -> bytes:
    """The place of a row, to the microsecond."""
    microseconds = (moment - _EPOCH) // timedelta(microseconds=1)
    return microseconds.to_bytes(8, "big") + row_id.bytes


def read(place: bytes) -> tuple[datetime, UUID]:
    """The place that `write` made bytes of; a page token's signature has vouched for these."""
    since_epoch = timedelta(microseconds=int.from_bytes(place[:8], "big"))
    return _EPOCH + since_epoch, UUID(bytes=place[8:])
