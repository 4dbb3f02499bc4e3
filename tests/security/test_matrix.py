"""Every RPC as every kind of caller, at both doors: let in or refused as the table says."""

from collections.abc import Mapping
from uuid import uuid4

import pytest
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from balance_client import v1
from balance_service.calls import access
from balance_service.calls.access import TABLE, AccessTableError, Condition, Rule
from balance_service.messages import account_access
from balance_service.server import app
from tests import schedules
from tests.contract import METHODS, SERVICES
from tests.e2e.test_parity import requests
from tests.http import BY_METHOD
from tests.parity_world import World, world
from tests.security.callers import Callers, all_callers, over_one_channel
from tests.service import Mailbox, Service

NO_TOKEN = {"nobody": "TOKEN_MISSING", "forged": "TOKEN_INVALID", "disabled": "TOKEN_INVALID"}
REFUSED = {"PERMISSION_MISSING", *NO_TOKEN.values()}
# What strangers hear of what is not theirs: the same as of what is nobody's.
HIDDEN = {
    "ACCOUNT_NOT_FOUND",
    "MOVEMENT_NOT_FOUND",
    "HOLD_NOT_FOUND",
    "QUOTE_NOT_FOUND",
    "USER_NOT_FOUND",
    "WEBHOOK_ENDPOINT_NOT_FOUND",
    "SCHEDULE_NOT_FOUND",
}
# Here a user is named and not what they have, so that nothing is to be hidden.
NAMED_OPENLY = {"CreateAccount", "ExportUser", "EraseUser"}


def asked(there: World) -> dict[str, Message]:
    """A request of every method, about what the owner has, that changes nothing if it can."""
    table = requests(there)
    send = v1.CreateTransferRequest(
        from_account=there.account, to_account=there.other, amount="0.01"
    )
    table["BatchCreateMovements"] = v1.BatchCreateMovementsRequest(
        requests=[v1.CreateMovementRequest(create_transfer=send)]
    )
    table["BatchCreateTransfers"] = v1.BatchCreateTransfersRequest(requests=[send])
    streamed = v1.CreateTransferRequest()
    streamed.CopyFrom(send)
    table["StreamTransfers"] = streamed
    deposit = v1.CreateDepositRequest(account=there.account, amount="0.01")
    table["BatchCreateDeposits"] = v1.BatchCreateDepositsRequest(requests=[deposit])
    paid_in = v1.CreateDepositRequest()
    paid_in.CopyFrom(deposit)
    table["StreamDeposits"] = paid_in
    table["CreateAccount"] = v1.CreateAccountRequest(user=there.admin.user_id)
    table["ListAccounts"] = v1.ListAccountsRequest(user=there.admin.user_id)
    table["LookupAccount"] = v1.LookupAccountRequest(currency="RUB", user=there.admin.user_id)
    table["ExportUser"] = v1.ExportUserRequest(user=there.admin.user_id)
    # Refused of everybody: there is money on their account.
    table["EraseUser"] = v1.EraseUserRequest(user=there.admin.user_id, reason="Asked to.")
    scheduled = v1.CreateScheduleRequest(schedule=schedules.daily(there.other))
    scheduled.schedule.create_transfer.from_account = there.account
    table["CreateSchedule"] = scheduled
    table["ListAccountChanges"] = v1.ListAccountChangesRequest(account=there.account)
    table["ListReceivedTransfers"] = v1.ListTransfersRequest(account=there.account)
    owned = v1.EventFilter(accounts=[there.account])
    table["ListEvents"] = v1.ListEventsRequest(filter=owned)
    table["WatchEvents"] = v1.WatchEventsRequest(filter=owned)
    table["EndSession"] = v1.EndSessionRequest(session=str(uuid4()))
    for method in METHODS:
        name = method.descriptor.name
        request = table.setdefault(name, GetMessageClass(method.input)())
        for field in ("account", "from_account"):
            if field in method.input.fields_by_name and not getattr(request, field):
                setattr(request, field, there.account)
        if name == "StreamTransfers":
            streamed.request_id = str(uuid4())
        elif name == "StreamDeposits":
            paid_in.request_id = str(uuid4())
        elif "validate_only" in method.input.fields_by_name:
            request.validate_only = True  # type: ignore[attr-defined]
    return table


def expected(rpc: str, condition: Condition, *, owns: bool) -> set[str]:
    """The reasons that a caller may hear, for a condition; without a reason, all but refusals."""
    # Who may add an endpoint and no more may not list events.
    if condition in (Condition.NEVER, Condition.LISTENER):
        return {"PERMISSION_MISSING"}
    if condition is Condition.RECEIVER and rpc == "ReverseTransfer" and owns:
        return {"PERMISSION_MISSING"}  # The owner sent it.
    if condition in (Condition.ALWAYS, Condition.SELF, Condition.OTHERS) or owns:
        return set()
    return {"PERMISSION_MISSING"} if rpc in NAMED_OPENLY else HIDDEN


def of_scope(rpc: str, rule: Rule, scope: str) -> set[str]:
    """As `expected`, for a service with one scope."""
    if rpc in ("BatchCreateMovements", "CreateSchedule") and scope in rule.scopes:
        return of_scope("CreateTransfer", TABLE["CreateTransfer"], scope)
    condition = rule.scoped if scope in rule.scopes else rule.service
    return expected(rpc, Condition.ALWAYS if rule.public else condition, owns=False)


