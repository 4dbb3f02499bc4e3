"""Who may call each RPC, for the reference: the contract's comments say it in prose, if at all."""

_ANYBODY = "anybody, without a token"
_ADMINS = "admins"
_OPERATORS = "admins; services with `accounts:write`"
_USERS = "users, for themselves"
_READERS = "the account's owner; moderators, admins and services with `accounts:read`, any account"
_PARTIES = "the owner of either account; moderators, admins and services with `accounts:read`"
_TRANSFERRING = "users, from their own accounts; services with `transfers:write`, from any"

# By method; a new one needs a row, or the page is not made.
WHO_MAY = {
    "SendConfirmationCode": _ANYBODY,
    "CreateToken": _ANYBODY,
    "RefreshToken": _ANYBODY,
    "RevokeToken": _ANYBODY,
    "GetJwks": _ANYBODY,
    "GetMe": _USERS,
    "UpdateMe": _USERS,
    "ListUsers": _ADMINS,
    "GetUser": _ADMINS,
    "UpdateUser": _ADMINS,
    "EnrolSecondFactor": _USERS,
    "ConfirmSecondFactor": _USERS,
    "RemoveSecondFactor": _USERS,
    "ResetSecondFactor": _ADMINS,
    "ListSessions": _USERS,
    "EndSession": _USERS,
    "EndSessions": _USERS,
    "EndUserSessions": _ADMINS,
    "DisableUser": _ADMINS,
    "EnableUser": _ADMINS,
    "ChangeEmail": _USERS,
    "CreateAccount": "users, for themselves; admins and services with `accounts:write`, for anyone",
    "GetAccount": _READERS,
    "WatchAccount": _READERS,
    "ListAccounts": _READERS,
    "ListEntries": _READERS,
    "FreezeAccount": _OPERATORS,
    "UnfreezeAccount": _OPERATORS,
    "CloseAccount": _OPERATORS,
    "ReopenAccount": _OPERATORS,
    "SetAccountLimit": _OPERATORS,
    "SetAccountLimits": _OPERATORS,
    "ListAccountChanges": _READERS,
    "CreateDeposit": "services with `deposits:write`; users, on their own account, where the"
    " setting `BALANCE_USER_DEPOSITS` allows it",
    "GetDeposit": _READERS,
    "ListDeposits": _READERS,
    "CreateWithdrawal": "services with `withdrawals:write`; users, from their own account, where"
    " the setting `BALANCE_USER_DEPOSITS` allows it",
    "GetWithdrawal": _READERS,
    "ListWithdrawals": _READERS,
    "ListServices": _ANYBODY,
    "GetService": _ANYBODY,
    "CreateService": _ADMINS,
    "UpdateService": _ADMINS,
    "DeleteService": _ADMINS,
    "CreatePurchase": "users, on their own account; services with `purchases:write`, on any",
    "GetPurchase": _READERS,
    "ListPurchases": _READERS,
    "ListCurrencies": _ANYBODY,
    "GetRate": _ANYBODY,
    "ListRates": _ANYBODY,
    "CreateQuote": "users, for their own account; services with `exchanges:write` or"
    " `transfers:write`, for any",
    "GetQuote": "users and services as for CreateQuote, each those that they asked for;"
    " services with `exchanges:write` or `transfers:write`",
    "CreateExchange": "users, between their own accounts; services with `exchanges:write`,"
    " between those of anyone",
    "GetExchange": _READERS,
    "ListExchanges": _READERS,
    "CreateTransfer": _TRANSFERRING,
    "BatchCreateTransfers": _TRANSFERRING,
    "CreateSplit": _TRANSFERRING,
    "StreamTransfers": _TRANSFERRING,
    "BatchCreateMovements": "users and services as for the RPC of each item; services with one of"
    " `deposits:write`, `withdrawals:write`, `purchases:write`, `transfers:write`,"
    " `exchanges:write`, `holds:write`, `deposits:reverse`, `withdrawals:reverse`,"
    " `purchases:refund` and `transfers:reverse`",
    "GetTransfer": _PARTIES,
    "ListTransfers": _READERS,
    "ListReceivedTransfers": _READERS,
    "ReverseDeposit": "admins; services with `deposits:reverse`",
    "ReverseWithdrawal": "admins; services with `withdrawals:reverse`",
    "RefundPurchase": "admins; services with `purchases:refund`",
    "ReverseTransfer": "users, those they received, by quote only while it holds; admins; services"
    " with `transfers:reverse`",
    "ReverseExchange": "users, their own while the quote holds; admins; services with"
    " `exchanges:reverse`",
    "GetReversal": _PARTIES,
    "ListAuditEvents": _ADMINS,
    "ListApprovals": _ADMINS,
    "ApproveChange": "admins, but whoever asked for the change",
    "RejectChange": "admins, but whoever asked for the change",
    "CreateHold": "users, on their own account, for purchases and transfers; services with"
    " `holds:write`, on any",
    "CaptureHold": "users, those they made; services with `holds:write`, any",
    "VoidHold": "users, those they made; admins and services with `holds:write`, any",
    "GetHold": _READERS,
    "ListHolds": _READERS,
}
