"""Page tokens: where a list goes on, signed, and bound to its method, filters and caller."""

import base64
import hashlib
import hmac
import json
from uuid import UUID

from google.protobuf.message import Message

from balance_service.calls.call import Call
from balance_service.domain import errors
from balance_service.domain.paging import AmountPosition, Position

_SIGNATURE_BYTES = 16
_TOKEN_LENGTH_MAX = 8192
# What may differ from page to page of one list.
_OF_THE_PAGE = ("page_token", "page_size", "skip", "count_total")


class PageTokens:
    """Signs and reads page tokens.

    Args:
        key: 32 bytes, the same for all processes.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def write(self, request: Message, call: Call, place: object) -> str:
        """A token for the place, made of JSON's types, where the next page of a list starts."""
        body = json.dumps(place, separators=(",", ":")).encode()
        token = self._signature(request, call, body) + body
        return base64.urlsafe_b64encode(token).rstrip(b"=").decode()

    def read(self, request: Message, call: Call, token: str) -> object | None:
        """The place in a token; None for the first page.

        Raises:
            PageTokenInvalid: It was not made for this list, or it was altered.
        """
        if not token:
            return None
        try:
            padded = token.encode("ascii") + b"=" * (-len(token) % 4)
            raw = base64.b64decode(padded, altchars=b"-_", validate=True)
        except ValueError:
            raise errors.PageTokenInvalid from None
        signature, body = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        fits = len(token) <= _TOKEN_LENGTH_MAX
        if not fits or not hmac.compare_digest(signature, self._signature(request, call, body)):
            raise errors.PageTokenInvalid
        place: object = json.loads(body)
        return place

    def _signature(self, request: Message, call: Call, body: bytes) -> bytes:
        """Covers all of the request but its page, so that a token cannot forget the filter."""
        bare = type(request)()
        bare.CopyFrom(request)
        for field in _OF_THE_PAGE:
            bare.ClearField(field)
        scope = f"{call.method}\n{call.caller.name if call.caller else ''}\n".encode()
        covered = scope + bare.SerializeToString(deterministic=True) + b"\n" + body
        return hmac.digest(self._key, covered, hashlib.sha256)[:_SIGNATURE_BYTES]


def position_to_json(position: Position) -> object:
    """A list's position as JSON's types."""
    after = position.after_amount
    return {
        "e": {key.hex: value for key, value in position.ends.items()},
        "a": {key.hex: value for key, value in position.after.items()},
        "x": after and [after.amount_minor, after.account_id.hex, after.sequence],
    }


def position_from_json(place: object) -> Position:
    """What `position_to_json` made; the signature has vouched for it."""
    assert isinstance(place, dict), "signed by us"
    after = place["x"]
    return Position(
        ends={UUID(key): value for key, value in place["e"].items()},
        after={UUID(key): value for key, value in place["a"].items()},
        after_amount=after and AmountPosition(after[0], UUID(after[1]), after[2]),
    )
