"""The sides of a movement: what each account gains or loses by it."""

from collections.abc import Sequence
from typing import NamedTuple

from balance_service.domain.accounts import Account, SystemAccount


class Posting(NamedTuple):
    """One side of a movement: an amount that an account gains, or loses if it is negative.

    Args:
        account: A user's, as it is before, or a system account.
        amount_minor: The amount in minor units.
        is_debit: Whether it counts for the limits of the account if it loses it.
    """

    account: Account | SystemAccount
    amount_minor: int
    is_debit: bool = True


def are_balanced(postings: Sequence[Posting]) -> bool:
    """Whether postings sum to zero in each currency."""
    sums: dict[str, int] = {}
    for posting in postings:
        currency = posting.account.currency
        sums[currency] = sums.get(currency, 0) + posting.amount_minor
    return not any(sums.values())
