"""Quotes: what it costs to change money into another currency, agreed before it moves.

A quote fixes what is paid or what is received, and the other amount follows by a rate. What a
customer pays is rounded up and what a customer receives is rounded down; between the company's own
fx accounts the exact amount is rounded half to even. The difference, which is never a loss, goes to
the rounding account, so that each currency sums to zero.
"""

import enum
import math
from collections.abc import Mapping
from datetime import datetime
from fractions import Fraction
from typing import NamedTuple
from uuid import UUID

from balance_service.domain import errors
from balance_service.domain.accounts import Account, SystemAccount, SystemRole
from balance_service.domain.money import MINOR_MAX, Money, convert_minor, exact_minor
from balance_service.domain.postings import Posting
from balance_service.domain.pricing import Rate


class Rounding(enum.IntEnum):
    """How the amount that was not fixed is rounded; the numbers are stored and those of the
    contract.
    """

    DOWN = 1  # what is paid was fixed, and what is received follows
    UP = 2  # what is received was fixed, and what is paid follows


class Quote(NamedTuple):
    """Two amounts that are changed into each other. It never changes, and is carried out once.

    Args:
        quote_id: Its id.
        principal: Who asked for it, and may use it.
        account_id: The account that pays. One account pays for a quote, so that account's lock and
            key decide that it is used once.
        paid: What the account pays, in its own currency.
        received: What is received for it.
        rate: From the currency paid to the one received.
        rounding: How the amount that was not fixed was rounded.
        created_at: When it was made, by Postgres's clock.
        expires_at: From when it can no longer be used, by the same clock.
    """

    quote_id: UUID
    principal: str
    account_id: UUID
    paid: Money
    received: Money
    rate: Rate
    rounding: Rounding
    created_at: datetime
    expires_at: datetime

    @property
    def exchanged_minor(self) -> int:
        """What is paid at the rate, rounded half to even: what the fx accounts give for it."""
        return exchanged_minor(self.paid, self.rate)

    def check_asker(self, principal: str) -> None:
        """Raises QuoteNotFound if somebody else asked for it."""
        if self.principal != principal:
            raise errors.QuoteNotFound(str(self.quote_id))

    def check_agreed(self, account_id: UUID, paid: Money) -> None:
        """Raises QuoteMismatch unless this account is to pay this amount."""
        pairs = {
            "from_account": (account_id, self.account_id),
            "amount": (paid.minor, self.paid.minor),
            "currency": (paid.currency, self.paid.currency),
        }
        if differing := [name for name, (ours, quoted) in pairs.items() if ours != quoted]:
            raise errors.QuoteMismatch(str(self.quote_id), tuple(differing))

    def check_usable(self, uses: Mapping[UUID, UUID], now: datetime) -> None:
        """Checks that it can be carried out.

        Args:
            uses: Movement ids by the quotes that they carried out.
            now: The time under the account's lock, by Postgres's clock.

        Raises:
            QuoteUsed: It was carried out before.
            QuoteExpired: Its time is over.
        """
        if movement_id := uses.get(self.quote_id):
            raise errors.QuoteUsed(str(self.quote_id), str(movement_id))
        if now >= self.expires_at:
            raise errors.QuoteExpired(str(self.quote_id), self.expires_at)

    def postings(self, payer: Account, receiver: Account) -> tuple[Posting, ...]:
        """The sides of the movement that carries it out."""
        return exchange_postings(
            payer, receiver, self.paid.minor, self.received.minor, self.exchanged_minor
        )


def exchanged_minor(paid: Money, rate: Rate) -> int:
    """What the fx accounts give for an amount: its worth at a rate, rounded half to even."""
    return convert_minor(paid.minor, paid.currency, rate.target, rate.value)


def exchange_postings(
    payer: Account, receiver: Account, paid_minor: int, received_minor: int, exchanged_minor: int
) -> tuple[Posting, ...]:
    """The sides of an exchange, or of its reversal, whose amounts are below zero.

    Args:
        payer: Who pays for the exchange.
        receiver: Who gets what is left by rounding. What they give back is no debit.
        paid_minor: What is paid, in minor units of the payer's currency.
        received_minor: What is received, in those of the receiver's.
        exchanged_minor: What the fx accounts give for what is paid. The rounding account gets what
            the receiver does not get of it.
    """
    sides = (
        Posting(payer, -paid_minor),
        Posting(SystemAccount(SystemRole.FX, payer.currency), paid_minor),
        Posting(SystemAccount(SystemRole.FX, receiver.currency), -exchanged_minor),
        Posting(receiver, received_minor, is_debit=False),
        Posting(
            SystemAccount(SystemRole.ROUNDING, receiver.currency), exchanged_minor - received_minor
        ),
    )
    return tuple(side for side in sides if side.amount_minor)


def price(fixed: Money, rate: Rate, account_id: UUID) -> tuple[Money, Money, Rounding]:
    """What is paid and what is received, of which one is fixed.

    Args:
        fixed: The amount that is fixed, in either currency of the rate.
        rate: From the currency paid to the one received.
        account_id: The account that pays, for a refusal to name.

    Returns:
        What is paid, what is received, and how the one that follows was rounded.

    Raises:
        ChargeTooSmall: What is paid is worth nothing in the other currency.
        BalanceOverflow: An amount is more than the ledger can hold.
    """
    if fixed.currency == rate.currency:
        exact = exact_minor(fixed.minor, rate.currency, rate.target, rate.value)
        paid, received, rounding = fixed, Money(math.floor(exact), rate.target), Rounding.DOWN
    else:
        # Not at the opposite rate, which is rounded, but by the same one backwards.
        exact = Fraction(fixed.minor) / exact_minor(1, rate.currency, rate.target, rate.value)
        paid, received, rounding = Money(math.ceil(exact), rate.currency), fixed, Rounding.UP
    if received.minor <= 0:
        raise errors.ChargeTooSmall(str(paid), paid.currency, received.currency)
    if max(paid.minor, received.minor, exchanged_minor(paid, rate)) > MINOR_MAX:
        raise errors.BalanceOverflow(str(account_id))
    return paid, received, rounding
