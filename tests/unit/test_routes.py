"""Which binding a path leads to, and what its variables are."""

import pytest

from balance_service.calls.methods import load_contract
from balance_service.gateway import routes
from balance_service.gateway.routes import Binding, RouteMissing, Routes, VerbNotAllowed

CONTRACT = Routes(routes.read_bindings(load_contract()))
ID = "0190a1b2-0000-7000-8000-000000000001"


def found(verb: str, path: str) -> tuple[str, dict[str, str]]:
    binding, variables = CONTRACT.find(verb, path)
    return binding.method.descriptor.name, dict(variables)


@pytest.mark.parametrize(
    ("verb", "path", "method", "variables"),
    [
        ("GET", "/api/v1/accounts", "ListAccounts", {}),
        ("GET", "/api/v1/accounts/", "ListAccounts", {}),
        ("GET", f"/api/v1/accounts/{ID}", "GetAccount", {"account": ID}),
        ("GET", f"/api/v1/accounts/{ID}/entries/", "ListEntries", {"account": ID}),
        ("POST", f"/api/v1/accounts/{ID}:freeze", "FreezeAccount", {"account": ID}),
        ("GET", f"/api/v1/accounts/{ID}:watch/", "WatchAccount", {"account": ID}),
        ("GET", "/api/v1/accounts/a%2Fb%3Ac", "GetAccount", {"account": "a/b:c"}),
        ("GET", "/api/v1/users/me", "GetMe", {}),
        ("GET", "/api/v1/users/you", "GetUser", {"user": "you"}),
        ("PATCH", "/api/v1/users/you", "UpdateUser", {"id": "you"}),
        ("GET", "/api/v1/transfers/to_my_account/", "ListReceivedTransfers", {}),
        ("POST", "/api/v1/transfers:batchCreate", "BatchCreateTransfers", {}),
        ("POST", "/api/v1/actions:batchCreate", "BatchCreateDeposits", {}),
        ("POST", "/api/v1/users:lookup", "LookupUser", {}),
        ("POST", "/api/v1/users:ensure", "EnsureUser", {}),
        ("GET", "/api/v1/accounts:lookup", "LookupAccount", {}),
        ("POST", "/api/v1/transfers:split/", "CreateSplit", {}),
        ("POST", "/api/v1/movements:batchCreate", "BatchCreateMovements", {}),
        ("GET", "/api/v1/audit_events/", "ListAuditEvents", {}),
        ("GET", "/api/v1/events/", "ListEvents", {}),
        ("GET", "/api/v1/events:watch", "WatchEvents", {}),
        ("GET", "/api/v1/ledger/trial-balance/", "GetTrialBalance", {}),
        ("GET", "/api/v1/ledger/journal:export", "ExportJournal", {}),
        ("GET", "/api/v1/webhooks/endpoints/", "ListWebhookEndpoints", {}),
        ("DELETE", f"/api/v1/webhooks/endpoints/{ID}", "DeleteWebhookEndpoint", {"endpoint": ID}),
        ("POST", f"/api/v1/webhooks/endpoints/{ID}:replay", "ReplayEvents", {"endpoint": ID}),
        (
            "POST",
            f"/api/v1/webhooks/endpoints/{ID}/deliveries/e1:redeliver",
            "RedeliverWebhookDelivery",
            {"endpoint": ID, "event": "e1"},
        ),
        ("GET", f"/api/v1/accounts/{ID}/statement/", "GetStatement", {"account": ID}),
        ("GET", "/api/v1/balances/", "ListBalances", {}),
        ("GET", "/api/v1/movements:search", "SearchMovements", {}),
        ("GET", "/api/v1/reports/sales/", "SalesByService", {}),
        ("POST", f"/api/v1/approvals/{ID}:approve", "ApproveChange", {"approval": ID}),
        ("GET", f"/api/v1/movements/{ID}/receipt", "GetReceipt", {"movement": ID}),
        ("GET", "/api/v1/checkpoints/latest/", "GetCheckpoint", {"checkpoint": "latest"}),
        ("GET", "/api/v1/checkpoints/", "ListCheckpoints", {}),
        ("GET", "/api/v1/ledger:verify", "VerifyLedger", {}),
        ("GET", "/.well-known/jwks.json", "GetJwks", {}),
        ("GET", f"/api/v1/services/{ID}/purchase/", "CreatePurchase", {"service": ID}),
    ],
)
def test_path_leads_to_its_method(
    verb: str, path: str, method: str, variables: dict[str, str]
) -> None:
    assert found(verb, path) == (method, variables)


