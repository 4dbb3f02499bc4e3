"""Requests that read well in the documentation: the least that a first try needs."""

from collections.abc import Mapping

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
"""By the message that a body is."""
