"""Which reads a standby may answer, and which the primary keeps."""

from collections.abc import Mapping
from typing import Final

from google.protobuf.message import Message

from balance_service.calls.methods import Method

# What a standby may answer.
OFFERED: Final = frozenset(
    {
        "GetAccount",
        "ListAccounts",
        "LookupAccount",
        "SearchAccounts",
        "ListEntries",
        "ListAccountChanges",
        "GetDeposit",
        "ListDeposits",
        "GetExchange",
        "ListExchanges",
        "GetHold",
        "ListHolds",
        "GetPurchase",
        "ListPurchases",
        "ListMovements",
        "SalesByService",
        "GetReversal",
        "GetTransfer",
        "ListTransfers",
        "ListReceivedTransfers",
        "GetWithdrawal",
        "ListWithdrawals",
        "GetStatement",
        "GetTrialBalance",
        "ListBalances",
        "SearchMovements",
    }
)
# Of these, what is of a moment that whoever answers chooses among those that are over, unless a
# request has one of some fields.
OVER: Final[Mapping[str, tuple[str, ...]]] = {"ListBalances": ("as_of", "page_token")}
_DECIDES = "somebody decides by it"
_SIGN_IN = "it is about who may sign in"
_SMALL = "it is kept in memory, or small"
_NUMBERED = "it follows numbers that are given on the primary"
# What only the primary answers, and why.
KEPT: Final[Mapping[str, str]] = {
    "ListApprovals": _DECIDES,
    "ListAuditEvents": "an act is to be seen at once",
    "GetJwks": _SIGN_IN,
    "ListEvents": _NUMBERED,
    "GetQuote": _DECIDES,
    "GetReceipt": "it proves what is true now",
    "GetCheckpoint": "it proves what is true now",
    "ListCheckpoints": "it proves what is true now",
    "ListServices": _SMALL,
    "GetService": _SMALL,
    "ListCurrencies": _SMALL,
    "GetRate": _SMALL,
    "ListRates": _SMALL,
    "GetSchedule": _DECIDES,
    "ListSchedules": _DECIDES,
    "ListOccurrences": _DECIDES,
    "GetMe": _SIGN_IN,
    "ListUsers": _SIGN_IN,
    "GetUser": _SIGN_IN,
    "LookupUser": _SIGN_IN,
    "ListSessions": _SIGN_IN,
    "ExportUser": "it is complete as of now",
    "GetWebhookEndpoint": _DECIDES,
    "ListWebhookEndpoints": _DECIDES,
    "ListWebhookDeliveries": _DECIDES,
}

# Files, of which a standby may make the parts.
OFFERED_FILES: Final = frozenset({"DownloadStatement", "ExportJournal"})


def is_offered_file(method: Method) -> bool:
    """Whether a standby may make the file that a method answers with."""
    return method.descriptor.name in OFFERED_FILES


def is_offered(method: Method) -> bool:
    """Whether a standby may answer a method's requests."""
    return method.descriptor.name in OFFERED


def is_of_what_is_over(method: Method, request: Message) -> bool:
    """Whether an answer is of a moment that is over, which a request does not name."""
    named = OVER.get(method.descriptor.name)
    if named is None:
        return False
    return not any(descriptor.name in named for descriptor, _ in request.ListFields())
