"""Requests and refusals that read well in the documentation."""

from collections.abc import Mapping

_TYPE = "type.googleapis.com/google.rpc."

BODIES: Mapping[str, Mapping[str, object]] = {
    "SendConfirmationCodeRequest": {"email": "demo@example.com"},
    "CreateTokenRequest": {"email": "demo@example.com", "confirmation_code": "123456"},
    "RefreshTokenRequest": {"refresh_token": "the one of the last answer"},
    "RevokeTokenRequest": {"refresh_token": "the one of the last answer"},
    "CreateAccountRequest": {"currency": "RUB"},
    "CreateDepositRequest": {"amount": "100.50", "currency": "RUB", "description": "Salary"},
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
    "FreezeAccountRequest": {},
    "UnfreezeAccountRequest": {},
    "CloseAccountRequest": {},
    "SetAccountLimitRequest": {"limit": "1000"},
    "Service": {"name": "Tea subscription", "price": "4.99", "currency": "USD"},
    "User": {"first_name": "Anna", "bio": "Likes tea."},
}
"""The least that a first try needs, by the message that a body is."""

_ACCOUNT = "01935d0c-7a5e-7c3b-9d43-0f6a3b1f2c11"
_MISSING = {
    "UserService": ("USER_NOT_FOUND", "There is no such user.", "user"),
    "PurchaseService": ("SERVICE_NOT_FOUND", "There is no such service.", "service"),
}
_NO_ACCOUNT = ("ACCOUNT_NOT_FOUND", "There is no such account.", "account")


def refusal(code: str, service: str) -> dict[str, object]:
    """A refusal that is answered with an HTTP status.

    Args:
        code: The status, or `default`.
        service: The short name of the service that refuses.
    """
    match code:
        case "400":
            violation = {"field": "page_size", "description": "must not be negative"}
            bad = {"@type": f"{_TYPE}BadRequest", "field_violations": [violation]}
            return _status(3, "page_size must not be negative", "INVALID_FIELD", {}, bad)
        case "401":
            return _status(16, "The access token has expired.", "TOKEN_EXPIRED", {})
        case "402":
            facts = {
                "account": _ACCOUNT,
                "available": "10.00",
                "required": "20.00",
                "missing": "10.00",
                "currency": "RUB",
            }
            text = "There is not enough money on the account: 10.00 RUB missing."
            return _status(9, text, "INSUFFICIENT_FUNDS", facts)
        case "403":
            facts = {"required": "admin"}
            return _status(7, "The caller may not do this.", "PERMISSION_MISSING", facts)
        case "404":
            reason, text, kind = _MISSING.get(service, _NO_ACCOUNT)
            resource = {
                "@type": f"{_TYPE}ResourceInfo",
                "resource_type": kind,
                "resource_name": _ACCOUNT,
            }
            return _status(5, text, reason, {kind: _ACCOUNT}, resource)
        case "409":
            facts = {"request_id": _ACCOUNT, "fields": "amount"}
            text = (
                "The request id was already used for a different request. "
                "Fields that differ: amount."
            )
            return _status(6, text, "IDEMPOTENCY_KEY_REUSED", facts)
        case "429":
            retry = {"@type": f"{_TYPE}RetryInfo", "retry_delay": "0.100s"}
            text = "The service is at its limit; try again shortly."
            return _status(8, text, "OVERLOADED", {"retry_after_seconds": "0.1"}, retry)
        case _:
            text = "The service cannot answer now; retry with the same request id."
            return _status(14, text, "UNAVAILABLE", {})


def _status(
    code: int, message: str, reason: str, facts: Mapping[str, str], *details: Mapping[str, object]
) -> dict[str, object]:
    info: dict[str, object] = {
        "@type": f"{_TYPE}ErrorInfo",
        "reason": reason,
        "domain": "balance.v1",
    }
    if facts:
        info["metadata"] = facts
    told = {"@type": f"{_TYPE}LocalizedMessage", "locale": "en", "message": message}
    return {"code": code, "message": message, "details": [info, *details, told]}
