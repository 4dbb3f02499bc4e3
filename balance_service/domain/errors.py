"""Every refusal, one class each.

Refusal
  the request is wrong      InvalidFields, MalformedRequest, PageTokenInvalid, SameAccount
  the caller is unproven    TokenMissing, TokenInvalid, TokenExpired, RefreshTokenInvalid,
                            ConfirmationCodeInvalid, ClientCredentialsInvalid,
                            SecondFactorRequired, SecondFactorInvalid
  the caller may not        PermissionMissing, UserDisabled
  it does not exist         UserNotFound, AccountNotFound, MovementNotFound, HoldNotFound,
                            ServiceNotFound, QuoteNotFound, SessionNotFound, ApprovalNotFound,
                            WebhookEndpointNotFound, WebhookDeliveryNotFound


@dataclass
                            ScheduleNotFound
  it was taken or changed   UsernameTaken, EmailTaken, UserErased, ExternalIdConflict,
                            SecondFactorEnrolled,
                            EtagMismatch, IdempotencyKeyReused, ReferenceReused, PriceChanged,
                            QuoteUsed
  the account forbids it    AccountFrozen, AccountClosed, AccountNotEmpty, InsufficientFunds,
                            CurrencyMismatch, BalanceOverflow, LimitBelowBalance,
                            ReceiverUnavailable, DebitLimitExceeded, DailyLimitExceeded,
                            OverdraftAboveMax, AccountNotClosed
  what it refers to does    NotReversible, ReversalTooLarge, HoldClosed, HoldExpired,
                            CaptureTooLarge, AlreadyPurchased
  the price has no charge   RateUnavailable, RateStale, ChargeTooSmall
  the quote does not hold   QuoteMismatch, QuoteExpired
  it is too much at once    StatementTooLong
  it is too long ago        PeriodArchived
  another item was refused  BatchRefused
  the schedule forbids it   ScheduleNotActive, ScheduleNotPaused, ScheduleLimit
  two people decide         ApprovalRequired, ApprovalByRequester, ApprovalNotPending
  not now                   ConfirmationCodeLimit, SecondFactorLimit, QuotaExceeded, Overloaded,
                            Unavailable, DeadlinePassed, VerificationRunning
  there are too many        WebhookEndpointLimit
  only over HTTP            HttpRefusal and its subclasses, in `calls/http.py`

The class's docstring is its message in English. Facts are typed fields, which reach callers as
ErrorInfo metadata under the field's name. `calls/refusals.py` says what each class is to a caller.
"""

import dataclasses
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Violation:
    """What is wrong with one field of a request.

    Args:
        field: The field's path as in the proto, such as `filter.min_amount`.
        description: What it must be, as a sentence.
    """

    field: str
    description: str


@dataclass
class Refusal(Exception):  # noqa: N818 - a refusal is an answer, not a fault
    """The request is refused."""

    @property
    def message(self) -> str:
        """One English sentence for people."""
        return " ".join((type(self).__doc__ or "").split())

    def facts(self) -> dict[str, str]:
        """The typed fields as text, for ErrorInfo metadata."""
        return {
            field.name: _text(getattr(self, field.name))
            for field in dataclasses.fields(self)
            if getattr(self, field.name) not in (None, "", ())
        }

    def __str__(self) -> str:
        return f"{self.message} {self.facts() or ''}".strip()


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return ",".join(str(item) for item in value)
    return str(value)


@dataclass
class InvalidFields(Refusal):
    """The request has invalid fields."""

    violations: tuple[Violation, ...]
    # How many more there are than are named.
    more: int = 0

    def facts(self) -> dict[str, str]:
        return {}


def invalid(field: str, description: str) -> InvalidFields:
    """The refusal of a single field."""
    return InvalidFields((Violation(field, description),))


@dataclass
class MalformedRequest(Refusal):
    """The request is not a message of the method's type."""


@dataclass
class PageTokenInvalid(Refusal):
    """The page token was not made for this list, these filters and this order."""


@dataclass
class EventsExpired(Refusal):
    """Events after this place are not kept any more; the oldest that is has another number."""

    oldest: str


@dataclass
class EventsLost(Refusal):
    """The log of events does not have the event that this place follows."""

    newest: str


@dataclass
class LedgerTotalsMissing(Refusal):
    """What was posted before an upgrade has not been added up yet."""


@dataclass
class WebhookEndpointNotFound(Refusal):
    """There is no such endpoint of webhooks."""

    endpoint: str


@dataclass
class WebhookDeliveryNotFound(Refusal):
    """The endpoint was sent no such event."""

    event: str


@dataclass
class WebhookEndpointLimit(Refusal):
    """As many endpoints of webhooks belong to the caller as one may have."""

    limit: int


@dataclass
class StatementTooLong(Refusal):
    """The period has more entries than a statement of this form takes; others take any number."""

    entries: int
    entries_max: int


