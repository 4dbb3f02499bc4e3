"""Each row of the table of refusals: the same over gRPC and over HTTP, and what callers rely on."""

import dataclasses
import json
import typing
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2

from balance_service.calls import http, refusals
from balance_service.calls.refusals import TABLE
from balance_service.domain import errors
from balance_service.gateway import refusals as http_refusals

# What callers have been promised, beside the table: a changed row must be changed here as well.
PROMISED: dict[type[errors.Refusal], tuple[str, int]] = {
    errors.InvalidFields: ("INVALID_ARGUMENT", 400),
    errors.MalformedRequest: ("INVALID_ARGUMENT", 400),
    errors.PageTokenInvalid: ("INVALID_ARGUMENT", 400),
    errors.LedgerTotalsMissing: ("FAILED_PRECONDITION", 400),
    errors.EventsExpired: ("FAILED_PRECONDITION", 400),
    errors.EventsLost: ("FAILED_PRECONDITION", 400),
    errors.WebhookEndpointNotFound: ("NOT_FOUND", 404),
    errors.WebhookDeliveryNotFound: ("NOT_FOUND", 404),
    errors.WebhookEndpointLimit: ("FAILED_PRECONDITION", 400),
    errors.StatementTooLong: ("FAILED_PRECONDITION", 400),
    errors.PeriodArchived: ("FAILED_PRECONDITION", 400),
    errors.ReceiptNotReady: ("FAILED_PRECONDITION", 400),
    errors.CheckpointNotFound: ("NOT_FOUND", 404),
    errors.VerificationRunning: ("ABORTED", 409),
    errors.TokenMissing: ("UNAUTHENTICATED", 401),
    errors.TokenInvalid: ("UNAUTHENTICATED", 401),
    errors.TokenExpired: ("UNAUTHENTICATED", 401),
    errors.ConfirmationCodeInvalid: ("UNAUTHENTICATED", 401),
    errors.ConfirmationCodeLimit: ("RESOURCE_EXHAUSTED", 429),
    errors.ClientCredentialsInvalid: ("UNAUTHENTICATED", 401),
    errors.RefreshTokenInvalid: ("UNAUTHENTICATED", 401),
    errors.SecondFactorRequired: ("UNAUTHENTICATED", 401),
    errors.SecondFactorInvalid: ("UNAUTHENTICATED", 401),
    errors.SecondFactorLimit: ("RESOURCE_EXHAUSTED", 429),
    errors.SecondFactorEnrolled: ("ALREADY_EXISTS", 409),
    errors.UserDisabled: ("PERMISSION_DENIED", 403),
    errors.SessionNotFound: ("NOT_FOUND", 404),
    errors.EmailTaken: ("ALREADY_EXISTS", 409),
    errors.UserErased: ("FAILED_PRECONDITION", 400),
    errors.ExternalIdConflict: ("ALREADY_EXISTS", 409),
    errors.PermissionMissing: ("PERMISSION_DENIED", 403),
    errors.UserNotFound: ("NOT_FOUND", 404),
    errors.UsernameTaken: ("ALREADY_EXISTS", 409),
    errors.EtagMismatch: ("ABORTED", 409),
    errors.AccountNotFound: ("NOT_FOUND", 404),
    errors.AccountFrozen: ("FAILED_PRECONDITION", 400),
    errors.AccountClosed: ("FAILED_PRECONDITION", 400),
    errors.AccountNotEmpty: ("FAILED_PRECONDITION", 400),
    errors.InsufficientFunds: ("FAILED_PRECONDITION", 402),
    errors.CurrencyMismatch: ("FAILED_PRECONDITION", 400),
    errors.SameAccount: ("INVALID_ARGUMENT", 400),
    errors.BalanceOverflow: ("FAILED_PRECONDITION", 400),
    errors.ReceiverUnavailable: ("FAILED_PRECONDITION", 400),
    errors.LimitBelowBalance: ("FAILED_PRECONDITION", 400),
    errors.OverdraftAboveMax: ("FAILED_PRECONDITION", 400),
    errors.DebitLimitExceeded: ("FAILED_PRECONDITION", 400),
    errors.DailyLimitExceeded: ("FAILED_PRECONDITION", 400),
    errors.AccountNotClosed: ("FAILED_PRECONDITION", 400),
    errors.ApprovalRequired: ("FAILED_PRECONDITION", 400),
    errors.ApprovalNotFound: ("NOT_FOUND", 404),
    errors.ApprovalByRequester: ("PERMISSION_DENIED", 403),
    errors.ApprovalNotPending: ("FAILED_PRECONDITION", 400),
    errors.ScheduleNotFound: ("NOT_FOUND", 404),
    errors.ScheduleNotActive: ("FAILED_PRECONDITION", 400),
    errors.ScheduleNotPaused: ("FAILED_PRECONDITION", 400),
    errors.ScheduleLimit: ("FAILED_PRECONDITION", 400),
    errors.MovementNotFound: ("NOT_FOUND", 404),
    errors.NotReversible: ("FAILED_PRECONDITION", 400),
    errors.ReversalTooLarge: ("FAILED_PRECONDITION", 400),
    errors.HoldNotFound: ("NOT_FOUND", 404),
    errors.HoldClosed: ("FAILED_PRECONDITION", 400),
    errors.HoldExpired: ("FAILED_PRECONDITION", 400),
    errors.CaptureTooLarge: ("FAILED_PRECONDITION", 400),
    errors.AlreadyPurchased: ("FAILED_PRECONDITION", 400),
    errors.IdempotencyKeyReused: ("ALREADY_EXISTS", 409),
    errors.ReferenceReused: ("ALREADY_EXISTS", 409),
    errors.BatchRefused: ("ABORTED", 409),
    errors.ServiceNotFound: ("NOT_FOUND", 404),
    errors.RateUnavailable: ("FAILED_PRECONDITION", 400),
    errors.RateStale: ("FAILED_PRECONDITION", 400),
    errors.ChargeTooSmall: ("FAILED_PRECONDITION", 400),
    errors.PriceChanged: ("ABORTED", 409),
    errors.QuoteNotFound: ("NOT_FOUND", 404),
    errors.QuoteMismatch: ("FAILED_PRECONDITION", 400),
    errors.QuoteUsed: ("ALREADY_EXISTS", 409),
    errors.QuoteExpired: ("FAILED_PRECONDITION", 400),
    errors.Overloaded: ("RESOURCE_EXHAUSTED", 429),
    errors.QuotaExceeded: ("RESOURCE_EXHAUSTED", 429),
    errors.Unavailable: ("UNAVAILABLE", 503),
    errors.DeadlinePassed: ("DEADLINE_EXCEEDED", 504),
    http.RequestMalformed: ("INVALID_ARGUMENT", 400),
    http.HeadTooLarge: ("INVALID_ARGUMENT", 431),
    http.RouteNotFound: ("NOT_FOUND", 404),
    http.MethodNotAllowed: ("UNIMPLEMENTED", 405),
    http.RequestTimeout: ("DEADLINE_EXCEEDED", 408),
    http.BodyTooLarge: ("INVALID_ARGUMENT", 413),
    http.MediaTypeUnsupported: ("INVALID_ARGUMENT", 415),
    http.PageNotFound: ("NOT_FOUND", 404),
    http.AnswerTimeout: ("DEADLINE_EXCEEDED", 504),
}
# A value of each type that a refusal's fields have.
SAMPLES: dict[Any, object] = {
    str: "sample",
    int: 7,
    float: 2.5,
    float | None: 2.5,
    datetime: datetime(2026, 11, 24, 12, tzinfo=UTC),
    tuple[str, ...]: ("amount", "currency"),
    tuple[errors.Violation, ...]: (errors.Violation("amount", "must be positive"),),
}


