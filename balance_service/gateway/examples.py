"""Requests and refusals for the documentation: short, and as they are sent and answered."""

from collections.abc import Mapping

from google.rpc import code_pb2

from balance_service.calls.refusals import DOMAIN

_TYPE = "type.googleapis.com/google.rpc."

# The least that a first try needs, by the name of the message that a body is.
BODIES: Mapping[str, Mapping[str, object]] = {
    "SendConfirmationCodeRequest": {"email": "demo@example.com"},
    "CreateTokenRequest": {
        "verification_id": "the one of the last answer",
        "confirmation_code": "12345678",
    },
    "RefreshTokenRequest": {"refresh_token": "the one of the last answer"},
    "RevokeTokenRequest": {"refresh_token": "the one of the last answer"},
    "EnrolSecondFactorRequest": {},
    "ConfirmSecondFactorRequest": {"code": "123456"},
    "RemoveSecondFactorRequest": {"code": "123456"},
    "ResetSecondFactorRequest": {},
    "EndSessionsRequest": {"include_current": True},
    "EndUserSessionsRequest": {},
    "DisableUserRequest": {},
    "EnsureUserRequest": {"email": "anna@example.com", "external_id": "crm-1017"},
    "SetUserExternalIdRequest": {"external_id": "crm-1017"},
    "EnableUserRequest": {},
    "ApproveChangeRequest": {"reason": "As agreed with the branch"},
    "RejectChangeRequest": {"reason": "Too much for a new customer"},
    "ChangeEmailRequest": {
        "verification_id": "the one of the address until now",
        "confirmation_code": "12345678",
        "new_verification_id": "the one of the new address",
        "new_confirmation_code": "87654321",
    },
    "EraseUserRequest": {
        "verification_id": "the one of your address",
        "confirmation_code": "12345678",
    },
    "CreateAccountRequest": {"currency": "RUB"},
    "CreateDepositRequest": {"amount": "100.50", "currency": "RUB", "description": "Salary"},
    "BatchCreateDepositsRequest": {
        "requests": [{"amount": "100.50", "source": "psp", "reference": "ch_123"}],
    },
    "CreateWithdrawalRequest": {"amount": "20", "currency": "RUB", "description": "Payout"},
    "CreatePurchaseRequest": {},
    "CreateTransferRequest": {
        "to_account": "2935048617",
        "amount": "750.50",
        "description": "For the tickets",
    },
    "BatchCreateTransfersRequest": {
        "requests": [{"to_account": "2935048617", "amount": "1"}],
        "all_or_nothing": True,
    },
    "BatchCreateMovementsRequest": {
        "requests": [
            {
                "create_purchase": {"service": "0193640b-1f7e-7a51-b1a4-53d1c5a2f0d7"},
                "linked": True,
            },
            {"create_transfer": {"to_account": "2935048617", "amount": "1"}},
        ],
    },
    "CreateSplitRequest": {
        "amount": "100",
        "receivers": [
            {"to_account": "2935048617", "weight": 2},
            {"to_account": "4561239874", "weight": 1},
        ],
    },
    "ReverseDepositRequest": {"reason": "Chargeback"},
    "ReverseWithdrawalRequest": {"reason": "The payout bounced"},
    "RefundPurchaseRequest": {"amount": "1.50", "reason": "Arrived late"},
    "ReverseTransferRequest": {"reason": "Sent by mistake"},
    "ReverseExchangeRequest": {"reason": "Changed by mistake"},
    "CreateHoldRequest": {"to_account": "2935048617", "amount": "40", "description": "Deposit"},
    "CaptureHoldRequest": {"amount": "25.50", "keep_rest": True},
    "VoidHoldRequest": {"reason": "Cancelled"},
    "CreateQuoteRequest": {"from_currency": "RUB", "to_currency": "USD", "from_amount": "1000"},
    "CreateExchangeRequest": {"quote": "0193640b-1f7e-7a51-b1a4-53d1c5a2f0d7"},
    "FreezeAccountRequest": {},
    "UnfreezeAccountRequest": {},
    "CloseAccountRequest": {},
    "SetAccountExternalIdRequest": {"external_id": "wallet-1017"},
    "ReopenAccountRequest": {"reason": "Closed by mistake."},
    "SetAccountLimitRequest": {"limit": "1000"},
    "SetAccountLimitsRequest": {
        "debit_limit": "15000",
        "daily_limit": "40000",
        "reason": "Asked for by its owner.",
    },
    "SetSubAccountsRequest": {
        "sub_accounts": 8,
        "reason": "The shop on a sale day.",
    },
    "WebhookEndpoint": {
        "url": "https://crm.example.com/hooks",
        "filter": {"types": ["balance.v1.transfer.created"]},
    },
    "RotateWebhookSecretRequest": {},
    "SendTestEventRequest": {},
    "RedeliverWebhookDeliveryRequest": {},
    "ReplayEventsRequest": {"first_sequence": "1001", "last_sequence": "1100"},
    "Schedule": {
        "create_transfer": {"to_account": "2935048617", "amount": "40"},
        "description": "Rent",
        "recurrence_rule": "FREQ=MONTHLY;BYMONTHDAY=-1",
        "time_zone": "Europe/Moscow",
    },
    "PauseScheduleRequest": {"reason": "On holiday"},
    "ResumeScheduleRequest": {},
    "CancelScheduleRequest": {"reason": "Moved out"},
    "Service": {"name": "Tea subscription", "price": "4.99", "currency": "USD"},
    "User": {"first_name": "Anna", "bio": "Likes tea."},
}

