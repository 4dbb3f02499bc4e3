"""Who may call what: the one table that decides it, by RPC and by kind of caller.

Who may call at all is decided here from the call alone. Where that depends on what a call is about,
such as whose account it names, the table has a condition; a function beside the data checks it and
says so with `Call.prove`. A call that answers without that fails: see `Call.check_proven`.
"""

import enum
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from google.protobuf.descriptor import ServiceDescriptor

from balance_service.calls.methods import Method
from balance_service.domain import errors
from balance_service.domain.principals import Principal, Scope
from balance_service.domain.users import Role


class Condition(enum.Enum):
    """On what a call of some kind of caller is let in."""

    NEVER = "never"
    ALWAYS = "always"
    # The call names nobody: it is about whom the token stands for.
    SELF = "themselves"
    ONESELF = "the user that it names"
    OWNER = "the owner of the account"
    PARTY = "the owner of an account of the movement"
    RECEIVER = "who received it"
    MAKER = "who made it"
    MAKER_OR_OWNER = "who made it, or owns the account that pays"
    ASKER = "who asked for the quote"
    LISTENER = "who may list all events"
    OTHERS = "somebody else than it is about"
    ITEMS = "who may make the call that each item stands for"


_DECIDED = frozenset({Condition.ALWAYS, Condition.SELF})


class AccessTableError(Exception):
    """The table and the contract name different methods, or contradict each other."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may make a call, as one row of the table. What it does not allow is refused.

    Args:
        public: Whether no token is needed.
        user: When a plain user may.
        moderator: When a moderator may.
        admin: When an admin may.
        scopes: One of them lets a service in.
        scoped: When a service with one of them may.
        service: When a service with none of them may. No service owns an account, so with OWNER
            and PARTY it hears what a stranger does.
        setting: The setting without which no user may.
        note: What else is decided where the data are, for the reference.
    """

    public: bool = False
    user: Condition = Condition.NEVER
    moderator: Condition = Condition.NEVER
    admin: Condition = Condition.NEVER
    scopes: tuple[Scope, ...] = ()
    scoped: Condition = Condition.ALWAYS
    service: Condition = Condition.NEVER
    setting: str = ""
    note: str = ""

    def admit(self, caller: Principal | None) -> Condition:
        """On what the caller is let in.

        Raises:
            TokenMissing: There is no caller, and the call needs one.
            PermissionMissing: They may not make the call, whatever it is about.
        """
        if self.public:
            return Condition.ALWAYS
        if caller is None:
            raise errors.TokenMissing
        condition = self._condition(caller)
        if condition is Condition.NEVER:
            raise errors.PermissionMissing(required=self._required())
        return condition

    def _condition(self, caller: Principal) -> Condition:
        if caller.role is None:
            return self.service if caller.scopes.isdisjoint(self.scopes) else self.scoped
        if caller.role is Role.USER:
            return self.user
        return self.admin if caller.role is Role.ADMIN else self.moderator

    def _required(self) -> str:
        """What a caller who is refused would need."""
        needed = []
        if self.admin is not Condition.NEVER and self.user is Condition.NEVER:
            least = "admin" if self.moderator is Condition.NEVER else "moderator"
            needed.append(f"role {least}")
        if self.scopes:
            needed.append(f"scope {' or '.join(self.scopes)}")
        return " or ".join(needed) or "a user's token"


def _users(
    condition: Condition,
    *scopes: Scope,
    scoped: Condition = Condition.ALWAYS,
    admin: Condition | None = None,
    setting: str = "",
    note: str = "",
) -> Rule:
    """Users of every role, and services with a scope; admins perhaps on another condition."""
    return Rule(
        user=condition,
        moderator=condition,
        admin=admin or condition,
        scopes=scopes,
        scoped=scoped,
        setting=setting,
        note=note,
    )


def _admins(*scopes: Scope, condition: Condition = Condition.ALWAYS, note: str = "") -> Rule:
    """Admins, and services with a scope."""
    return Rule(admin=condition, scopes=scopes, note=note)


