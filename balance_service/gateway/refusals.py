"""What the gateway refuses by itself, and every refusal as HTTP.

The mapping of codes is grpc-gateway's (runtime/errors.go), but for a lack of money, which is 402.
"""

# ruff: noqa: RUF001 - Cyrillic is the point

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from google.protobuf import json_format
from google.rpc import code_pb2, error_details_pb2, status_pb2

from balance_service.calls import telling
from balance_service.domain.errors import Violation
from balance_service.gateway.answers import encoded

DOMAIN = "balance.v1"
# What is left of the request is not worth reading.
CLOSE = {"connection": "close"}

HTTP_STATUS = {
    code_pb2.OK: 200,
    code_pb2.CANCELLED: 499,
    code_pb2.UNKNOWN: 500,
    code_pb2.INVALID_ARGUMENT: 400,
    code_pb2.DEADLINE_EXCEEDED: 504,
    code_pb2.NOT_FOUND: 404,
    code_pb2.ALREADY_EXISTS: 409,
    code_pb2.PERMISSION_DENIED: 403,
    code_pb2.UNAUTHENTICATED: 401,
    code_pb2.RESOURCE_EXHAUSTED: 429,
    code_pb2.FAILED_PRECONDITION: 400,
    code_pb2.ABORTED: 409,
    code_pb2.OUT_OF_RANGE: 400,
    code_pb2.UNIMPLEMENTED: 501,
    code_pb2.INTERNAL: 500,
    code_pb2.UNAVAILABLE: 503,
    code_pb2.DATA_LOSS: 500,
}


class Row(NamedTuple):
    """What one of the gateway's own refusals is to a caller."""

    code: int
    http_status: int
    english: str
    russian: str


TABLE: Mapping[str, Row] = {
    "INVALID_FIELD": Row(code_pb2.INVALID_ARGUMENT, 400, "", "Запрос содержит неверные поля."),
    "MALFORMED_REQUEST": Row(
        code_pb2.INVALID_ARGUMENT,
        400,
        "The request could not be read.",
        "Запрос не удалось прочитать.",
    ),
    "TOKEN_MISSING": Row(
        code_pb2.UNAUTHENTICATED,
        401,
        "The call needs an access token.",
        "Для вызова нужен токен доступа.",
    ),
    "ROUTE_NOT_FOUND": Row(
        code_pb2.NOT_FOUND, 404, "There is nothing at this path.", "По этому пути ничего нет."
    ),
    "METHOD_NOT_ALLOWED": Row(
        code_pb2.UNIMPLEMENTED,
        405,
        "This path does not have this method.",
        "У этого пути нет такого метода.",
    ),
    "REQUEST_TIMEOUT": Row(
        code_pb2.DEADLINE_EXCEEDED,
        408,
        "The request did not arrive in time.",
        "Запрос не пришёл вовремя.",
    ),
    "BODY_TOO_LARGE": Row(
        code_pb2.INVALID_ARGUMENT, 413, "The body is too large.", "Тело запроса слишком велико."
    ),
    "MEDIA_TYPE_UNSUPPORTED": Row(
        code_pb2.INVALID_ARGUMENT,
        415,
        "The body must be application/json.",
        "Тело запроса должно быть application/json.",
    ),
    "OVERLOADED": Row(
        code_pb2.RESOURCE_EXHAUSTED,
        429,
        "The service is at its limit; try again shortly.",
        "Сервис перегружен, повторите чуть позже.",
    ),
    "PAGE_NOT_FOUND": Row(
        code_pb2.NOT_FOUND, 404, "The list has no such page.", "В списке нет такой страницы."
    ),
    "ANSWER_TIMEOUT": Row(
        code_pb2.DEADLINE_EXCEEDED,
        504,
        "The answer took too long; whether anything was done is not known.",
        "Ответ занял слишком много времени; выполнен ли запрос, неизвестно.",
    ),
}


INTERNAL = status_pb2.Status(code=code_pb2.INTERNAL, message="Internal error.")


@dataclass
class GatewayRefusal(Exception):  # noqa: N818 - an answer, not a fault
    """A request that never became a call.

    Args:
        reason: One of `TABLE`.
        violations: What is wrong with its fields, or with its head.
        headers: What HTTP says besides.
        http_status: Replaces that of `TABLE`.
    """

    reason: str
    violations: Iterable[Violation] = ()
    headers: Mapping[str, str] | None = None
    http_status: int = 0

    def __post_init__(self) -> None:
        """Reads the violations, of which only what will be told is kept."""
        super().__init__(self.reason)
        self.told = telling.told(self.violations)


@dataclass(frozen=True, slots=True)
class HttpRefusal:
    """A refusal as HTTP."""

    status: int
    headers: dict[str, str]
    body: bytes


def invalid(field: str, description: str) -> GatewayRefusal:
    """A refusal of one field."""
    return GatewayRefusal("INVALID_FIELD", (Violation(field, description),))


def malformed(place: str, description: str, http_status: int = 0) -> GatewayRefusal:
    """A refusal of a request that is no request, after which its connection is closed.

    Args:
        place: A header's name, or `target`, `head` or `body`.
        description: What it must be.
        http_status: If not 400.
    """
    violations = (Violation(place, description),)
    return GatewayRefusal("MALFORMED_REQUEST", violations, CLOSE, http_status)


def of_gateway(refusal: GatewayRefusal, language: str, correlation_id: str) -> HttpRefusal:
    """One of the gateway's own refusals."""
    row, told = TABLE[refusal.reason], refusal.told
    english = row.english or told.message
    answer = status_pb2.Status(code=row.code, message=english)
    facts = {"request_id": correlation_id} if correlation_id else {}
    answer.details.add().Pack(
        error_details_pb2.ErrorInfo(
            reason=refusal.reason, domain=DOMAIN, metadata=facts | told.facts
        )
    )
    if told.violations:
        bad = error_details_pb2.BadRequest()
        for violation in told.violations:
            bad.field_violations.add(field=violation.field, description=violation.description)
        answer.details.add().Pack(bad)
    text = row.russian if language == "ru" else english
    answer.details.add().Pack(error_details_pb2.LocalizedMessage(locale=language, message=text))
    found = of_status(answer)
    found.headers.update(refusal.headers or {})
    return HttpRefusal(refusal.http_status or row.http_status, found.headers, found.body)


def of_status(status: status_pb2.Status) -> HttpRefusal:
    """A call's status, whose message becomes the one for people."""
    http_status = HTTP_STATUS.get(status.code, 500)
    headers: dict[str, str] = {}
    shown = status_pb2.Status()
    shown.CopyFrom(status)
    for detail in status.details:
        info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
        message = error_details_pb2.LocalizedMessage()
        if detail.Unpack(info) and info.reason == "INSUFFICIENT_FUNDS":
            http_status = 402
        elif detail.Unpack(retry):
            seconds = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
            headers["retry-after"] = str(max(1, math.ceil(seconds)))
        elif detail.Unpack(message):
            shown.message = message.message
            headers["content-language"] = message.locale
    if status.code == code_pb2.UNAUTHENTICATED:
        headers["www-authenticate"] = "Bearer"
    if status.code == code_pb2.UNAVAILABLE:
        headers.setdefault("retry-after", "1")
    return HttpRefusal(http_status, headers, encoded(as_json(shown)))


def as_json(status: status_pb2.Status) -> dict[str, object]:
    """A status as its JSON form."""
    found: dict[str, object] = json_format.MessageToDict(status, preserving_proto_field_name=True)
    return {"code": status.code, "message": status.message, "details": [], **found}
