"""Page tokens: where a list goes on, signed, and bound to its method, caller and what was asked.

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
from balance_service.messages import limits

TOKEN_LENGTH_MAX = limits.read_format(options_pb2.FORMAT_PAGE_TOKEN).max_length

_SIGNATURE_BYTES = 16
_CODES = sorted(DECIMALS)
_CODES_BYTES = -(-len(_CODES) // 8)
# What a token was written by is signed with it: another table of currencies moves the bits.
_FORM = "2 " + " ".join(_CODES)


class PageTokens:
    """Signs and reads page tokens.

    Args:
        key: 32 bytes, the same for all processes.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def write(self, asked: Sequence[object], call: Call, place: bytes) -> str:
        """A token for the place where the next page of a list starts.

        Args:
            asked: What the list was asked with, as it was read, but for its page.
            call: Who asks.
            place: In the list's own form.
        """
        token = self._signature(asked, call, place) + place
        return base64.urlsafe_b64encode(token).rstrip(b"=").decode()

    def read(self, asked: Sequence[object], call: Call, token: str) -> bytes | None:
        """The place in a token; None for the first page.

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
        if not hmac.compare_digest(signature, self._signature(asked, call, place)):
            raise errors.PageTokenInvalid
        return place

    def _signature(self, asked: Sequence[object], call: Call, place: bytes) -> bytes:
        """Covers all but the page, so that a token cannot forget the filter."""
        caller = call.caller.name if call.caller else ""
        scope = "\n".join([_FORM, call.method, caller, *map(repr, asked)])
        covered = scope.encode() + b"\n" + place
        return hmac.digest(self._key, covered, hashlib.sha256)[:_SIGNATURE_BYTES]


def position_to_bytes(position: Position, currencies: Mapping[UUID, str]) -> bytes:
    """A list's position.

    Args:
        position: In some accounts of one user.
        currencies: Each account's currency.
    """
    listed = sorted(position.ends, key=lambda account_id: currencies[account_id])
    bits = sum(1 << _CODES.index(currencies[account_id]) for account_id in listed)
    last = position.after_amount
    return b"".join(
        [
            bits.to_bytes(_CODES_BYTES, "big"),
            _packed([position.ends[account_id] for account_id in listed]),
            _packed([_folded(position.after.get(one, 0), position.ends[one]) for one in listed]),
            _packed([position.passed]),
            _packed(_numbers(last, listed)) if last else b"",
        ]
    )


def position_from_bytes(place: bytes, currencies: Mapping[UUID, str]) -> Position:
    """What `position_to_bytes` made; the signature has vouched for it.

    Args:
        place: What was made.
        currencies: The accounts that it was made of, and any opened since.
    """
    accounts = {code: account_id for account_id, code in currencies.items()}
    body = BytesIO(place)
    bits = int.from_bytes(body.read(_CODES_BYTES), "big")
    listed = [accounts[code] for index, code in enumerate(_CODES) if bits >> index & 1]
    ends = dict(zip(listed, _unpacked(body, len(listed)), strict=True))
    folded = zip(listed, _unpacked(body, len(listed)), strict=True)
    after = {account_id: _unfolded(number, ends[account_id]) for account_id, number in folded}
    (passed,) = _unpacked(body, 1)
    last = None
    if body.tell() < len(place):
        index, amount_minor, sequence = _unpacked(body, 3)
        last = AmountPosition(amount_minor, listed[index], sequence)
    shown = {account_id: sequence for account_id, sequence in after.items() if sequence}
    return Position(ends, shown, passed, last)


def _folded(after: int, end: int) -> int:
    """A place on a statement from the nearer of its ends, for there most lists are."""
    return min(after << 1, (end - after) << 1 | 1)


def _unfolded(number: int, end: int) -> int:
    return end - (number >> 1) if number & 1 else number >> 1


def _numbers(last: AmountPosition, listed: Sequence[UUID]) -> list[int]:
    return [listed.index(last.account_id), last.amount_minor, last.sequence]


def _packed(numbers: Sequence[int]) -> bytes:
    """Numbers from 0, all as wide as the largest, after a byte that says how wide."""
    width = (max(numbers, default=0).bit_length() + 7) // 8
    return bytes([width]) + b"".join([number.to_bytes(width, "big") for number in numbers])


def _unpacked(body: BytesIO, count: int) -> list[int]:
    width = body.read(1)[0]
    return [int.from_bytes(body.read(width), "big") for _ in range(count)]