def _readers(condition: Condition) -> Rule:
    """Whom an account belongs to, and who may read every account."""
    return Rule(
        user=condition,
        moderator=Condition.ALWAYS,
        admin=Condition.ALWAYS,
        scopes=(Scope.ACCOUNTS_READ,),
        service=condition,
    )


_ANYBODY = Rule(public=True)
_OF_OWNER, _OF_PARTY = _readers(Condition.OWNER), _readers(Condition.PARTY)
_OPERATORS = _admins(Scope.ACCOUNTS_WRITE)
_THEMSELVES = _users(Condition.SELF)
_READING_ALL = Rule(
    moderator=Condition.ALWAYS, admin=Condition.ALWAYS, scopes=(Scope.ACCOUNTS_READ,)
)
_READING_EVENTS = Rule(
    user=Condition.OWNER,
    moderator=Condition.ALWAYS,
    admin=Condition.ALWAYS,
    scopes=(Scope.EVENTS_READ,),
)
_MANAGING_WEBHOOKS = Rule(
    admin=Condition.ALWAYS, scopes=(Scope.WEBHOOKS_WRITE,), scoped=Condition.MAKER
)
_REPORTING = Rule(moderator=Condition.ALWAYS, admin=Condition.ALWAYS, scopes=(Scope.REPORTS_READ,))
_NAMING_ACCOUNTS = _admins(Scope.ACCOUNTS_WRITE, note="services in their own name alone")
_NAMING_USERS = _admins(Scope.USERS_WRITE, note="services in their own name alone")
_TRANSFERRING = _users(Condition.OWNER, Scope.TRANSFERS_WRITE)
_DEPOSITING = _users(Condition.OWNER, Scope.DEPOSITS_WRITE, setting="user_deposits")
_QUOTING = (Scope.EXCHANGES_WRITE, Scope.TRANSFERS_WRITE)
_OF_NO_MONEY = ("accounts:", "users:", "events:", "webhooks:", "reports:")
_MOVING = tuple(scope for scope in Scope if not scope.startswith(_OF_NO_MONEY))
_SCHEDULING = _users(
    Condition.MAKER, Scope.PURCHASES_WRITE, Scope.TRANSFERS_WRITE, scoped=Condition.MAKER
)
_READING_SCHEDULES = Rule(
    user=Condition.MAKER_OR_OWNER,
    moderator=Condition.ALWAYS,
    admin=Condition.ALWAYS,
    scopes=(Scope.ACCOUNTS_READ,),
    service=Condition.MAKER_OR_OWNER,
)
_FORCING = "`force`: admins alone"
_WHILE_IT_HOLDS = f"what was received by quote only while that holds; {_FORCING}"

