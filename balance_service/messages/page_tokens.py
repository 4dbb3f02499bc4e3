"""Page tokens: where a list goes on, signed, and bound to its method, caller and query.

A user has one account a currency, so a token names the accounts of a position by a bit each; with
numbers as narrow as they allow, a position in all of them stays far below what a URL may hold.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from io import BytesIO
from uuid import UUID

from balance_service._generated.balance.v1 import options_pb2
from balance_service.calls.call import Call
from balance_service.domain import errors
from balance_service.domain.money import DECIMALS
from balance_service.domain.paging import AmountPosition, Position
from balance_service.messages import field_limits

TOKEN_LENGTH_MAX = field_limits.read_format(options_pb2.FORMAT_PAGE_TOKEN).max_length

_SIGNATURE_BYTES = 16
_CODES = sorted(DECIMALS)
_CODES_BYTES = -(-len(_CODES) // 8)
# The form of a token is signed with it, for bits stand for places in this table of currencies: a
# token written by another table is refused instead of naming other accounts.
_FORM = "2 " + " ".join(_CODES)


class PageTokens:
    """Signs and reads page tokens.

    Args:
        key: 32 bytes, the same for all processes.
        others: Keys whose tokens are read as well.
    """

    def __init__(self, key: bytes, *others: bytes) -> None:
        self._keys = key, *others

    def write(self, query: Sequence[object], call: Call, place: bytes, name: str = "") -> str:
        """A token for the place where the next page of a list starts.

        Args:
            query: What was asked of the list, as it was read, but for the part that is shown.
            call: Who asks.
            place: In the list's own form, such as the last id shown.
            name: Of a list that several methods go on with; without one, it is the call's own.
        """
        token = self._signatures(query, call, place, name)[0] + place
        return base64.urlsafe_b64encode(token).rstrip(b"=").decode()

    def read(self, query: Sequence[object], call: Call, token: str, name: str = "") -> bytes | None:
        """The place in a token; None for the first page.

        Args:
            query: As for `write`.
            call: As for `write`.
            token: What the caller sent.
            name: As for `write`.

        Raises:
            PageTokenInvalid: It was not made for this list, or it was altered.
        """
        if not token:
            return None
        if len(token) > TOKEN_LENGTH_MAX:
            raise errors.PageTokenInvalid
        try:
            padded = token.encode("ascii") + b"=" * (-len(token) % 4)
            raw = base64.b64decode(padded, altchars=b"-_", validate=True)
        except ValueError:
            raise errors.PageTokenInvalid from None
        signature, place = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        made = self._signatures(query, call, place, name)
        if not any(hmac.compare_digest(signature, one) for one in made):
            raise errors.PageTokenInvalid
        return place

    def _signatures(
        self, query: Sequence[object], call: Call, place: bytes, name: str
    ) -> list[bytes]:
        """Covers the query, too, so that a token cannot be used with another filter or order."""
        caller = call.caller.name if call.caller else ""
        # Places in a list with a name are of its own form, and outlive the table of currencies.
        form = [name] if name else [_FORM, call.method]
        scope = "\n".join([*form, caller, *map(repr, query)])
        covered = scope.encode() + b"\n" + place
        made = [hmac.digest(key, covered, hashlib.sha256) for key in self._keys]
        return [signature[:_SIGNATURE_BYTES] for signature in made]


def position_to_bytes(position: Position, currencies: Mapping[UUID, str]) -> bytes:
    """A list's position, as bytes.

    Args:
        position: In some accounts of one user.
        currencies: Each account's currency.
    """
    account_ids = sorted(position.ends, key=lambda account_id: currencies[account_id])
    bits = sum(1 << _CODES.index(currencies[account_id]) for account_id in account_ids)
    ends = [position.ends[account_id] for account_id in account_ids]
    after = [position.after.get(account_id, 0) for account_id in account_ids]
    last = position.after_amount
    return b"".join(
        [
            bits.to_bytes(_CODES_BYTES, "big"),
            _pack(ends),
            _pack([_fold(number, end) for number, end in zip(after, ends, strict=True)]),
            _pack([position.passed]),
            _pack(_numbers(last, account_ids)) if last else b"",
        ]
    )


def position_from_bytes(place: bytes, currencies: Mapping[UUID, str]) -> Position:
    """The position that `position_to_bytes` made bytes of; the signature has vouched for these.

    Args:
        place: The bytes.
        currencies: The accounts of the position, and any opened since.
    """
    accounts = {code: account_id for account_id, code in currencies.items()}
    body = BytesIO(place)
    bits = int.from_bytes(body.read(_CODES_BYTES), "big")
    account_ids = [accounts[code] for index, code in enumerate(_CODES) if bits >> index & 1]
    ends = dict(zip(account_ids, _unpack(body, len(account_ids)), strict=True))
    folded = zip(account_ids, _unpack(body, len(account_ids)), strict=True)
    after = {account_id: _unfold(number, ends[account_id]) for account_id, number in folded}
    (passed,) = _unpack(body, 1)
    last = None
    if body.tell() < len(place):
        index, amount_minor, sequence = _unpack(body, 3)
        last = AmountPosition(amount_minor, account_ids[index], sequence)
    shown = {account_id: sequence for account_id, sequence in after.items() if sequence}
    return Position(ends, shown, passed, last)


def _fold(after: int, end: int) -> int:
    """A place on a statement, counted from its nearer end: most lists are near one of them.

    The lowest bit says from which end; small numbers make short tokens.
    """
    return min(after << 1, (end - after) << 1 | 1)


def _unfold(number: int, end: int) -> int:
    return end - (number >> 1) if number & 1 else number >> 1


def _numbers(last: AmountPosition, account_ids: Sequence[UUID]) -> list[int]:
    return [account_ids.index(last.account_id), last.amount_minor, last.sequence]


def _pack(numbers: Sequence[int]) -> bytes:
    """Numbers from 0, all as wide as the largest, after a byte that says how wide."""
    width = (max(numbers, default=0).bit_length() + 7) // 8
    return bytes([width]) + b"".join([number.to_bytes(width, "big") for number in numbers])


def _unpack(body: BytesIO, count: int) -> list[int]:
    width = body.read(1)[0]
    return [int.from_bytes(body.read(width), "big") for _ in range(count)]
