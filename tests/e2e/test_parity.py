"""Both ways in give the same: every RPC of the descriptors, over gRPC and over HTTP."""

import json
from typing import Any
from uuid import uuid4

import pytest
from google.protobuf import json_format
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp

from balance_client import v1
from balance_service._generated.balance.v1 import account_pb2
from balance_service.domain.principals import Scope
from balance_service.gateway.routes import Binding
from balance_service.operations import administration
from tests import cluster
from tests.bad_requests import cases
from tests.grpc import assert_same_refusal, over_grpc
from tests.http import BINDINGS, BY_METHOD, as_http
from tests.parity_periods import scheduled, sums
from tests.parity_webhooks import webhooks
from tests.parity_world import OPEN, World, world
from tests.service import Person, Service

# Their items' outcomes say what others say in trailers.
BATCHES = {"BatchCreateDeposits", "BatchCreateTransfers", "BatchCreateMovements"}
# Made anew by every call, so that two calls differ in them alone.
FRESH = {
    "token",
    "refresh_token",
    "expire_time",
    "refresh_expire_time",
    "verification_id",
    "secret",
    "uri",
}
# What users do for themselves without naming anything.
UNNAMED = {"EnrolSecondFactor", "EndSessions"}


async def over_http(person: Person, binding: Binding, request: Message) -> Any:
    """The JSON of an answer that must be one."""
    if binding.method.descriptor.server_streaming:
        path, _ = as_http(binding, request)
        async with person.http.stream(path) as streamed:
            return json.loads(await streamed.content.readline())["result"]
    answer = await person.http.call(binding, request)
    assert answer.status in (200, 201), answer
    return answer.json