def assert_told(reason: str, wanted: set[str], *case: str) -> None:
    assert reason != "INTERNAL", case
    if wanted:
        assert reason in wanted, (case, reason)
    else:
        assert reason not in REFUSED | HIDDEN, (case, reason)


def of_kind(rpc: str, kind: str) -> set[str]:
    """As `expected`, for a kind of caller."""
    rule = TABLE[rpc]
    if kind in NO_TOKEN:
        return set() if rule.public and kind == "nobody" else {NO_TOKEN[kind]}
    by_kind: Mapping[str, Condition] = {
        "stranger": rule.user,
        "owner": rule.user,
        "moderator": rule.moderator,
        "admin": rule.admin,
        "service": rule.service,
    }
    condition = Condition.ALWAYS if rule.public else by_kind[kind]
    if kind in {"moderator", "admin"} and condition is Condition.MAKER:
        return {"PERMISSION_MISSING"}  # They may read it, and so hear why not.
    return expected(rpc, condition, owns=kind == "owner")


async def callers(service: Service, there: World) -> Callers:
    return await all_callers(service, there.admin.email, there.admin.user_id)


async def test_every_method_lets_in_whom_the_table_names_over_grpc(service: Service) -> None:
    there = await world(service)
    who = await callers(service, there)
    table = asked(there)
    async with over_one_channel(service) as grpc:
        for method in METHODS:
            rpc = method.descriptor.name
            for kind, token in who.tokens.items():
                reason = await grpc.reason(method, table[rpc], token)
                assert_told(reason, of_kind(rpc, kind), rpc, kind)
            for scope, token in who.scoped.items():
                reason = await grpc.reason(method, table[rpc], token)
                assert_told(reason, of_scope(rpc, TABLE[rpc], scope), rpc, scope)


async def test_every_method_lets_in_whom_the_table_names_over_http(service: Service) -> None:
    there = await world(service)
    who = await callers(service, there)
    table = asked(there)
    for binding in BY_METHOD.values():
        rpc = binding.method.descriptor.name
        if binding.method.descriptor.server_streaming:
            continue
        for kind, token in who.tokens.items():
            request = table[rpc]
            if not all(getattr(request, name) for name in binding.variables):
                continue
            answer = await service.http.signed_in(token).call(binding, request)
            reason = answer.reason if answer.status >= 400 else ""
            if "outcomes" in answer.text and answer.status < 400:
                outcome = answer.json["outcomes"][0]
                details = outcome.get("error", {}).get("details", [{}])
                reason = details[0].get("reason", "")
            assert_told(reason, of_kind(rpc, kind), rpc, kind)


async def test_users_settle_only_where_the_setting_allows_it() -> None:
    for rpc in ("CreateDeposit", "CreateWithdrawal"):
        assert access.in_force({"user_deposits"})[rpc].user is Condition.OWNER
        rule = access.in_force(())[rpc]
        assert {rule.user, rule.moderator, rule.admin} == {Condition.NEVER}


@pytest.mark.usefixtures("within")
async def test_answer_without_its_condition_checked_is_none(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, stranger = await service.person(), await service.person()
    account = await owner.open()
    monkeypatch.setattr(account_access, "check_readable", lambda profile, *_: profile)
    async with over_one_channel(service) as grpc:
        for rpc in ("GetAccount", "WatchAccount"):
            method = next(method for method in METHODS if method.descriptor.name == rpc)
            request = GetMessageClass(method.input)(account=account.id)
            assert await grpc.reason(method, request, stranger.token.token) == "INTERNAL"


def without(rpc: str) -> dict[str, Rule]:
    return {name: rule for name, rule in TABLE.items() if name != rpc}


@pytest.mark.parametrize(
    ("table", "services", "fault"),
    [
        (without("GetMe"), SERVICES, "without a row: GetMe"),
        ({**TABLE, "GetNothing": TABLE["GetMe"]}, SERVICES, "without a method: GetNothing"),
        ({**TABLE, "GetMe": Rule(public=True)}, SERVICES, "contradict .*: GetMe"),
        (TABLE, [*SERVICES, SERVICES[0]], "share a row: CloseAccount"),
    ],
)
def test_table_and_contract_name_the_same(
    table: dict[str, Rule], services: list[ServiceDescriptor], fault: str
) -> None:
    access.check_complete(TABLE, SERVICES)
    with pytest.raises(AccessTableError, match=fault):
        access.check_complete(table, services)


async def test_service_with_a_method_without_a_row_does_not_start(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "TABLE", without("GetMe"))
    with pytest.raises(AccessTableError, match="GetMe"):
        app.build(service.settings, Mailbox())


def test_who_may_for_themselves_names_nobody() -> None:
    """Nothing but the token decides such a call, so its request has nobody's id in it."""
    for method in METHODS:
        rule = TABLE[method.descriptor.name]
        if Condition.SELF not in {rule.user, rule.moderator, rule.admin, rule.scoped}:
            continue
        named = {field.name for field in method.input.fields if field.message_type is None}
        assert not named & {"user", "account", "from_account", "id"}, method.full_name