# By the RPC's name, in the order of the contract's files. An RPC without a row does not start.
TABLE: Mapping[str, Rule] = {
    "CreateAccount": _users(Condition.OWNER, Scope.ACCOUNTS_WRITE, admin=Condition.ALWAYS),
    "GetAccount": _OF_OWNER,
    "WatchAccount": _OF_OWNER,
    "ListAccounts": _OF_OWNER,
    "LookupAccount": _OF_OWNER,
    "SearchAccounts": _READING_ALL,
    "SetAccountExternalId": _NAMING_ACCOUNTS,
    "ListEntries": _OF_OWNER,
    "FreezeAccount": _OPERATORS,
    "UnfreezeAccount": _OPERATORS,
    "CloseAccount": _OPERATORS,
    "ReopenAccount": _OPERATORS,
    "SetAccountLimit": _OPERATORS,
    "SetAccountLimits": _OPERATORS,
    "SetSubAccounts": _OPERATORS,
    "ListAccountChanges": _OF_OWNER,
    "ListApprovals": _admins(),
    "ApproveChange": _admins(note="nobody what they asked for"),
    "RejectChange": _admins(note="nobody what they asked for"),
    "ListAuditEvents": _admins(),
    "SendConfirmationCode": _ANYBODY,
    "CreateToken": _ANYBODY,
    "RefreshToken": _ANYBODY,
    "RevokeToken": _ANYBODY,
    "GetJwks": _ANYBODY,
    "BatchCreateMovements": _users(Condition.ITEMS, *_MOVING, scoped=Condition.ITEMS),
    "CreateDeposit": _DEPOSITING,
    "BatchCreateDeposits": _DEPOSITING,
    "StreamDeposits": _DEPOSITING,
    "GetDeposit": _OF_PARTY,
    "ListDeposits": _OF_OWNER,
    "ReverseDeposit": _admins(Scope.DEPOSITS_REVERSE, note=_FORCING),
    "ListEvents": _READING_EVENTS,
    "WatchEvents": _READING_EVENTS,
    "CreateQuote": _users(Condition.OWNER, *_QUOTING),
    "GetQuote": _users(Condition.ASKER, *_QUOTING, scoped=Condition.ASKER),
    "CreateExchange": _users(
        Condition.ASKER,
        Scope.EXCHANGES_WRITE,
        scoped=Condition.ASKER,
        note="between accounts of one owner",
    ),
    "GetExchange": _OF_PARTY,
    "ListExchanges": _OF_OWNER,
    "ReverseExchange": _users(
        Condition.RECEIVER,
        Scope.EXCHANGES_REVERSE,
        admin=Condition.ALWAYS,
        note=_WHILE_IT_HOLDS,
    ),
    "CreateHold": _users(
        Condition.OWNER, Scope.HOLDS_WRITE, note="users for purchases and transfers alone"
    ),
    "CaptureHold": _users(Condition.MAKER, Scope.HOLDS_WRITE),
    "VoidHold": _users(Condition.MAKER, Scope.HOLDS_WRITE, admin=Condition.ALWAYS),
    "GetHold": _OF_OWNER,
    "ListHolds": _OF_OWNER,
    "GetTrialBalance": _admins(Scope.REPORTS_READ),
    "ExportJournal": _admins(Scope.REPORTS_READ),
    "ListServices": _ANYBODY,
    "GetService": _ANYBODY,
    "CreateService": _admins(),
    "UpdateService": _admins(),
    "DeleteService": _admins(),
    "CreatePurchase": _users(Condition.OWNER, Scope.PURCHASES_WRITE),
    "GetPurchase": _OF_PARTY,
    "ListPurchases": _OF_OWNER,
    "RefundPurchase": _admins(Scope.PURCHASES_REFUND, note=_FORCING),
    "ListMovements": _READING_ALL,
    "GetReceipt": _OF_PARTY,
    "GetCheckpoint": _READING_ALL,
    "ListCheckpoints": _READING_ALL,
    "VerifyLedger": _admins(Scope.ACCOUNTS_READ),
    "ListCurrencies": _ANYBODY,
    "GetRate": _ANYBODY,
    "ListRates": _ANYBODY,
    "ListBalances": _REPORTING,
    "SearchMovements": _REPORTING,
    "SalesByService": _REPORTING,
    "GetReversal": _OF_PARTY,
    "GetStatement": _OF_OWNER,
    "DownloadStatement": _OF_OWNER,
    "CreateSchedule": _users(
        Condition.ITEMS, Scope.PURCHASES_WRITE, Scope.TRANSFERS_WRITE, scoped=Condition.ITEMS
    ),
    "GetSchedule": _READING_SCHEDULES,
    "ListSchedules": _READING_SCHEDULES,
    "UpdateSchedule": _SCHEDULING,
    "PauseSchedule": replace(_SCHEDULING, admin=Condition.ALWAYS),
    "ResumeSchedule": replace(_SCHEDULING, admin=Condition.ALWAYS),
    "CancelSchedule": replace(_SCHEDULING, admin=Condition.ALWAYS),
    "ListOccurrences": _READING_SCHEDULES,
    "CreateTransfer": _TRANSFERRING,
    "BatchCreateTransfers": _TRANSFERRING,
    "CreateSplit": _TRANSFERRING,
    "StreamTransfers": _TRANSFERRING,
    "GetTransfer": _OF_PARTY,
    "ListTransfers": _OF_OWNER,
    "ListReceivedTransfers": _OF_OWNER,
    "ReverseTransfer": _users(
        Condition.RECEIVER,
        Scope.TRANSFERS_REVERSE,
        admin=Condition.ALWAYS,
        note=_WHILE_IT_HOLDS,
    ),
    "GetMe": _THEMSELVES,
    "UpdateMe": _THEMSELVES,
    "ListUsers": _admins(),
    "GetUser": _admins(Scope.USERS_READ),
    "LookupUser": _admins(Scope.USERS_READ),
    "EnsureUser": Rule(scopes=(Scope.USERS_WRITE,)),
    "SetUserExternalId": _NAMING_USERS,
    "UpdateUser": _admins(note="nobody changes their own role"),
    "EnrolSecondFactor": _THEMSELVES,
    "ConfirmSecondFactor": _THEMSELVES,
    "RemoveSecondFactor": _THEMSELVES,
    "ResetSecondFactor": _admins(condition=Condition.OTHERS),
    "ListSessions": _THEMSELVES,
    "EndSession": _THEMSELVES,
    "EndSessions": _THEMSELVES,
    "EndUserSessions": _admins(),
    "DisableUser": _admins(condition=Condition.OTHERS),
    "EnableUser": _admins(),
    "ChangeEmail": _THEMSELVES,
    "ExportUser": _users(Condition.ONESELF, admin=Condition.ALWAYS),
    "EraseUser": _users(Condition.ONESELF, admin=Condition.ALWAYS),
    "CreateWebhookEndpoint": Rule(
        admin=Condition.ALWAYS, scopes=(Scope.WEBHOOKS_WRITE,), scoped=Condition.LISTENER
    ),
    "GetWebhookEndpoint": _MANAGING_WEBHOOKS,
    "ListWebhookEndpoints": _admins(Scope.WEBHOOKS_WRITE, note="services their own alone"),
    "UpdateWebhookEndpoint": _MANAGING_WEBHOOKS,
    "DeleteWebhookEndpoint": _MANAGING_WEBHOOKS,
    "RotateWebhookSecret": _MANAGING_WEBHOOKS,
    "SendTestEvent": _MANAGING_WEBHOOKS,
    "ListWebhookDeliveries": _MANAGING_WEBHOOKS,
    "RedeliverWebhookDelivery": _MANAGING_WEBHOOKS,
    "ReplayEvents": _MANAGING_WEBHOOKS,
    "CreateWithdrawal": _users(Condition.OWNER, Scope.WITHDRAWALS_WRITE, setting="user_deposits"),
    "GetWithdrawal": _OF_PARTY,
    "ListWithdrawals": _OF_OWNER,
    "ReverseWithdrawal": _admins(Scope.WITHDRAWALS_REVERSE, note=_FORCING),
}