_ACCOUNT = "01935d0c-7a5e-7c3b-9d43-0f6a3b1f2c11"
# By the service that refuses: a reason, its message, and the type of the resource.
_NOT_FOUND = {
    "UserService": ("USER_NOT_FOUND", "There is no such user.", "user"),
    "HoldService": ("HOLD_NOT_FOUND", "There is no such hold.", "hold"),
    "ScheduleService": ("SCHEDULE_NOT_FOUND", "There is no such schedule.", "schedule"),
    "ReversalService": ("MOVEMENT_NOT_FOUND", "There is no such movement.", "movement"),
    "ProofService": ("CHECKPOINT_NOT_FOUND", "There is no such checkpoint.", "checkpoint"),
    "PurchaseService": ("SERVICE_NOT_FOUND", "There is no such service.", "service"),
    "WebhookService": (
        "WEBHOOK_ENDPOINT_NOT_FOUND",
        "There is no such endpoint of webhooks.",
        "endpoint",
    ),
    "ExchangeService": ("QUOTE_NOT_FOUND", "There is no such quote.", "quote"),
}
_ACCOUNT_NOT_FOUND = ("ACCOUNT_NOT_FOUND", "There is no such account.", "account")


def refusal(http_status: str, service: str) -> dict[str, object]:
    """A refusal that is answered with an HTTP status, as JSON has it.

    Args:
        http_status: The HTTP status, or `default` for any that has no example of its own.
        service: The short name of the service that refuses.
    """
    match http_status:
        case "400":
            violation = {"field": "page_size", "description": "must not be negative"}
            bad_request = {"@type": f"{_TYPE}BadRequest", "field_violations": [violation]}
            text = "page_size must not be negative"
            return _status(code_pb2.INVALID_ARGUMENT, text, "INVALID_FIELD", {}, bad_request)
        case "401":
            text = "The access token has expired."
            return _status(code_pb2.UNAUTHENTICATED, text, "TOKEN_EXPIRED", {})
        case "402":
            facts = {
                "account": _ACCOUNT,
                "available": "10.00",
                "required": "20.00",
                "missing": "10.00",
                "currency": "RUB",
            }
            text = "There is not enough money on the account: 10.00 RUB missing."
            return _status(code_pb2.FAILED_PRECONDITION, text, "INSUFFICIENT_FUNDS", facts)
        case "403":
            facts = {"required": "admin"}
            text = "The caller may not do this."
            return _status(code_pb2.PERMISSION_DENIED, text, "PERMISSION_MISSING", facts)
        case "404":
            reason, text, resource_type = _NOT_FOUND.get(service, _ACCOUNT_NOT_FOUND)
            resource = {
                "@type": f"{_TYPE}ResourceInfo",
                "resource_type": resource_type,
                "resource_name": _ACCOUNT,
            }
            facts = {resource_type: _ACCOUNT}
            return _status(code_pb2.NOT_FOUND, text, reason, facts, resource)
        case "409":
            facts = {"request_id": _ACCOUNT, "fields": "amount"}
            text = (
                "The request id was already used for a different request. "
                "Fields that differ: amount."
            )
            return _status(code_pb2.ALREADY_EXISTS, text, "IDEMPOTENCY_KEY_REUSED", facts)
        case "429":
            retry = {"@type": f"{_TYPE}RetryInfo", "retry_delay": "0.100s"}
            text = "The service is at its limit; try again shortly."
            facts = {"retry_after_seconds": "0.1"}
            return _status(code_pb2.RESOURCE_EXHAUSTED, text, "OVERLOADED", facts, retry)
        case _:
            text = "The service cannot answer now; retry with the same request id."
            return _status(code_pb2.UNAVAILABLE, text, "UNAVAILABLE", {})


def _status(
    code: int, message: str, reason: str, facts: Mapping[str, str], *details: Mapping[str, object]
) -> dict[str, object]:
    info: dict[str, object] = {
        "@type": f"{_TYPE}ErrorInfo",
        "reason": reason,
        "domain": DOMAIN,
    }
    if facts:
        info["metadata"] = facts
    localized = {"@type": f"{_TYPE}LocalizedMessage", "locale": "en", "message": message}
    return {"code": code, "message": message, "details": [info, *details, localized]}