@dataclass
class PeriodArchived(Refusal):
    """The answer would need entries that are archived, and not in the ledger any more."""

    available_from: datetime


@dataclass
class ReceiptNotReady(Refusal):
    """No checkpoint covers the movement yet."""

    movement: str
    retry_after_seconds: int


@dataclass
class CheckpointNotFound(Refusal):
    """There is no such checkpoint."""

    checkpoint: str


@dataclass
class VerificationRunning(Refusal):
    """The ledger is being verified for another caller; try again later."""

    retry_after_seconds: int


@dataclass
class TokenMissing(Refusal):
    """The call needs an access token."""


@dataclass
class TokenInvalid(Refusal):
    """The access token is not valid."""


@dataclass
class TokenExpired(Refusal):
    """The access token has expired."""


@dataclass
class ConfirmationCodeInvalid(Refusal):
    """The confirmation code is wrong, used or expired."""


@dataclass
class ConfirmationCodeLimit(Refusal):
    """Too many confirmation codes were asked for or tried; try again later."""

    retry_after_seconds: int


@dataclass
class ClientCredentialsInvalid(Refusal):
    """The client id or secret is wrong."""


@dataclass
class RefreshTokenInvalid(Refusal):
    """The refresh token is not valid."""


@dataclass
class SecondFactorRequired(Refusal):
    """Signing in needs a code of the second factor, too."""


@dataclass
class SecondFactorInvalid(Refusal):
    """The code of the second factor is wrong or was used."""


@dataclass
class SecondFactorLimit(Refusal):
    """Too many wrong codes of the second factor were tried; try again later."""

    retry_after_seconds: int


@dataclass
class SecondFactorEnrolled(Refusal):
    """The user has a second factor already."""


@dataclass
class UserDisabled(Refusal):
    """The user may not sign in."""


@dataclass
class PermissionMissing(Refusal):
    """The caller may not do this."""

    required: str


@dataclass
class UserNotFound(Refusal):
    """There is no such user."""

    user: str


@dataclass
class UsernameTaken(Refusal):
    """Another user has this username."""

    username: str


@dataclass
class EmailTaken(Refusal):
    """Another user has this address."""


@dataclass
class UserErased(Refusal):
    """The user was erased; nothing of them can be changed."""

    user: str


@dataclass
class ExternalIdConflict(Refusal):
    """The external id is another's, or stands where there is another one of its source."""

    source: str
    external_id: str


@dataclass
class SessionNotFound(Refusal):
    """The user has no such sign-in."""

    session: str


@dataclass
class EtagMismatch(Refusal):
    """The resource was changed since it was read."""


@dataclass
class AccountNotFound(Refusal):
    """There is no such account."""

    account: str


@dataclass
class AccountFrozen(Refusal):
    """The account is frozen."""

    account: str
    # ALL, or DEBITS where money may still enter.
    scope: str

    @property
    def message(self) -> str:
        return "The account is frozen for debits." if self.scope == "DEBITS" else super().message


@dataclass
class AccountClosed(Refusal):
    """The account is closed."""

    account: str


@dataclass
class AccountNotEmpty(Refusal):
    """The account is not empty."""

    account: str
    balance: str
    currency: str


@dataclass
class InsufficientFunds(Refusal):
    """There is not enough money on the account."""

    account: str
    available: str
    required: str
    missing: str
    currency: str

    @property
    def message(self) -> str:
        return f"There is not enough money on the account: {self.missing} {self.currency} missing."


@dataclass
class CurrencyMismatch(Refusal):
    """The account is kept in another currency."""

    account: str
    account_currency: str
    currency: str


@dataclass
class SameAccount(Refusal):
    """Money cannot be transferred from an account to itself."""

    account: str


@dataclass
class BalanceOverflow(Refusal):
    """The balance would exceed what the ledger can hold."""

    account: str


@dataclass
class ReceiverUnavailable(Refusal):
    """The receiving account cannot take this transfer."""

    # As the caller named it, where they named several.
    receiver: str = ""


@dataclass
class LimitBelowBalance(Refusal):
    """The account already owes more than this limit."""

    account: str
    balance: str
    currency: str


@dataclass
class OverdraftAboveMax(Refusal):
    """No account in this currency may be allowed to owe so much."""

    account: str
    maximum: str
    currency: str

    @property
    def message(self) -> str:
        return f"No account in {self.currency} may be allowed to owe more than {self.maximum}."


@dataclass
class DebitLimitExceeded(Refusal):
    """This is more than may be debited from the account at once."""

    account: str
    limit: str
    required: str
    currency: str

    @property
    def message(self) -> str:
        return f"At most {self.limit} {self.currency} may be debited from the account at once."