def is_decided(condition: Condition) -> bool:
    """Whether a condition is met by the call alone, whatever it is about."""
    return condition in _DECIDED


def in_force(settings_on: Collection[str]) -> Mapping[str, Rule]:
    """The table as settings have it.

    Args:
        settings_on: The settings that are on, of those that rows name.
    """
    never = Condition.NEVER
    return {
        rpc: replace(rule, user=never, moderator=never, admin=never)
        if rule.setting and rule.setting not in settings_on
        else rule
        for rpc, rule in TABLE.items()
    }


def check_complete(table: Mapping[str, Rule], services: Iterable[ServiceDescriptor]) -> None:
    """Holds a table to what is served, both ways.

    Raises:
        AccessTableError: A method has no row or shares one, a row has no method, or they disagree
            about whether a token is needed.
    """
    methods = [Method(each) for service in services for each in service.methods]
    names = [method.descriptor.name for method in methods]
    faults = {
        "without a row": sorted(set(names) - set(table)),
        "rows without a method": sorted(set(table) - set(names)),
        "share a row": sorted({name for name in names if names.count(name) > 1}),
        "contradict balance.v1.public": sorted(
            method.descriptor.name
            for method in methods
            if (rule := table.get(method.descriptor.name)) and rule.public != method.public
        ),
    }
    found = [f"{what}: {', '.join(rpcs)}" for what, rpcs in faults.items() if rpcs]
    if found:
        raise AccessTableError(f"balance_service/calls/access.py: {'; '.join(found)}")
