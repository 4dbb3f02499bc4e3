"""What an OpenAPI document says of reads from standbys: headers of requests and of answers."""

from collections.abc import Iterator

from balance_service.calls.freshness import (
    AS_OF,
    AT_LEAST,
    MAX_STALENESS,
    POSITION,
    READ_FROM,
    SEEN_MAX,
    STALENESS_MAX_SECONDS,
)
from balance_service.calls.methods import Method
from balance_service.calls.standby_offers import OFFERED, is_offered_file
from balance_service.gateway.schemas import Schema

_STALENESS: Schema = {
    "name": MAX_STALENESS,
    "in": "header",
    "schema": {"type": "string", "pattern": r"^[0-9]{1,4}(\.[0-9]{1,6})?s$"},
    "description": (
        f"How old the answer may be, at most `{STALENESS_MAX_SECONDS}s`, so that a standby may "
        "give it. Without this, the primary does."
    ),
}
_SEEN: Schema = {
    "name": AT_LEAST,
    "in": "header",
    "schema": {"type": "string"},
    "description": (
        f"What the answer has to show: up to {SEEN_MAX} ids of movements and values of "
        f"`{POSITION}`, with commas between. If it is empty, the position is told all the same."
    ),
}
_TOLD: Schema = {
    READ_FROM: {
        "schema": {"type": "string", "enum": ["standby", "primary"]},
        "description": f"Who gave the answer, to a call with `{MAX_STALENESS}` or `{AT_LEAST}`.",
    },
    AS_OF: {
        "schema": {"type": "string", "format": "date-time"},
        "description": "From a standby: all that was acknowledged before this moment is shown.",
    },
}
_PLACE: Schema = {
    POSITION: {
        "schema": {"type": "string"},
        "description": f"To a call with `{AT_LEAST}`: what is shown lies before it in the log.",
    }
}


def parameters(method: Method) -> Iterator[Schema]:
    """What a call may say of how fresh its answer is to be."""
    if _is_offered(method) or is_offered_file(method):
        yield _STALENESS
        yield _SEEN
    elif _changes(method):
        yield _SEEN


def headers(method: Method) -> Schema:
    """What an answer says of how fresh it is; of a file, nothing."""
    if _is_offered(method):
        return _TOLD | _PLACE
    return _PLACE if _changes(method) else {}


def _is_offered(method: Method) -> bool:
    return method.descriptor.name in OFFERED


def _changes(method: Method) -> bool:
    """Whether its answer has a place in the log that its caller may want to see again."""
    return not (method.reads or method.public or method.descriptor.server_streaming)