@dataclass
class DailyLimitExceeded(Refusal):
    """This is more than may still be debited from the account today."""

    account: str
    limit: str
    spent: str
    left: str
    required: str
    currency: str
    day_end: datetime

    @property
    def message(self) -> str:
        return f"At most {self.left} {self.currency} may still be debited from the account today."


@dataclass
class AccountNotClosed(Refusal):
    """The account is not closed."""

    account: str


@dataclass
class ApprovalRequired(Refusal):
    """Another admin must approve this change, which waits for it."""

    # Empty with validate_only, where nothing is kept.
    approval: str
    status: str
    expire_time: datetime


@dataclass
class ApprovalNotFound(Refusal):
    """There is no such approval."""

    approval: str


@dataclass
class ApprovalByRequester(Refusal):
    """Whoever asked for a change cannot decide about it."""

    approval: str


@dataclass
class ApprovalNotPending(Refusal):
    """The change was decided before, or has expired."""

    approval: str
    status: str


@dataclass
class MovementNotFound(Refusal):
    """There is no such movement."""

    movement: str


@dataclass
class NotReversible(Refusal):
    """A movement of this kind cannot be reversed in this way."""

    movement: str
    kind: str


@dataclass
class ReversalTooLarge(Refusal):
    """Less than this is left of the movement to reverse."""

    movement: str
    left: str
    currency: str


@dataclass
class HoldNotFound(Refusal):
    """There is no such hold."""

    hold: str


@dataclass
class HoldClosed(Refusal):
    """The hold was captured or voided before."""

    hold: str
    status: str


@dataclass
class HoldExpired(Refusal):
    """The hold has expired."""

    hold: str
    expire_time: datetime


@dataclass
class CaptureTooLarge(Refusal):
    """Less than this is left of the hold to capture."""

    hold: str
    left: str
    currency: str


@dataclass
class AlreadyPurchased(Refusal):
    """The account has bought this service before."""

    service: str
    movement: str


@dataclass
class IdempotencyKeyReused(Refusal):
    """The request id was already used for a different request."""

    request_id: str
    fields: tuple[str, ...]

    @property
    def message(self) -> str:
        return f"{super().message} Fields that differ: {', '.join(self.fields)}."


@dataclass
class ReferenceReused(Refusal):
    """The caller has already used this reference of the source."""

    source: str
    reference: str
    movement: str


@dataclass
class BatchRefused(Refusal):
    """Another item of the batch or of the chain was refused, so none of them was made."""

    index: int


@dataclass
class ServiceNotFound(Refusal):
    """There is no such service."""

    service: str


@dataclass
class RateUnavailable(Refusal):
    """No exchange rate is known for these currencies."""

    currency: str
    target_currency: str


@dataclass
class RateStale(Refusal):
    """The last known exchange rate is too old."""

    currency: str
    target_currency: str
    source: str
    time: datetime


@dataclass
class ChargeTooSmall(Refusal):
    """The amount rounds to nothing in the other currency."""

    price: str
    price_currency: str
    currency: str


@dataclass
class PriceChanged(Refusal):
    """The price is not the expected one."""

    service: str
    price: str
    currency: str

    @property
    def message(self) -> str:
        return f"The price is not the expected one: it is {self.price} {self.currency}."


@dataclass
class QuoteNotFound(Refusal):
    """There is no such quote."""

    quote: str


@dataclass
class QuoteMismatch(Refusal):
    """The request is not what was quoted."""

    quote: str
    fields: tuple[str, ...]

    @property
    def message(self) -> str:
        return f"{super().message} Fields that differ: {', '.join(self.fields)}."


@dataclass
class QuoteUsed(Refusal):
    """The quote was carried out before."""

    quote: str
    movement: str


@dataclass
class QuoteExpired(Refusal):
    """The quote has expired."""

    quote: str
    expire_time: datetime


@dataclass
class ScheduleNotFound(Refusal):
    """There is no such schedule."""

    schedule: str


@dataclass
class ScheduleNotActive(Refusal):
    """The schedule is not active."""

    schedule: str
    # Name of a ScheduleStatus.
    status: str


@dataclass
class ScheduleNotPaused(Refusal):
    """The schedule is not paused."""

    schedule: str
    # Name of a ScheduleStatus.
    status: str


@dataclass
class ScheduleLimit(Refusal):
    """The caller has as many schedules as one caller may."""

    limit: int


@dataclass
class Overloaded(Refusal):
    """The service is at its limit; try again shortly."""

    retry_after_seconds: float


@dataclass
class QuotaExceeded(Refusal):
    """You have all of the service that one caller may have; try again shortly."""

    quota: str
    limit: str
    retry_after_seconds: float


@dataclass
class Unavailable(Refusal):
    """The service cannot answer now; retry with the same request id."""

    retry_after_seconds: float | None = None


@dataclass
class DeadlinePassed(Refusal):
    """The deadline passed before the request was handled; nothing was changed."""
