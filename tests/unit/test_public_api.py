"""What others build on: the client's names, the contract's messages, the reasons, the commands."""

import inspect
from types import ModuleType

import typer

import balance_client
from balance_client import Client, Reason, v1
from balance_service import cli
from balance_service._generated.balance.v1 import error_reason_pb2
from balance_service.calls.methods import load_contract

EXPORTS = {
    "Amount",
    "AsyncClient",
    "AsyncCredentials",
    "AsyncServiceCredentials",
    "AsyncUserCredentials",
    "Balance",
    "BalanceError",
    "CheckedReceipt",
    "Client",
    "Credentials",
    "Money",
    "Proved",
    "Reason",
    "ReceiptInvalid",
    "RetryPolicy",
    "ServiceCredentials",
    "UserCredentials",
    "Violation",
    "WebhookInvalid",
    "async_each",
    "check_receipt",
    "each",
    "money",
    "to_decimal",
    "v1",
    "verify_webhook",
}
SERVICES = {
    "accounts",
    "approvals",
    "audits",
    "auth",
    "batches",
    "deposits",
    "events",
    "exchanges",
    "holds",
    "ledgers",
    "movements",
    "proofs",
    "purchases",
    "rates",
    "reports",
    "reversals",
    "statements",
    "schedules",
    "transfers",
    "users",
    "webhooks",
    "withdrawals",
}
COMMANDS: dict[str, set[str]] = {
    "account": {
        "changes",
        "close",
        "download",
        "find",
        "freeze",
        "limit",
        "reopen",
        "show",
        "statement",
        "sub-accounts",
        "unfreeze",
    },
    "admin": {"create", "list", "revoke"},
    "approval": {"list"},
    "audit": {"export", "list"},
    "backup": {"create", "list"},
    "checkpoint": {"export"},
    "cluster": {"distribute", "status"},
    "config": {"check", "show"},
    "demo": set(),
    "deposit": {"reverse"},
    "exchange": {"reverse"},
    "export-events": set(),
    "gateway": set(),
    "health": set(),
    "hold": {"show", "void"},
    "index-metadata": set(),
    "journal": {"build-totals", "export"},
    "keys": {"list", "retire", "revoke", "rotate", "show"},
    "migrate": {"plan", "status", "up"},
    "movement": {"find", "show"},
    "purchase": {"refund"},
    "restore": set(),
    "run": set(),
    "schedule": {"cancel", "list", "occurrences", "pause", "resume", "show"},
    "secret": {"reseal"},
    "serve": set(),
    "service-principal": {
        "bind",
        "create",
        "list",
        "revoke",
        "revoke-secret",
        "rotate",
        "show",
        "unbind",
    },
    "archives": {"list", "restore", "write"},
    "partitions": {"convert", "list", "prepare"},
    "sizing": set(),
    "token": set(),
    "transfer": {"reverse"},
    "user": {"disable", "enable", "end-sessions", "erase", "export", "find", "list", "show"},
    "verify": set(),
    "withdrawal": {"reverse"},
    "webhook": {"deliveries", "disable", "list", "redeliver"},
}


def public(module: ModuleType) -> set[str]:
    """The names of a module that are no submodules and not its own affair."""
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and (not inspect.ismodule(value) or value is v1)
    }


def test_client_exports_what_it_says() -> None:
    assert set(balance_client.__all__) == public(balance_client) == EXPORTS
    assert len(balance_client.__all__) == len(EXPORTS)
    from balance_client._generated.balance.v1 import account_pb2 as theirs
    from balance_service._generated.balance.v1 import account_pb2 as ours

    assert ours.DESCRIPTOR.serialized_pb == theirs.DESCRIPTOR.serialized_pb


async def test_both_clients_have_every_service() -> None:
    assert len(SERVICES) == sum(len(file.services_by_name) for file in load_contract())
    for kind in (Client, balance_client.AsyncClient):
        assert set(inspect.get_annotations(kind)) | set(vars(kind("localhost:1"))) >= SERVICES, kind


def test_v1_has_every_message_and_enum_of_the_contract() -> None:
    # Options say what fields and methods are: no caller sends them.
    files = [file for file in load_contract() if file.name != "balance/v1/options.proto"]
    declared = {
        name
        for file in files
        for names in (file.message_types_by_name, file.enum_types_by_name)
        for name in names
    }
    values = {
        value
        for file in files
        for enum in file.enum_types_by_name.values()
        for value in enum.values_by_name
    }
    assert declared | values <= set(vars(v1))


def test_every_list_can_be_read_by_each() -> None:
    lists = [
        method.input_type.fields_by_name
        for file in load_contract()
        for service in file.services_by_name.values()
        for method in service.methods
        # An export is no list: it is read from its start to its end. A log has no end, and reports
        # are read whole.
        if "next_page_token" in method.output_type.fields_by_name
        and method.name
        not in ("ExportUser", "ListEvents", "ListBalances", "SearchMovements", "SalesByService")
    ]
    assert lists
    for fields in lists:
        assert {"page_token", "skip", "count_total"} <= set(fields)


def test_reason_has_every_value_of_the_contract() -> None:
    enum = error_reason_pb2.DESCRIPTOR.enum_types_by_name["ErrorReason"]
    values = {name.removeprefix("ERROR_REASON_") for name in enum.values_by_name}
    assert {reason.name for reason in Reason} == values - {"UNSPECIFIED"}


def test_commands_are_those_of_the_manual() -> None:
    group = typer.main.get_command(cli.app)
    shown = {
        name: set(getattr(command, "commands", ()))
        for name, command in group.commands.items()  # type: ignore[attr-defined]
        if not command.hidden
    }
    assert shown == COMMANDS
