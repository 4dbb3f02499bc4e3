"""THE table of refusals: what each is to a caller, over gRPC and over HTTP.

A refusal's message in English is its class's docstring; the one in Russian stands in the table. The
HTTP status of a code is that of grpc-gateway (runtime/errors.go); a row may have its own, such as
402 for a lack of money.
"""

# ruff: noqa: RUF001 - Cyrillic is the point

from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from balance_service.calls import http, shortening
from balance_service.domain import errors

DOMAIN = "balance.v1"
# The trailer that holds a status with its details (gRPC over HTTP/2, "Status-Details").
DETAILS_KEY = "grpc-status-details-bin"


class Row(NamedTuple):
    """What a refusal is to a caller.

    Args:
        code: One of google.rpc.code_pb2.
        reason: A value of the contract's ErrorReason, without its prefix.
        russian: The message in Russian, with the refusal's facts in braces.
        resource: The type of the resource that was not found; empty for other refusals.
        http_status: The HTTP status; 0 for the code's.
    """

    code: int
    reason: str
    russian: str
    resource: str = ""
    http_status: int = 0


TABLE: Mapping[type[errors.Refusal], Row] = {
    errors.InvalidFields: Row(
        code_pb2.INVALID_ARGUMENT, "INVALID_FIELD", "В запросе есть неверные поля."
    ),
    errors.MalformedRequest: Row(
        code_pb2.INVALID_ARGUMENT,
        "MALFORMED_REQUEST",
        "Запрос не является сообщением этого метода.",
    ),
    errors.PageTokenInvalid: Row(
        code_pb2.INVALID_ARGUMENT,
        "PAGE_TOKEN_INVALID",
        "Токен страницы не относится к этому списку, фильтру и порядку.",
    ),
    errors.EventsExpired: Row(
        code_pb2.FAILED_PRECONDITION,
        "EVENTS_EXPIRED",
        "События после этого места больше не хранятся; самое старое — {oldest}.",
    ),
    errors.EventsLost: Row(
        code_pb2.FAILED_PRECONDITION,
        "EVENTS_LOST",
        "В журнале событий нет события, за которым следует это место.",
    ),
    errors.LedgerTotalsMissing: Row(
        code_pb2.FAILED_PRECONDITION,
        "LEDGER_TOTALS_MISSING",
        "Обороты за время до обновления ещё не подсчитаны.",
    ),
    errors.WebhookEndpointNotFound: Row(
        code_pb2.NOT_FOUND,
        "WEBHOOK_ENDPOINT_NOT_FOUND",
        "Такого адреса для событий нет.",
        resource="endpoint",
    ),
    errors.WebhookDeliveryNotFound: Row(
        code_pb2.NOT_FOUND,
        "WEBHOOK_DELIVERY_NOT_FOUND",
        "На этот адрес такое событие не отправлялось.",
        resource="event",
    ),
    errors.WebhookEndpointLimit: Row(
        code_pb2.FAILED_PRECONDITION,
        "WEBHOOK_ENDPOINT_LIMIT",
        "Больше {limit} адресов для событий иметь нельзя.",
    ),
    errors.StatementTooLong: Row(
        code_pb2.FAILED_PRECONDITION,
        "STATEMENT_TOO_LONG",
        "В выписке за этот период {entries} записей, а в такой форме — не больше {entries_max}.",
    ),
    errors.PeriodArchived: Row(
        code_pb2.FAILED_PRECONDITION,
        "PERIOD_ARCHIVED",
        "Нужные для ответа записи перенесены в архив; в учёте есть записи с {available_from}.",
    ),
    errors.ReceiptNotReady: Row(
        code_pb2.FAILED_PRECONDITION,
        "RECEIPT_NOT_READY",
        "Движение ещё не вошло в контрольную точку.",
    ),
    errors.CheckpointNotFound: Row(
        code_pb2.NOT_FOUND,
        "CHECKPOINT_NOT_FOUND",
        "Такой контрольной точки нет.",
        resource="checkpoint",
    ),
    errors.VerificationRunning: Row(
        code_pb2.ABORTED,
        "VERIFICATION_RUNNING",
        "Книга уже проверяется по другому запросу; повторите позже.",
    ),
    errors.TokenMissing: Row(
        code_pb2.UNAUTHENTICATED, "TOKEN_MISSING", "Для вызова нужен токен доступа."
    ),
    errors.TokenInvalid: Row(
        code_pb2.UNAUTHENTICATED, "TOKEN_INVALID", "Токен доступа недействителен."
    ),
    errors.TokenExpired: Row(
        code_pb2.UNAUTHENTICATED, "TOKEN_EXPIRED", "Срок токена доступа истёк."
    ),
    errors.ConfirmationCodeInvalid: Row(
        code_pb2.UNAUTHENTICATED,
        "CONFIRMATION_CODE_INVALID",
        "Код подтверждения неверен, использован или просрочен.",
    ),
    errors.ClientCredentialsInvalid: Row(
        code_pb2.UNAUTHENTICATED,
        "CLIENT_CREDENTIALS_INVALID",
        "Идентификатор клиента или секрет неверен.",
    ),
    errors.RefreshTokenInvalid: Row(
        code_pb2.UNAUTHENTICATED, "REFRESH_TOKEN_INVALID", "Токен обновления недействителен."
    ),
    errors.SecondFactorRequired: Row(
        code_pb2.UNAUTHENTICATED,
        "SECOND_FACTOR_REQUIRED",
        "Для входа нужен ещё код второго фактора.",
    ),
    errors.SecondFactorInvalid: Row(
        code_pb2.UNAUTHENTICATED,
        "SECOND_FACTOR_INVALID",
        "Код второго фактора неверен или уже использован.",
    ),
    errors.SecondFactorLimit: Row(
        code_pb2.RESOURCE_EXHAUSTED,
        "SECOND_FACTOR_LIMIT",
        "Введено слишком много неверных кодов второго фактора; попробуйте позже.",
    ),
    errors.SecondFactorEnrolled: Row(
        code_pb2.ALREADY_EXISTS,
        "SECOND_FACTOR_ENROLLED",
        "У пользователя уже есть второй фактор.",
    ),
    errors.UserDisabled: Row(
        code_pb2.PERMISSION_DENIED, "USER_DISABLED", "Пользователю запрещён вход."
    ),
    errors.PermissionMissing: Row(
        code_pb2.PERMISSION_DENIED, "PERMISSION_MISSING", "На это действие нет прав."
    ),
    errors.ConfirmationCodeLimit: Row(
        code_pb2.RESOURCE_EXHAUSTED,
        "CONFIRMATION_CODE_LIMIT",
        "Запрошено или введено слишком много кодов; попробуйте позже.",
    ),
    errors.UserNotFound: Row(
        code_pb2.NOT_FOUND, "USER_NOT_FOUND", "Такого пользователя нет.", resource="user"
    ),
    errors.UsernameTaken: Row(
        code_pb2.ALREADY_EXISTS, "USERNAME_TAKEN", "Это имя пользователя занято."
    ),
    errors.EmailTaken: Row(
        code_pb2.ALREADY_EXISTS, "EMAIL_TAKEN", "Этот адрес принадлежит другому пользователю."
    ),
    errors.UserErased: Row(
        code_pb2.FAILED_PRECONDITION,
        "USER_ERASED",
        "Данные пользователя стёрты; изменить ничего нельзя.",
    ),
    errors.ExternalIdConflict: Row(
        code_pb2.ALREADY_EXISTS,
        "EXTERNAL_ID_CONFLICT",
        "Внешний идентификатор занят, или на его месте уже есть другой того же источника.",
    ),
    errors.SessionNotFound: Row(
        code_pb2.NOT_FOUND,
        "SESSION_NOT_FOUND",
        "У пользователя нет такого сеанса.",
        resource="session",
    ),
    errors.EtagMismatch: Row(
        code_pb2.ABORTED, "ETAG_MISMATCH", "Ресурс изменился с тех пор, как был прочитан."
    ),
    errors.AccountNotFound: Row(
        code_pb2.NOT_FOUND, "ACCOUNT_NOT_FOUND", "Такого счёта нет.", resource="account"
    ),
    errors.AccountFrozen: Row(code_pb2.FAILED_PRECONDITION, "ACCOUNT_FROZEN", "Счёт заморожен."),
    errors.AccountClosed: Row(code_pb2.FAILED_PRECONDITION, "ACCOUNT_CLOSED", "Счёт закрыт."),
    errors.AccountNotEmpty: Row(
        code_pb2.FAILED_PRECONDITION, "ACCOUNT_NOT_EMPTY", "На счёте остались деньги."
    ),
    errors.InsufficientFunds: Row(
        code_pb2.FAILED_PRECONDITION,
        "INSUFFICIENT_FUNDS",
        "На счёте недостаточно денег: не хватает {missing} {currency}.",
        http_status=402,
    ),
    errors.CurrencyMismatch: Row(
        code_pb2.FAILED_PRECONDITION, "CURRENCY_MISMATCH", "Счёт ведётся в другой валюте."
    ),
    errors.SameAccount: Row(
        code_pb2.INVALID_ARGUMENT, "SAME_ACCOUNT", "Нельзя перевести деньги на тот же счёт."
    ),
    errors.BalanceOverflow: Row(
        code_pb2.FAILED_PRECONDITION, "BALANCE_OVERFLOW", "Баланс превысил бы предел реестра."
    ),
    errors.ReceiverUnavailable: Row(
        code_pb2.FAILED_PRECONDITION,
        "RECEIVER_UNAVAILABLE",
        "Счёт получателя не может принять этот перевод.",
    ),
    errors.LimitBelowBalance: Row(
        code_pb2.FAILED_PRECONDITION,
        "LIMIT_BELOW_BALANCE",
        "Долг по счёту уже больше этого лимита.",
    ),
    errors.OverdraftAboveMax: Row(
        code_pb2.FAILED_PRECONDITION,
        "OVERDRAFT_ABOVE_MAX",
        "Долг по счёту можно разрешить не больше {maximum} {currency}.",
    ),
    errors.DebitLimitExceeded: Row(
        code_pb2.FAILED_PRECONDITION,
        "DEBIT_LIMIT_EXCEEDED",
        "За одну операцию со счёта можно списать не больше {limit} {currency}.",
    ),
    errors.DailyLimitExceeded: Row(
        code_pb2.FAILED_PRECONDITION,
        "DAILY_LIMIT_EXCEEDED",
        "Сегодня со счёта можно списать ещё не больше {left} {currency}.",
    ),
    errors.AccountNotClosed: Row(
        code_pb2.FAILED_PRECONDITION, "ACCOUNT_NOT_CLOSED", "Счёт не закрыт."
    ),
    errors.ApprovalRequired: Row(
        code_pb2.FAILED_PRECONDITION,
        "APPROVAL_REQUIRED",
        "Изменение ждёт одобрения другого администратора.",
    ),
    errors.ApprovalNotFound: Row(
        code_pb2.NOT_FOUND, "APPROVAL_NOT_FOUND", "Такого запроса нет.", resource="approval"
    ),
    errors.ApprovalByRequester: Row(
        code_pb2.PERMISSION_DENIED,
        "APPROVAL_BY_REQUESTER",
        "Кто запросил изменение, не может решать о нём.",
    ),
    errors.ApprovalNotPending: Row(
        code_pb2.FAILED_PRECONDITION,
        "APPROVAL_NOT_PENDING",
        "О запросе уже решено, или его срок истёк.",
    ),
    errors.MovementNotFound: Row(
        code_pb2.NOT_FOUND, "MOVEMENT_NOT_FOUND", "Такого движения денег нет.", resource="movement"
    ),
    errors.NotReversible: Row(
        code_pb2.FAILED_PRECONDITION,
        "NOT_REVERSIBLE",
        "Движение такого вида так не отменяется.",
    ),
    errors.ReversalTooLarge: Row(
        code_pb2.FAILED_PRECONDITION,
        "REVERSAL_TOO_LARGE",
        "От движения осталось меньше, чем нужно вернуть.",
    ),
    errors.HoldNotFound: Row(
        code_pb2.NOT_FOUND, "HOLD_NOT_FOUND", "Такого удержания нет.", resource="hold"
    ),
    errors.HoldClosed: Row(
        code_pb2.FAILED_PRECONDITION, "HOLD_CLOSED", "Удержание уже списано или снято."
    ),
    errors.HoldExpired: Row(code_pb2.FAILED_PRECONDITION, "HOLD_EXPIRED", "Срок удержания истёк."),
    errors.CaptureTooLarge: Row(
        code_pb2.FAILED_PRECONDITION,
        "CAPTURE_TOO_LARGE",
        "От удержания осталось меньше, чем нужно списать.",
    ),
    errors.AlreadyPurchased: Row(
        code_pb2.FAILED_PRECONDITION, "ALREADY_PURCHASED", "Эта услуга на счёт уже куплена."
    ),
    errors.IdempotencyKeyReused: Row(
        code_pb2.ALREADY_EXISTS,
        "IDEMPOTENCY_KEY_REUSED",
        "Этот request_id уже использован для другого запроса.",
    ),
    errors.ReferenceReused: Row(
        code_pb2.ALREADY_EXISTS,
        "REFERENCE_REUSED",
        "Вызывающий уже использовал этот номер источника.",
    ),
    errors.BatchRefused: Row(
        code_pb2.ABORTED,
        "BATCH_REFUSED",
        "Другая операция пакета или цепочки отклонена, поэтому не выполнена ни одна из них.",
    ),
    errors.ServiceNotFound: Row(
        code_pb2.NOT_FOUND, "SERVICE_NOT_FOUND", "Такой услуги нет.", resource="service"
    ),
    errors.RateUnavailable: Row(
        code_pb2.FAILED_PRECONDITION, "RATE_UNAVAILABLE", "Курс для этих валют неизвестен."
    ),
    errors.RateStale: Row(
        code_pb2.FAILED_PRECONDITION, "RATE_STALE", "Последний известный курс устарел."
    ),
    errors.ChargeTooSmall: Row(
        code_pb2.FAILED_PRECONDITION,
        "CHARGE_TOO_SMALL",
        "Сумма в другой валюте округляется до нуля.",
    ),
    errors.PriceChanged: Row(
        code_pb2.ABORTED,
        "PRICE_CHANGED",
        "Цена не та, что ожидалась: сейчас {price} {currency}.",
    ),
    errors.QuoteNotFound: Row(
        code_pb2.NOT_FOUND, "QUOTE_NOT_FOUND", "Такой котировки нет.", resource="quote"
    ),
    errors.QuoteMismatch: Row(
        code_pb2.FAILED_PRECONDITION, "QUOTE_MISMATCH", "Запрос не совпадает с котировкой."
    ),
    errors.QuoteUsed: Row(code_pb2.ALREADY_EXISTS, "QUOTE_USED", "Котировка уже исполнена."),
    errors.QuoteExpired: Row(
        code_pb2.FAILED_PRECONDITION, "QUOTE_EXPIRED", "Срок котировки истёк."
    ),
    errors.ScheduleNotFound: Row(
        code_pb2.NOT_FOUND, "SCHEDULE_NOT_FOUND", "Такого расписания нет.", resource="schedule"
    ),
    errors.ScheduleNotActive: Row(
        code_pb2.FAILED_PRECONDITION, "SCHEDULE_NOT_ACTIVE", "Расписание не действует."
    ),
    errors.ScheduleNotPaused: Row(
        code_pb2.FAILED_PRECONDITION, "SCHEDULE_NOT_PAUSED", "Расписание не приостановлено."
    ),
    errors.ScheduleLimit: Row(
        code_pb2.FAILED_PRECONDITION,
        "SCHEDULE_LIMIT",
        "У вас столько расписаний, сколько можно иметь: {limit}.",
    ),
    errors.Overloaded: Row(
        code_pb2.RESOURCE_EXHAUSTED, "OVERLOADED", "Сервис перегружен, повторите чуть позже."
    ),
    errors.QuotaExceeded: Row(
        code_pb2.RESOURCE_EXHAUSTED,
        "QUOTA_EXCEEDED",
        "Вы заняли всю отведённую вам долю сервиса, повторите чуть позже.",
    ),
    errors.Unavailable: Row(
        code_pb2.UNAVAILABLE,
        "UNAVAILABLE",
        "Сервис сейчас недоступен, повторите с тем же request_id.",
    ),
    errors.DeadlinePassed: Row(
        code_pb2.DEADLINE_EXCEEDED, "DEADLINE_PASSED", "Срок вызова истёк, ничего не изменено."
    ),
    http.RequestMalformed: Row(
        code_pb2.INVALID_ARGUMENT, "MALFORMED_REQUEST", "Запрос не удалось прочитать."
    ),
    http.HeadTooLarge: Row(
        code_pb2.INVALID_ARGUMENT,
        "MALFORMED_REQUEST",
        "Заголовок запроса слишком велик.",
        http_status=431,
    ),
    http.RouteNotFound: Row(code_pb2.NOT_FOUND, "ROUTE_NOT_FOUND", "По этому пути ничего нет."),
    http.MethodNotAllowed: Row(
        code_pb2.UNIMPLEMENTED,
        "METHOD_NOT_ALLOWED",
        "У этого пути нет такого метода.",
        http_status=405,
    ),
    http.RequestTimeout: Row(
        code_pb2.DEADLINE_EXCEEDED, "REQUEST_TIMEOUT", "Запрос не пришёл вовремя.", http_status=408
    ),
    http.BodyTooLarge: Row(
        code_pb2.INVALID_ARGUMENT, "BODY_TOO_LARGE", "Тело запроса слишком велико.", http_status=413
    ),
    http.MediaTypeUnsupported: Row(
        code_pb2.INVALID_ARGUMENT,
        "MEDIA_TYPE_UNSUPPORTED",
        "Тело запроса должно быть application/json.",
        http_status=415,
    ),
    http.PageNotFound: Row(code_pb2.NOT_FOUND, "PAGE_NOT_FOUND", "В списке нет такой страницы."),
    http.AnswerTimeout: Row(
        code_pb2.DEADLINE_EXCEEDED,
        "ANSWER_TIMEOUT",
        "Ответ занял слишком много времени; выполнен ли запрос, неизвестно.",
    ),
}
INTERNAL = "INTERNAL"

