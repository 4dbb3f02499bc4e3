"""Splits, as they are asked for: one request for many transfers."""

import asyncio
import dataclasses
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from balance_service._generated.balance.v1 import transfer_pb2
from balance_service.calls.call import Call
from balance_service.domain import errors, ids, money, splits
from balance_service.domain.commands import Origin, Transfer
from balance_service.domain.money import Money, format_minor
from balance_service.domain.splits import Part
from balance_service.messages import account_access, field_limits, fields
from balance_service.messages.origin import read_effective_time, read_origin
from balance_service.reading.lookups import Lookups

_WEIGHT_MAX = field_limits.find(transfer_pb2.SplitReceiver.DESCRIPTOR, "weight").maximum
_REQUEST = transfer_pb2.CreateSplitRequest.DESCRIPTOR
_RECEIVERS_MAX = field_limits.find(_REQUEST, "receivers").max_items


class Split(NamedTuple):
    """A payment that is split.

    Args:
        total: What is paid.
        parts: What each receiver gets.
        transfers: One for each part.
    """

    total: Money
    parts: Sequence[Part]
    transfers: Sequence[Transfer]

    @property
    def request_id(self) -> str:
        """The request id of the whole, as its caller spelled it; empty if there is none."""
        return self.transfers[0].origin.request_text

    def refusal(self, place: int, cause: errors.Refusal, receiver: str) -> errors.Refusal:
        """The refusal of the whole, where one part was refused after those before it.

        Args:
            place: The part's.
            cause: What that part was refused for.
            receiver: Its receiver, as it was sent.
        """
        match cause:
            case errors.ReceiverUnavailable():
                return dataclasses.replace(cause, receiver=receiver)
            case errors.InsufficientFunds():
                earlier = self._amount(self.parts[:place])
                later = self._amount(self.parts[place + 1 :])
                return dataclasses.replace(
                    cause,
                    available=str(Decimal(cause.available) + earlier),
                    required=str(self.total),
                    missing=str(Decimal(cause.missing) + later),
                )
        return cause

    def _amount(self, parts: Sequence[Part]) -> Decimal:
        return Decimal(format_minor(sum(part.minor for part in parts), self.total.currency))


async def read_split(
    lookups: Lookups, request: transfer_pb2.CreateSplitRequest, call: Call
) -> Split:
    """Reads a split of a caller who was authorised to send money.

    Raises:
        InvalidFields: Something is wrong with it.
        AccountNotFound: The user has no account of their own in the currency, or there is none with
            a receiver's number.
    """
    principal = call.principal
    # What more there are is refused without being read.
    asked = request.receivers[:_RECEIVERS_MAX]
    checks = fields.Checks()
    read = checks(_read_parts, request, asked)
    sender = checks(account_access.read_id_or_own, principal, request.from_account, "from_account")
    receivers = [
        checks(account_access.read_receiver, receiver.to_account, _field(place, "to_account"))
        for place, receiver in enumerate(asked)
    ]
    description = checks(fields.text, request, "description")
    effective_at = checks(read_effective_time, request)
    origin = checks(read_origin, request, call, description, effective_at=effective_at)
    checks.finish()
    total, parts = read

    if sender is None:
        sender = await account_access.find_own_account(lookups, principal, total.currency)
    numbers = [each.to_account for each, known in zip(asked, receivers, strict=True) if not known]
    searches = (account_access.find_receiver(lookups, principal, number) for number in numbers)
    found = iter(await asyncio.gather(*searches))
    accounts = [known or next(found) for known in receivers]
    _check_distinct(sender, accounts)
    return Split(total, parts, list(_transfers(origin, sender, accounts, total.currency, parts)))


def _transfers(
    origin: Origin, sender: UUID, receivers: Sequence[UUID], currency: str, parts: Sequence[Part]
) -> Iterator[Transfer]:
    """The transfers of a split.

    The first has the request id of the whole, and the others ids that depend on how many there are:
    of a request with fewer or more receivers under the same id, the first was done and the others
    were not, which the ledger refuses.
    """
    count = len(parts)
    for place, (receiver, part) in enumerate(zip(receivers, parts, strict=True)):
        own = origin
        if place:
            request_id = origin.request_id
            if request_id:
                request_id = ids.derived_id(f"part {place} of {count}", request_id)
            # The first transfer changes the account, and with it its etag.
            own = dataclasses.replace(origin, request_id=request_id, etag="")
        yield Transfer(own, sender, receiver, Money(part.minor, currency))


