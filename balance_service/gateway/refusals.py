"""Refusals over HTTP: their status, headers and JSON, and how they are sent."""

import math
from dataclasses import dataclass

from google.protobuf import json_format
from google.rpc import code_pb2, error_details_pb2, status_pb2
from starlette.types import Send

from balance_service.calls import call, http, refusals
from balance_service.domain import errors, retry_after
from balance_service.gateway.heads import RequestHead
from balance_service.gateway.responses import JSON, send_response
from balance_service.messages.json_form import to_json


@dataclass(frozen=True, slots=True)
class RefusalResponse:
    """A refusal as an HTTP response.

    Args:
        status: The HTTP status.
        headers: What the refusal adds to the headers that every refusal has.
        body: A google.rpc.Status as JSON.
    """

    status: int
    headers: dict[str, str]
    body: bytes


def refusal_to_response(
    refusal: errors.Refusal, language: str, correlation_id: str = ""
) -> RefusalResponse:
    """The response to a request that was refused before it became a call.

    Args:
        refusal: Any of the table in `calls.refusals`.
        language: `en` or `ru`.
        correlation_id: Names the request in the response; empty for none.
    """
    response = status_to_response(refusals.status(refusal, language, correlation_id))
    if isinstance(refusal, http.HttpRefusal):
        response.headers.update(refusal.headers)
    # By its class and not its reason, which some refusals of different HTTP statuses share.
    status = refusals.http_status_of(refusal)
    return RefusalResponse(status, response.headers, response.body)


def status_to_response(status: status_pb2.Status) -> RefusalResponse:
    """The response to a refused call; its message becomes the one in the caller's language."""
    reason = ""
    headers: dict[str, str] = {}
    shown = status_pb2.Status()
    shown.CopyFrom(status)
    for detail in status.details:
        info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
        localized = error_details_pb2.LocalizedMessage()
        if detail.Unpack(info):
            reason = info.reason
        elif detail.Unpack(retry):
            seconds = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
            # Retry-After has whole seconds (RFC 9110, 10.2.3), and 0 would say "at once".
            headers["retry-after"] = str(max(1, math.ceil(seconds)))
        elif detail.Unpack(localized):
            shown.message = localized.message
            headers["content-language"] = localized.locale
    if status.code == code_pb2.UNAUTHENTICATED:
        # A 401 must say how to authenticate (RFC 9110, 15.5.2).
        headers["www-authenticate"] = "Bearer"
    if status.code == code_pb2.UNAVAILABLE:
        headers.setdefault("retry-after", str(math.ceil(retry_after.UNAVAILABLE_SECONDS)))
    http_status = refusals.http_status(status.code, reason)
    return RefusalResponse(http_status, headers, to_json(_status_to_dict(shown)))


async def refuse(head: RequestHead, refusal: errors.Refusal, send: Send) -> None:
    """Refuses a request that did not become a call."""
    await send_refusal(head, correlated_response(head, refusal), send)


def correlated_response(head: RequestHead, refusal: errors.Refusal) -> RefusalResponse:
    """The response to a request that did not become a call, with the id that names it."""
    call_id = call.correlation_id(head.headers.get("x-request-id", ""))
    response = refusal_to_response(refusal, head.language, call_id)
    response.headers.update({"vary": "accept-language", "x-request-id": call_id})
    return response


async def send_refusal(head: RequestHead, response: RefusalResponse, send: Send) -> None:
    """Sends a refusal; if the request's body was not read, the connection ends with it."""
    headers = {"content-type": JSON, "vary": "accept-language", **response.headers}
    if head.has_body and not head.body_read:
        headers |= http.CLOSE
    await send_response(send, response.status, headers, response.body, head.headers)


def _status_to_dict(status: status_pb2.Status) -> dict[str, object]:
    """A status's JSON form, in which the three fields are present also when empty."""
    fields: dict[str, object] = json_format.MessageToDict(status, preserving_proto_field_name=True)
    return {"code": status.code, "message": status.message, "details": [], **fields}