_HTTP_STATUS = {
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
# For statuses that come from a gRPC server elsewhere, which tell the reason and not the class. Two
# classes share MALFORMED_REQUEST: there it means the plain one.
_HTTP_STATUS_OF_REASON = {
    row.reason: row.http_status
    for kind, row in TABLE.items()
    if row.http_status and kind is not http.HeadTooLarge
}


def http_status(code: int, reason: str = "") -> int:
    """The HTTP status for a code, and a reason if any, from a server elsewhere."""
    return _HTTP_STATUS_OF_REASON.get(reason) or _HTTP_STATUS.get(code, 500)


def http_status_of(refusal: errors.Refusal) -> int:
    """The HTTP status of a refusal."""
    row = TABLE[type(refusal)]
    return row.http_status or _HTTP_STATUS[row.code]


def status(
    refusal: errors.Refusal, language: str = "en", correlation_id: str = ""
) -> status_pb2.Status:
    """The status of a refusal with its details: a few KiB at most, whatever was refused.

    Args:
        refusal: One whose class is in the table.
        language: `en` or `ru`, for the LocalizedMessage.
        correlation_id: Names the request that was refused before it was a call.
    """
    row = TABLE[type(refusal)]
    violations, more = getattr(refusal, "violations", ()), getattr(refusal, "more", 0)
    shortened = shortening.shorten_violations(violations, more)
    facts = shortening.shorten_facts(refusal.facts()) | shortened.facts
    if correlation_id:
        facts["request_id"] = correlation_id
    message = shortened.message or shortening.shorten(refusal.message, shortening.MESSAGE_BYTES_MAX)
    text = row.russian.format_map(facts) if language == "ru" else message
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=row.reason, domain=DOMAIN, metadata=facts)
    ]
    if shortened.violations:
        bad_request = error_details_pb2.BadRequest()
        for violation in shortened.violations:
            bad_request.field_violations.add(
                field=violation.field, description=violation.description
            )
        details.append(bad_request)
    if seconds := getattr(refusal, "retry_after_seconds", None):
        delay = Duration()
        delay.FromTimedelta(timedelta(seconds=seconds))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    if row.resource:
        name = next(iter(facts.values()), "")
        details.append(
            error_details_pb2.ResourceInfo(resource_type=row.resource, resource_name=name)
        )
    details.append(error_details_pb2.LocalizedMessage(locale=language, message=text))
    return _pack(row.code, message, details)


def internal(correlation_id: str = "") -> status_pb2.Status:
    """The status of a fault of ours: it tells only the id by which the log has the cause."""
    facts = {"request_id": correlation_id} if correlation_id else {}
    info = error_details_pb2.ErrorInfo(reason=INTERNAL, domain=DOMAIN, metadata=facts)
    return _pack(code_pb2.INTERNAL, "Internal error.", [info])


def _pack(code: int, message: str, details: list[Message]) -> status_pb2.Status:
    answer = status_pb2.Status(code=code, message=message)
    for detail in details:
        answer.details.add().Pack(detail)
    return answer