def sample(kind: type[errors.Refusal]) -> errors.Refusal:
    """A refusal of a class, with something in each of its fields."""
    types = typing.get_type_hints(kind)
    return kind(**{field.name: SAMPLES[types[field.name]] for field in dataclasses.fields(kind)})


def detail(status: Any, kind: type[Message]) -> Any:
    """A status's detail of a type; empty if it has none."""
    unpacked = kind()
    for packed in status.details:
        if packed.Unpack(unpacked):
            break
    return unpacked


def test_every_row_is_promised() -> None:
    assert PROMISED.keys() == TABLE.keys()


@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize("kind", TABLE, ids=lambda kind: kind.__name__)
def test_refusal_is_the_same_over_grpc_and_over_http(
    kind: type[errors.Refusal], language: str
) -> None:
    row, refusal = TABLE[kind], sample(kind)
    code, http_status = PROMISED[kind]
    status = refusals.status(refusal, language)
    assert code_pb2.Code.Name(status.code) == code
    info = detail(status, error_details_pb2.ErrorInfo)
    assert (info.reason, info.domain) == (row.reason, "balance.v1")
    assert refusal.facts().items() <= dict(info.metadata).items()
    text = detail(status, error_details_pb2.LocalizedMessage)
    assert text.locale == language
    if language == "ru":
        assert text.message == row.russian.format_map(info.metadata)
    else:
        assert text.message == status.message != ""
    resource = detail(status, error_details_pb2.ResourceInfo)
    assert resource.resource_type == row.resource
    assert resource.resource_name == ("sample" if row.resource else "")

    answer = http_refusals.refusal_to_response(refusal, language)
    assert answer.status == http_status
    data = json.loads(answer.body)
    # Over HTTP the message is the localized one; everything else is the status as it is.
    spoken = json_format.MessageToDict(status, preserving_proto_field_name=True)
    assert data == spoken | {"message": text.message}
    assert answer.headers["content-language"] == language
    assert (answer.headers.get("www-authenticate") == "Bearer") == (code == "UNAUTHENTICATED")
    retry = detail(status, error_details_pb2.RetryInfo).retry_delay.ToTimedelta().total_seconds()
    assert retry == (getattr(refusal, "retry_after_seconds", 0) or 0)
    if retry:
        assert answer.headers["retry-after"] == {7: "7", 2.5: "3"}[retry]
    if not isinstance(refusal, http.HttpRefusal):
        # Refused as a call, it reaches the gateway as a status.
        assert http_refusals.status_to_response(status) == answer
