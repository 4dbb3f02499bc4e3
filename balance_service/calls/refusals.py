"""The one error table: each refusal's status code and stable reason, and its google.rpc.Status."""

from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from balance_service.calls import telling
from balance_service.calls.russian import RUSSIAN
from balance_service.domain import errors

DOMAIN = "balance.v1"
Code = grpc.StatusCode


class Row(NamedTuple):
    """What a refusal is to a caller; a resource's type where it is one that was not found."""

    code: grpc.StatusCode
    reason: str
    resource: str = ""


TABLE: Mapping[type[errors.Refusal], Row] = {
    errors.InvalidFields: Row(Code.INVALID_ARGUMENT, "INVALID_FIELD"),
    errors.MalformedRequest: Row(Code.INVALID_ARGUMENT, "MALFORMED_REQUEST"),
    errors.PageTokenInvalid: Row(Code.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID"),
    errors.TokenMissing: Row(Code.UNAUTHENTICATED, "TOKEN_MISSING"),
    errors.TokenInvalid: Row(Code.UNAUTHENTICATED, "TOKEN_INVALID"),
    errors.TokenExpired: Row(Code.UNAUTHENTICATED, "TOKEN_EXPIRED"),
    errors.ConfirmationCodeInvalid: Row(Code.UNAUTHENTICATED, "CONFIRMATION_CODE_INVALID"),
    errors.ClientCredentialsInvalid: Row(Code.UNAUTHENTICATED, "CLIENT_CREDENTIALS_INVALID"),
    errors.RefreshTokenInvalid: Row(Code.UNAUTHENTICATED, "REFRESH_TOKEN_INVALID"),
    errors.PermissionMissing: Row(Code.PERMISSION_DENIED, "PERMISSION_MISSING"),
    errors.ConfirmationCodeLimit: Row(Code.RESOURCE_EXHAUSTED, "CONFIRMATION_CODE_LIMIT"),
    errors.UserNotFound: Row(Code.NOT_FOUND, "USER_NOT_FOUND", "user"),
    errors.UsernameTaken: Row(Code.ALREADY_EXISTS, "USERNAME_TAKEN"),
    errors.EtagMismatch: Row(Code.ABORTED, "ETAG_MISMATCH"),
    errors.AccountNotFound: Row(Code.NOT_FOUND, "ACCOUNT_NOT_FOUND", "account"),
    errors.AccountFrozen: Row(Code.FAILED_PRECONDITION, "ACCOUNT_FROZEN"),
    errors.AccountClosed: Row(Code.FAILED_PRECONDITION, "ACCOUNT_CLOSED"),
    errors.AccountNotEmpty: Row(Code.FAILED_PRECONDITION, "ACCOUNT_NOT_EMPTY"),
    errors.InsufficientFunds: Row(Code.FAILED_PRECONDITION, "INSUFFICIENT_FUNDS"),
    errors.CurrencyMismatch: Row(Code.FAILED_PRECONDITION, "CURRENCY_MISMATCH"),
    errors.SameAccount: Row(Code.INVALID_ARGUMENT, "SAME_ACCOUNT"),
    errors.BalanceOverflow: Row(Code.FAILED_PRECONDITION, "BALANCE_OVERFLOW"),
    errors.ReceiverUnavailable: Row(Code.FAILED_PRECONDITION, "RECEIVER_UNAVAILABLE"),
    errors.LimitBelowBalance: Row(Code.FAILED_PRECONDITION, "LIMIT_BELOW_BALANCE"),
    errors.MovementNotFound: Row(Code.NOT_FOUND, "MOVEMENT_NOT_FOUND", "movement"),
    errors.IdempotencyKeyReused: Row(Code.ALREADY_EXISTS, "IDEMPOTENCY_KEY_REUSED"),
    errors.ReferenceReused: Row(Code.ALREADY_EXISTS, "REFERENCE_REUSED"),
    errors.BatchRefused: Row(Code.ABORTED, "BATCH_REFUSED"),
    errors.ServiceNotFound: Row(Code.NOT_FOUND, "SERVICE_NOT_FOUND", "service"),
    errors.RateUnavailable: Row(Code.FAILED_PRECONDITION, "RATE_UNAVAILABLE"),
    errors.RateStale: Row(Code.FAILED_PRECONDITION, "RATE_STALE"),
    errors.ChargeTooSmall: Row(Code.FAILED_PRECONDITION, "CHARGE_TOO_SMALL"),
    errors.Overloaded: Row(Code.RESOURCE_EXHAUSTED, "OVERLOADED"),
    errors.Unavailable: Row(Code.UNAVAILABLE, "UNAVAILABLE"),
    errors.DeadlinePassed: Row(Code.DEADLINE_EXCEEDED, "DEADLINE_PASSED"),
}


def code(refusal: errors.Refusal) -> grpc.StatusCode:
    """The status code of a refusal."""
    return TABLE[type(refusal)].code


def status(refusal: errors.Refusal, language: str = "en") -> status_pb2.Status:
    """The status of a refusal, with its details: a few KiB, whatever was refused.

    Args:
        refusal: Any refusal of `domain.errors`.
        language: `en` or `ru`, for the LocalizedMessage.
    """
    row = TABLE[type(refusal)]
    told = telling.told(refusal.violations if isinstance(refusal, errors.InvalidFields) else ())
    facts = telling.facts(refusal.facts()) | told.facts
    message = told.message or telling.short(refusal.message, telling.MESSAGE_BYTES_MAX)
    answer = status_pb2.Status(code=row.code.value[0], message=message)
    answer.details.add().Pack(
        error_details_pb2.ErrorInfo(reason=row.reason, domain=DOMAIN, metadata=facts)
    )
    if told.violations:
        bad = error_details_pb2.BadRequest()
        for violation in told.violations:
            bad.field_violations.add(field=violation.field, description=violation.description)
        answer.details.add().Pack(bad)
    limits = errors.Overloaded | errors.ConfirmationCodeLimit | errors.Unavailable
    if isinstance(refusal, limits) and refusal.retry_after_seconds is not None:
        delay = Duration()
        delay.FromTimedelta(timedelta(seconds=refusal.retry_after_seconds))
        answer.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    if row.resource:
        name = next(iter(facts.values()), "")
        answer.details.add().Pack(
            error_details_pb2.ResourceInfo(resource_type=row.resource, resource_name=name)
        )
    if language == "ru":
        text = RUSSIAN[row.reason].format_map(facts)
        answer.details.add().Pack(error_details_pb2.LocalizedMessage(locale="ru", message=text))
    else:
        text = answer.message
        answer.details.add().Pack(error_details_pb2.LocalizedMessage(locale="en", message=text))
    return answer


def internal(correlation_id: str) -> status_pb2.Status:
    """The status of a fault of ours: it tells nothing but the id that the log has."""
    answer = status_pb2.Status(code=Code.INTERNAL.value[0], message="Internal error.")
    metadata = {"request_id": correlation_id}
    answer.details.add().Pack(
        error_details_pb2.ErrorInfo(reason="INTERNAL", domain=DOMAIN, metadata=metadata)
    )
    return answer