def assert_same(answer: Message | None, data: Any) -> None:
    """A message and JSON say the same, field by field."""
    assert answer is not None
    told = json_format.MessageToDict(
        answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    assert told.keys() == data.keys()
    for name in told.keys() - FRESH:
        assert told[name] == data[name], name


def requests(there: World) -> dict[str, Message]:
    """A request of every method that succeeds, by the method's name."""
    account, other, ids = there.account, there.other, there.ids
    divided = v1.SetSubAccountsRequest(account=ids["third"], sub_accounts=2, reason="Pourquoi ?")
    return {
        "SetSubAccounts": divided,
        "CreateAccount": v1.CreateAccountRequest(currency="EUR", user=ids["boris"]),
        "GetAccount": v1.GetAccountRequest(account=account, currency="USD"),
        "LookupAccount": v1.LookupAccountRequest(currency="RUB", user=ids["boris"]),
        "SetAccountExternalId": v1.SetAccountExternalIdRequest(
            account=other, external_id="w 1/2", source="service:crm"
        ),
        "WatchAccount": v1.WatchAccountRequest(account=account),
        "ListAccounts": v1.ListAccountsRequest(count_total=True),
        "SearchAccounts": v1.SearchAccountsRequest(currency="EUR", count_total=True),
        "ListEntries": v1.ListEntriesRequest(
            account=account,
            page_size=2,
            order_by="amount desc",
            filter=v1.MovementFilter(min_amount="2"),
            kind=v1.MovementKind.MOVEMENT_KIND_TRANSFER,
        ),
        "SetAccountLimit": v1.SetAccountLimitRequest(account=other, limit="100"),
        "SetAccountLimits": v1.SetAccountLimitsRequest(
            account=other, daily_limit="100", reason="Pourquoi ?"
        ),
        "ListAccountChanges": v1.ListAccountChangesRequest(account=other, count_total=True),
        "FreezeAccount": v1.FreezeAccountRequest(account=other, scope=v1.FREEZE_SCOPE_DEBITS),
        "UnfreezeAccount": v1.UnfreezeAccountRequest(account=other),
        "SendConfirmationCode": v1.SendConfirmationCodeRequest(email="new@example.com"),
        "RevokeToken": v1.RevokeTokenRequest(refresh_token="unknown"),
        "GetJwks": v1.GetJwksRequest(),
        "CreateDeposit": v1.CreateDepositRequest(amount="3", source="bank", reference="r 1/2"),
        "BatchCreateDeposits": v1.BatchCreateDepositsRequest(
            requests=[
                v1.CreateDepositRequest(amount="0.50", metadata={"a": "b"}),
                v1.CreateDepositRequest(amount="x"),
            ]
        ),
        "GetDeposit": v1.GetDepositRequest(deposit=ids["deposit"]),
        "ListDeposits": v1.ListDepositsRequest(account=account),
        "CreateWithdrawal": v1.CreateWithdrawalRequest(amount="3", description="A & Б = ?"),
        "GetWithdrawal": v1.GetWithdrawalRequest(withdrawal=ids["withdrawal"]),
        "ListWithdrawals": v1.ListWithdrawalsRequest(page_size=1, skip=1),
        "ListServices": v1.ListServicesRequest(currency="USD", page_size=1),
        "GetService": v1.GetServiceRequest(service=ids["sold"]),
        "CreateService": v1.CreateServiceRequest(service=v1.Service(name="Rye", price="3")),
        "UpdateService": v1.UpdateServiceRequest(
            id=ids["sold"],
            service=v1.Service(name="Cream", price="9"),
            update_mask=FieldMask(paths=["name", "price"]),
        ),
        "CreatePurchase": v1.CreatePurchaseRequest(service=ids["sold"], metadata={"a": "b"}),
        "GetPurchase": v1.GetPurchaseRequest(purchase=ids["purchase"]),
        "ListPurchases": v1.ListPurchasesRequest(),
        "DeleteService": v1.DeleteServiceRequest(service=ids["leaving"]),
        **transfers(there),
        "GetTransfer": v1.GetTransferRequest(transfer=ids["transfer"]),
        "ListTransfers": v1.ListTransfersRequest(),
        "ListReceivedTransfers": v1.ListTransfersRequest(account=other),
        **exchanges(there),
        **users(there),
        **follow_ups(there),
        **scheduled(there),
        **oversight(there),
        **webhooks(there),
        **sums(there),
        "CloseAccount": v1.CloseAccountRequest(account=there.account),
        "ReopenAccount": v1.ReopenAccountRequest(account=ids["closed"], reason="By mistake"),
    }


def users(there: World) -> dict[str, Message]:
    """Those about users and how they sign in."""
    ids = there.ids
    return {
        "GetMe": v1.GetMeRequest(),
        "UpdateMe": v1.UpdateMeRequest(
            user=v1.User(first_name="Анна"), update_mask=FieldMask(paths=["first_name"])
        ),
        "ListUsers": v1.ListUsersRequest(search="user-", page_size=1, disabled=False),
        "GetUser": v1.GetUserRequest(user=ids["boris"]),
        "LookupUser": v1.LookupUserRequest(email=there.admin.email),
        "SetUserExternalId": v1.SetUserExternalIdRequest(
            user=ids["boris"], external_id="Борис & 1/2", source="service:crm"
        ),
        "UpdateUser": v1.UpdateUserRequest(
            id=ids["boris"],
            user=v1.User(role=v1.Role.ROLE_MODERATOR),
            update_mask=FieldMask(paths=["role"]),
        ),
        "EnrolSecondFactor": v1.EnrolSecondFactorRequest(),
        "ResetSecondFactor": v1.ResetSecondFactorRequest(user=ids["boris"]),
        "ListSessions": v1.ListSessionsRequest(),
        "EndSession": v1.EndSessionRequest(session=ids["session"]),
        "EndSessions": v1.EndSessionsRequest(),
        "ExportUser": v1.ExportUserRequest(user=ids["boris"], page_size=3),
        "EndUserSessions": v1.EndUserSessionsRequest(user=ids["boris"]),
        "DisableUser": v1.DisableUserRequest(user=ids["boris"]),
        "EnableUser": v1.EnableUserRequest(user=ids["boris"]),
    }


def transfers(there: World) -> dict[str, Message]:
    """Those that make one or several."""
    other, ids = there.other, there.ids
    transfer = v1.CreateTransferRequest(to_account=other, amount="0.50", metadata={"a": "b"})
    return {
        "CreateTransfer": transfer,
        "BatchCreateTransfers": v1.BatchCreateTransfersRequest(
            requests=[transfer, v1.CreateTransferRequest(to_account=other, amount="x")]
        ),
        "CreateSplit": v1.CreateSplitRequest(
            amount="0.05",
            receivers=[
                v1.SplitReceiver(to_account=other, weight=1),
                v1.SplitReceiver(to_account=ids["third"], weight=2),
            ],
        ),
        "BatchCreateMovements": v1.BatchCreateMovementsRequest(
            requests=[
                v1.CreateMovementRequest(
                    create_deposit=v1.CreateDepositRequest(amount="0.50", metadata={"a": "b"}),
                    linked=True,
                ),
                v1.CreateMovementRequest(create_transfer=transfer),
                v1.CreateMovementRequest(create_hold=v1.CreateHoldRequest(amount="x")),
            ]
        ),
    }


def exchanges(there: World) -> dict[str, Message]:
    """Those about rates, quotes and exchanges."""
    account, ids = there.account, there.ids
    return {
        "CreateQuote": v1.CreateQuoteRequest(
            from_currency="RUB", to_currency="USD", from_amount="100.50"
        ),
        "GetQuote": v1.GetQuoteRequest(quote=ids["quote"]),
        "CreateExchange": v1.CreateExchangeRequest(quote=ids["quote"], metadata={"a": "b"}),
        "GetExchange": v1.GetExchangeRequest(exchange=ids["exchange"]),
        "ListExchanges": v1.ListExchangesRequest(account=account, count_total=True),
        "ListCurrencies": v1.ListCurrenciesRequest(),
        "GetRate": v1.GetRateRequest(from_currency="USD", to_currency="RUB"),
        "ListRates": v1.ListRatesRequest(base_currency="USD"),
    }


def oversight(there: World) -> dict[str, Message]:
    """Those about approvals, the audit log, events and the ledger."""
    opened = v1.EventFilter(types=["balance.v1.account.opened", "balance.v1.user.created"])
    return {
        "ListEvents": v1.ListEventsRequest(page_size=1, filter=opened),
        "WatchEvents": v1.WatchEventsRequest(filter=opened, start_time=Timestamp(seconds=1)),
        "GetTrialBalance": v1.GetTrialBalanceRequest(time=Timestamp(seconds=60)),
        "ExportJournal": v1.ExportJournalRequest(
            start_time=Timestamp(seconds=60), end_time=Timestamp(seconds=120)
        ),
        "ListAuditEvents": v1.ListAuditEventsRequest(
            filter=v1.AuditFilter(action="approval.requested"), count_total=True
        ),
        "ListApprovals": v1.ListApprovalsRequest(page_size=1, count_total=True),
        "ApproveChange": v1.ApproveChangeRequest(
            approval=there.ids["to approve"], reason="Pourquoi pas ?"
        ),
        "RejectChange": v1.RejectChangeRequest(approval=there.ids["to reject"]),
    }


def follow_ups(there: World) -> dict[str, Message]:
    """Those about reversals and holds."""
    account, other, ids = there.account, there.other, there.ids
    return {
        "CreateHold": v1.CreateHoldRequest(to_account=other, amount="1", description="Why"),
        "CaptureHold": v1.CaptureHoldRequest(hold=ids["captured"], amount="1"),
        "VoidHold": v1.VoidHoldRequest(hold=ids["voided"], reason="Why"),
        "GetHold": v1.GetHoldRequest(hold=ids["held"]),
        "ListHolds": v1.ListHoldsRequest(account=account, page_size=1, count_total=True),
        "ReverseDeposit": v1.ReverseDepositRequest(
            deposit=ids["deposit"], amount="1", reason="Why", metadata={"a": "b"}
        ),
        "ReverseWithdrawal": v1.ReverseWithdrawalRequest(
            withdrawal=ids["withdrawal"], reason="Why"
        ),
        "RefundPurchase": v1.RefundPurchaseRequest(purchase=ids["purchase"], reason="Why"),
        "ReverseTransfer": v1.ReverseTransferRequest(
            transfer=ids["transfer"], amount="1", reason="Why"
        ),
        "ReverseExchange": v1.ReverseExchangeRequest(
            exchange=ids["exchange"], amount="1", reason="Why"
        ),
        "ListMovements": v1.ListMovementsRequest(reference="r 1/2", count_total=True),
        "GetReceipt": v1.GetReceiptRequest(movement=ids["deposit"]),
        "GetCheckpoint": v1.GetCheckpointRequest(checkpoint="1"),
        "ListCheckpoints": v1.ListCheckpointsRequest(order_by="date", page_size=1),
        "GetReversal": v1.GetReversalRequest(reversal=ids["reversal"]),
    }


async def test_every_method_answers_the_same_both_ways(service: Service) -> None:
    there = await world(service)
    admin, token = there.admin, there.admin.token.token
    table = requests(there)
    # Those that need a secret which works once are compared below, in test_second_factors.py and in
    # test_sessions.py; one that nothing of its user is left after, in test_erasure.py; and what
    # admins may not do, in test_external_ids.py.
    tried = {
        "EnsureUser",
        "CreateToken",
        "RefreshToken",
        "ConfirmSecondFactor",
        "RemoveSecondFactor",
        "ChangeEmail",
        "EraseUser",
        # Bytes, compared in test_statement_files.py.
        "DownloadStatement",
        # One run at a time, compared in test_verify_ledger.py.
        "VerifyLedger",
        *filter(cluster.refuses, table),
    }
    for binding in BY_METHOD.values():
        name = binding.method.descriptor.name
        if name in tried:
            continue
        tried.add(name)
        request: Any = table[name]
        repeatable = "request_id" in binding.method.input.fields_by_name
        if name == "CloseAccount":
            for held in (await admin.client.holds.ListHolds(OPEN)).holds:
                await admin.client.holds.VoidHold(v1.VoidHoldRequest(hold=held.id))
            balance = await admin.balance(there.account)
            await admin.client.withdrawals.CreateWithdrawal(
                v1.CreateWithdrawalRequest(amount=balance)
            )
        if repeatable:
            request.request_id = str(uuid4())
        data = await over_http(admin, binding, request)
        if name == "SendConfirmationCode":
            request.email = "other@example.com"
            data["email"] = request.email
        answered = await over_grpc(service, binding, request, token)
        if name in BATCHES:
            # An outcome says of itself whether it is a replay.
            assert answered.answer is not None
            for outcome in answered.answer.outcomes:  # type: ignore[attr-defined]
                outcome.replayed = False
        elif repeatable:
            assert answered.trailers["idempotency-replayed"] == "true", name
        assert_same(answered.answer, data)
    assert tried == {binding.method.descriptor.name for binding in BINDINGS}


async def test_tokens_are_given_the_same_both_ways(service: Service) -> None:
    client_secret = await _secret(service)
    create = BY_METHOD["/balance.v1.AuthService/CreateToken"]
    request = v1.CreateTokenRequest(client_id="billing", client_secret=client_secret)
    anna, boris = await service.person(), await service.person()
    assert_same(
        (await over_grpc(service, create, request, "")).answer,
        await over_http(anna, create, request),
    )
    refresh = BY_METHOD["/balance.v1.AuthService/RefreshToken"]
    theirs = [
        v1.RefreshTokenRequest(refresh_token=person.token.refresh_token) for person in (anna, boris)
    ]
    assert_same(
        (await over_grpc(service, refresh, theirs[0], "")).answer,
        await over_http(boris, refresh, theirs[1]),
    )


async def _secret(service: Service) -> str:
    return await administration.create_service_principal(
        service.settings, "billing", "", [Scope.DEPOSITS_WRITE]
    )


@pytest.mark.parametrize("language", ["en", "ru"])
async def test_every_method_refuses_the_same_both_ways(service: Service, language: str) -> None:
    stranger = await service.person()
    for binding in BY_METHOD.values():
        for person_token in ("", "forged", stranger.token.token):
            request = _foreign(binding)
            refused = await over_grpc(service, binding, request, person_token, language)
            if refused.answer is not None:
                unnamed = binding.method.descriptor.name in UNNAMED
                assert binding.method.public or binding.method.reads or unnamed
                continue
            http = service.http.signed_in(person_token)
            path, body = as_http(binding, request)
            answer = await http(binding.verb, path, body, accept_language=language)
            assert_same_refusal(refused, answer)


def _foreign(binding: Binding) -> Message:
    """A request for things that are nobody's."""
    request: Message = GetMessageClass(binding.method.input)()
    for name in binding.variables:
        setattr(request, name, "0190a1b2-0000-7000-8000-00000000abcd")
    if "update_mask" in binding.method.input.fields_by_name:
        request.update_mask.paths.append("name")  # type: ignore[attr-defined]
    if isinstance(request, account_pb2.CreateAccountRequest):
        request.user = "0190a1b2-0000-7000-8000-00000000abcd"
    return request


async def test_every_wrong_field_is_refused_the_same_both_ways(service: Service) -> None:
    anna, admin = await service.person(), await service.admin()
    account, other = await anna.open(), await admin.open()
    await anna.deposit("100", account.id)
    sold = await admin.client.purchases.CreateService(
        v1.CreateServiceRequest(service=v1.Service(name="Coffee", price="10"))
    )
    tried = 0
    for method, request, _ in cases(account.id, sold.id, other.id):
        binding = BY_METHOD[f"/balance.v1.{method}"]
        try:
            path, body = as_http(binding, request)
        except (json_format.Error, KeyError):
            continue  # JSON has no form for it, or the path would be another.
        if "=99" in path:
            continue  # Over HTTP an enum is given by its names, which this one lacks.
        refused = await over_grpc(service, binding, request, anna.token.token)
        answer = await anna.http(binding.verb, path, body)
        assert_same_refusal(refused, answer)
        tried += 1
    assert tried > 200