@pytest.mark.parametrize(
    "path",
    ["/", "/api/v1", "/api/v1/accounts//", f"/api/v1/accounts/{ID}:thaw", "/api/v1/accounts/a/b/c",
     "/api/v1/Accounts", "/api/v1/accountsx", "/api/v1/transfers:batchcreate"],
)  # fmt: skip
def test_other_paths_lead_nowhere(path: str) -> None:
    with pytest.raises(RouteMissing):
        CONTRACT.find("GET", path)


def test_other_verbs_are_told_those_that_there_are() -> None:
    with pytest.raises(VerbNotAllowed) as error:
        CONTRACT.find("DELETE", "/api/v1/accounts")
    assert error.value.allowed == ["GET", "POST"]
    with pytest.raises(VerbNotAllowed) as error:
        CONTRACT.find("GET", f"/api/v1/accounts/{ID}:freeze")
    assert error.value.allowed == ["POST"]


def test_variable_that_is_no_utf8_is_an_error() -> None:
    with pytest.raises(UnicodeDecodeError):
        CONTRACT.find("GET", "/api/v1/accounts/%ff")


def binding(template: str) -> Binding:
    return Binding("GET", template, "", CONTRACT.bindings[0].method)


@pytest.mark.parametrize(
    ("template", "path", "variables"),
    [
        ("/v1/{name=shelves/*/books/*}", "/v1/shelves/1/books/2", {"name": "shelves/1/books/2"}),
        ("/v1/{name=shelves/*}:sell", "/v1/shelves/1:sell", {"name": "shelves/1"}),
        ("/v1/{book.name}/{page}", "/v1/a/b", {"book.name": "a", "page": "b"}),
        ("/v1/{path=**}", "/v1/a/b/c", {"path": "a/b/c"}),
        ("/v1/*/things", "/v1/any/things", {}),
    ],
)
def test_templates_of_google_api_http(template: str, path: str, variables: dict[str, str]) -> None:
    one = binding(template)
    assert dict(Routes([one]).find("GET", path)[1]) == variables


def test_more_literal_templates_win_whatever_their_order() -> None:
    templates = ["/v1/{a}/{b}", "/v1/{a=**}", "/v1/x/{b}", "/v1/{a}/y", "/v1/x/y"]
    for ordered in (templates, templates[::-1]):
        known = Routes(map(binding, ordered))
        for path, template in {
            "/v1/x/y": "/v1/x/y",
            "/v1/x/z": "/v1/x/{b}",
            "/v1/z/y": "/v1/{a}/y",
            "/v1/z/z": "/v1/{a}/{b}",
            "/v1/z/z/z": "/v1/{a=**}",
        }.items():
            assert known.find("GET", path)[0].template == template, path


def test_every_method_of_the_contract_has_a_path_but_those_that_read_a_stream() -> None:
    methods = {
        descriptor.full_name
        for file in load_contract()
        for service in file.services_by_name.values()
        for descriptor in service.methods
        if not descriptor.client_streaming
    }
    assert methods == {one.method.descriptor.full_name for one in CONTRACT.bindings}


def test_reads_are_gets_without_a_body() -> None:
    for one in CONTRACT.bindings:
        # It looks for an address, which does not belong in a URL.
        if one.method.reads and one.method.descriptor.name != "LookupUser":
            assert (one.verb, one.body) == ("GET", "")
        assert one.verb != "GET" or not one.body


def test_methods_that_make_a_resource_say_so() -> None:
    creating = {b.method.descriptor.name for b in CONTRACT.bindings if b.method.creates}
    movements = {"Deposit", "Withdrawal", "Purchase", "Transfer", "Exchange", "Hold"}
    others = {"Account", "Service", "Quote", "WebhookEndpoint", "Schedule"}
    assert creating == {f"Create{name}" for name in movements | others}
