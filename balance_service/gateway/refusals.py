"""Refusals as HTTP: their status, headers and JSON."""

import math
from dataclasses import dataclass

from google.protobuf import json_format
from google.rpc import code_pb2, error_details_pb2, status_pb2

from balance_service.calls import http, refusals
from balance_service.domain import errors, retry_after
from balance_service.gateway.answers import encoded


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A refusal as HTTP."""

    status: int
    headers: dict[str, str]
    body: bytes


def of_refusal(refusal: errors.Refusal, language: str, correlation_id: str = "") -> HttpAnswer:
    """A refusal of a request that did not become a call.

    Args:
        refusal: Any of the table.
        language: `en` or `ru`.
        correlation_id: Names the request in the answer; empty for none.
    """
    answer = of_status(refusals.status(refusal, language, correlation_id))
    if isinstance(refusal, http.HttpRefusal):
        answer.headers.update(refusal.headers)
    return HttpAnswer(refusals.http_status_of(refusal), answer.headers, answer.body)


def of_status(status: status_pb2.Status) -> HttpAnswer:
    """A call's status, whose message becomes the one for people."""
    reason = ""
    headers: dict[str, str] = {}
    shown = status_pb2.Status()
    shown.CopyFrom(status)
    for detail in status.details:
        info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
        message = error_details_pb2.LocalizedMessage()
        if detail.Unpack(info):
            reason = info.reason
        elif detail.Unpack(retry):
            seconds = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
            headers["retry-after"] = str(max(1, math.ceil(seconds)))
        elif detail.Unpack(message):
            shown.message = message.message
            headers["content-language"] = message.locale
    if status.code == code_pb2.UNAUTHENTICATED:
        headers["www-authenticate"] = "Bearer"
    if status.code == code_pb2.UNAVAILABLE:
        headers.setdefault("retry-after", str(math.ceil(retry_after.UNAVAILABLE_SECONDS)))
    http_status = refusals.http_status(status.code, reason)
    return HttpAnswer(http_status, headers, encoded(as_json(shown)))


def as_json(status: status_pb2.Status) -> dict[str, object]:
    """A status as its JSON form."""
    found: dict[str, object] = json_format.MessageToDict(status, preserving_proto_field_name=True)
    return {"code": status.code, "message": status.message, "details": [], **found}