def _read_parts(
    request: transfer_pb2.CreateSplitRequest, receivers: Sequence[transfer_pb2.SplitReceiver]
) -> tuple[Money, list[Part]]:
    """Reads how much is split, and what each receiver gets of it."""
    checks = fields.Checks()
    total = checks(fields.amount, request.amount, request.currency)
    checks(fields.check_count, request, "receivers")
    weighted = any(receiver.weight for receiver in receivers)
    for place, receiver in enumerate(receivers):
        checks(_check_weighted if weighted else _check_priced, place, receiver)
    resting = [place for place, receiver in enumerate(receivers) if receiver.takes_rest]
    for place in resting[1:]:
        rule = f"must be of one receiver, and is of receivers[{resting[0]}]"
        checks.refuse(_field(place, "takes_rest"), rule)
    checks.finish()
    if weighted:
        return total, _by_weights(total, [receiver.weight for receiver in receivers])
    return total, _by_amounts(total, receivers)


def _check_weighted(place: int, receiver: transfer_pb2.SplitReceiver) -> None:
    """Checks the form of a receiver in a split by weights."""
    checks = fields.Checks()
    if not 1 <= receiver.weight <= _WEIGHT_MAX:
        checks.refuse(_field(place, "weight"), f"must be from 1 to {_WEIGHT_MAX}")
    for name, given in (("amount", receiver.amount), ("takes_rest", receiver.takes_rest)):
        if given:
            checks.refuse(_field(place, name), "must be left out where receivers have weights")
    checks.finish()


def _check_priced(place: int, receiver: transfer_pb2.SplitReceiver) -> None:
    """Checks the form of a receiver in a split by amounts."""
    if receiver.amount and receiver.takes_rest:
        rule = "must be left out where there is an amount"
        raise errors.invalid(_field(place, "takes_rest"), rule)
    if receiver.amount:
        money.parse_number(receiver.amount, _field(place, "amount"))
    elif not receiver.takes_rest:
        raise errors.invalid(_field(place, "amount"), "is required, or a weight, or takes_rest")


def _by_weights(total: Money, weights: Sequence[int]) -> list[Part]:
    checks = fields.Checks()
    parts = splits.by_weights(total.minor, weights)
    for place, part in enumerate(parts):
        if not part.minor:
            rule = f"comes to nothing: less than {format_minor(1, total.currency)} {total.currency}"
            checks.refuse(_field(place, "weight"), rule)
    checks.finish()
    return parts


def _by_amounts(total: Money, receivers: Sequence[transfer_pb2.SplitReceiver]) -> list[Part]:
    checks = fields.Checks()
    read = [
        checks(money.parse_amount, receiver.amount, total.currency, _field(place, "amount"))
        if receiver.amount
        else None
        for place, receiver in enumerate(receivers)
    ]
    checks.finish()
    amounts = [amount.minor if amount else None for amount in read]
    given = sum(minor for minor in amounts if minor is not None)
    together = f"{format_minor(given, total.currency)} {total.currency}"
    if None in amounts and given >= total.minor:
        raise errors.invalid("amount", f"must leave a rest beside the amounts, {together} together")
    if None not in amounts and given != total.minor:
        raise errors.invalid("amount", f"must be what the amounts add up to, {together}")
    return splits.by_amounts(total.minor, amounts)


def _check_distinct(sender: UUID, receivers: Sequence[UUID]) -> None:
    """Raises InvalidFields if an account is to receive twice, or from itself."""
    checks = fields.Checks()
    first: dict[UUID, int] = {}
    for place, receiver in enumerate(receivers):
        if receiver == sender:
            checks.refuse(_field(place, "to_account"), "must not be the account that pays")
        elif (before := first.setdefault(receiver, place)) != place:
            checks.refuse(_field(place, "to_account"), f"is the account of receivers[{before}]")
    checks.finish()


def _field(place: int, name: str) -> str:
    return f"receivers[{place}].{name}"
