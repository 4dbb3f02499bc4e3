"""Every RPC, each field: what is wrong is named, and nothing is changed."""

import gc
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.api import field_behavior_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.rpc import error_details_pb2

from balance_client import AsyncUserCredentials, BalanceError, v1
from balance_service.domain.principals import Scope
from tests.bad_requests import LONG, cases
from tests.service import Contents, Person, Service, refused
from tests.write_races import answer_said


async def call(service: Service, person: Person, method: str, request: Message) -> BalanceError:
    metadata = grpc.aio.Metadata(("authorization", f"Bearer {person.token.token}"))
    client = service.client()
    name, _, rpc = method.partition("/")
    with pytest.raises(BalanceError) as error:
        await getattr(getattr(client, stubs()[name]), rpc)(request, metadata=metadata)
    return error.value


def stubs() -> dict[str, str]:
    named = [name.removesuffix("Service") for name, _ in ALL_METHODS]
    odd = {"Auth": "auth", "Batch": "batches"}
    return {f"{name}Service": odd.get(name, f"{name.lower()}s") for name in named}


async def test_every_wrong_field_is_named_and_nothing_is_changed(
    service: Service, contents: Callable[[], Contents]
) -> None:
    anna, admin = await service.person(), await service.admin()
    account, other = await anna.open(), await admin.open()
    await anna.deposit("100", account.id)
    sold = await admin.client.purchases.CreateService(
        v1.CreateServiceRequest(service=v1.Service(name="Coffee", price="10"))
    )
    before = contents()
    tried = 0
    for method, request, field in cases(account.id, sold.id, other.id):
        error = await call(service, anna, method, request)
        told = (error.code(), error.reason, [violation.field for violation in error.violations])
        expected = (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", [field])
        assert told == expected, (method, request)
        tried += 1
    assert tried > 200
    assert contents() == before


async def test_all_wrong_fields_are_named_at_once(service: Service) -> None:
    person = await service.person()
    request = v1.CreateTransferRequest(
        from_account="x", to_account="y", amount="-1", currency="BTC", request_id="z\n"
    )
    error = await call(service, person, "TransferService/CreateTransfer", request)
    assert {violation.field for violation in error.violations} == {
        "from_account",
        "to_account",
        "amount",
        "currency",
        "request_id",
    }


# A currency or a filter is not needed to see that these are no amounts, whatever the field.
WRONG: dict[int, object] = {
    FieldDescriptor.TYPE_STRING: "\x00" * 300,
    FieldDescriptor.TYPE_INT32: -1,
    FieldDescriptor.TYPE_ENUM: 99,
}
# Read when all else is right: one was changed by another, the other not made by us.
READ_LAST = {"page_token", "etag"}


def make_wrong(message: Any, path: str = "") -> set[str]:
    """Makes every field wrong that can be; their names."""
    named: set[str] = set()
    for field in message.DESCRIPTOR.fields:
        name = path + field.name
        behaviours = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
        if field.name in READ_LAST or field_behavior_pb2.OUTPUT_ONLY in behaviours:
            continue
        if field.type in WRONG and not field.is_repeated:
            setattr(message, field.name, WRONG[field.type])
        elif field.type == field.TYPE_STRING:
            getattr(message, field.name).append(LONG)
            named.add(f"{name}[0]")
            continue
        elif field.name == "metadata":
            message.metadata.update({"Key": "", "k": LONG, "j": "\x00"})
            named |= {"metadata.k", "metadata.j"}
        elif field.message_type is not None and field.message_type.name == "Timestamp":
            getattr(message, field.name).seconds = 10**15
        elif field.message_type is not None and field.message_type.name == "FieldMask":
            changed = {
                "User": "username first_name last_name bio",
                "Service": "name price currency",
            }
            (kind,) = {f.message_type.name for f in message.DESCRIPTOR.fields if f.message_type} & {
                *changed
            }
            message.update_mask.paths.extend(["nothing", *changed[kind].split()])
        elif not field.is_repeated and field.message_type is not None:
            named |= make_wrong(getattr(message, field.name), f"{name}.")
            continue
        elif not field.is_repeated:
            continue
        named.add(name)
    return named


async def violations(call: Any, *, streams: bool) -> list[str]:
    """The fields that a refused call names, or the first outcome of its stream."""
    try:
        if not streams:
            await call
        async for outcome in call:
            bad = error_details_pb2.BadRequest()
            assert any(detail.Unpack(bad) for detail in outcome.error.details)
            return [violation.field for violation in bad.field_violations]
    except BalanceError as error:
        assert error.reason == "INVALID_FIELD"
        return [violation.field for violation in error.violations]
    raise AssertionError("was not refused")


async def test_every_method_names_all_its_wrong_fields_at_once(service: Service) -> None:
    admin = await service.admin()
    client = service.client(AsyncUserCredentials(admin.token))
    crm = await service.sibling(Scope.USERS_WRITE)
    fields_tried = 0
    for name, method in ALL_METHODS:
        if method.name in ("CreateSchedule", "UpdateSchedule"):
            # Of two requests within it, it has one: test_schedule_input.py.
            continue
        request = getattr(v1, method.input_type.name)()
        expected = make_wrong(request)
        if method.name == "CreateToken":
            # It is one pair or the other.
            request.ClearField("client_id")
            request.ClearField("client_secret")
            expected -= {"client_id", "client_secret"}
        if method.name in ("UpdateMe", "UpdateUser", "UpdateService"):
            # What the mask does not name is not looked at.
            expected -= {"user.role", "service.description"}
        if not expected:
            continue
        # Admins make no users.
        caller = crm if method.name == "EnsureUser" else client
        call = getattr(getattr(caller, stubs()[name]), method.name)(
            iter([request]) if method.client_streaming else request
        )
        found = await violations(call, streams=method.server_streaming)
        assert sorted(found) == sorted(expected), method.full_name
        fields_tried += len(expected)
    assert fields_tried > 120


async def test_an_update_that_keeps_the_currency_names_what_is_wrong_at_once(
    service: Service,
) -> None:
    admin = await service.admin()
    request = v1.UpdateServiceRequest(
        id="x",
        service=v1.Service(price="1.0001", description="x" * 1001),
        update_mask=FieldMask(paths=["price", "description"]),
    )
    error = await call(service, admin, "PurchaseService/UpdateService", request)
    fields = {violation.field for violation in error.violations}
    assert fields == {"id", "service.price", "service.description"}


async def test_services_hear_at_once_that_they_must_name_an_account(service: Service) -> None:
    sibling = await service.sibling(*Scope)
    calls: dict[str, Any] = {
        "account": sibling.deposits.CreateDeposit(v1.CreateDepositRequest(amount="x")),
        "from_account": sibling.transfers.CreateTransfer(v1.CreateTransferRequest(amount="x")),
        "user": sibling.accounts.CreateAccount(v1.CreateAccountRequest(currency="x")),
    }
    for field, made in calls.items():
        named = {violation.field for violation in (await refused(made)).violations}
        assert field in named
        assert named & {"amount", "currency"}


ALL_METHODS = [
    (service.name, method)
    for module in (
        "account",
        "auth",
        "batch",
        "deposit",
        "event",
        "exchange",
        "proof",
        "purchase",
        "rate",
        "report",
        "schedule",
        "statement",
        "transfer",
        "user",
        "withdrawal",
    )
    for service in __import__(
        f"balance_client._generated.balance.v1.{module}_pb2", fromlist=["DESCRIPTOR"]
    ).DESCRIPTOR.services_by_name.values()
    for method in service.methods
]


@pytest.mark.parametrize(
    ("name", "method"), ALL_METHODS, ids=[f"{name}.{m.name}" for name, m in ALL_METHODS]
)
async def test_bytes_that_are_no_message_are_refused_once_it_is_known_who_calls(
    service: Service, name: str, method: Any
) -> None:
    token = (await service.person()).token.token
    metadata = [("authorization", f"Bearer {token}")]
    code, details = await over_grpc(service, f"{name}/{method.name}", b"\xff" * 4, metadata)
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert b"MALFORMED_REQUEST" in details
    for stranger, reason in (([], b"TOKEN_MISSING"), ([metadata[0]] * 2, b"INVALID_FIELD")):
        if method.name not in PUBLIC or stranger:
            code, details = await over_grpc(service, f"{name}/{method.name}", b"\xff" * 4, stranger)
            assert reason in details


async def over_grpc(
    service: Service, method: str, message: bytes, metadata: list[tuple[str, str]]
) -> tuple[grpc.StatusCode, bytes]:
    """The code and the details of a call that must be refused, with the bytes as its message."""
    async with grpc.aio.insecure_channel(service.target) as channel:
        path = f"/balance.v1.{method}"
        stream: Any = channel.stream_stream(path)
        call: Any = channel.unary_unary(path)

        async def ask() -> None:
            if "/Stream" not in method:
                await call(message, metadata=metadata)
                return
            async for _ in stream(iter([message]), metadata=metadata):
                pass

        with pytest.raises(grpc.aio.AioRpcError) as error:
            await answer_said(ask)
    trailers = dict(error.value.trailing_metadata() or ())
    return error.value.code(), trailers["grpc-status-details-bin"]


PUBLIC = {
    "SendConfirmationCode",
    "CreateToken",
    "RefreshToken",
    "RevokeToken",
    "GetJwks",
    "ListServices",
    "GetService",
    "ListCurrencies",
    "GetRate",
    "ListRates",
}


@pytest.mark.parametrize(
    ("name", "method"),
    [(name, m) for name, m in ALL_METHODS if m.name not in PUBLIC],
    ids=[f"{name}.{m.name}" for name, m in ALL_METHODS if m.name not in PUBLIC],
)
async def test_every_other_method_needs_a_token(service: Service, name: str, method: Any) -> None:
    stub = getattr(service.client(), stubs()[name])
    request = getattr(v1, method.input_type.name)()
    with pytest.raises(BalanceError) as error:
        answering = getattr(stub, method.name)(
            iter([request]) if method.client_streaming else request
        )
        if method.server_streaming:
            async for _ in answering:
                pass
        await answering
    assert (error.value.code(), error.value.reason) == (
        grpc.StatusCode.UNAUTHENTICATED,
        "TOKEN_MISSING",
    )


# How users sign in, as what AuthService does: codes work once by themselves, a stored answer would
# be a stored secret, and what is over or removed stays so. Whoever was ensured is there.
WITHOUT_REQUEST_ID = {
    "EnrolSecondFactor",
    "ConfirmSecondFactor",
    "RemoveSecondFactor",
    "ResetSecondFactor",
    "EndSession",
    "EndSessions",
    "EndUserSessions",
    "ChangeEmail",
    "EraseUser",
    "EnsureUser",
}


def test_every_request_that_changes_something_takes_a_request_id() -> None:
    for name, method in ALL_METHODS:
        if name == "AuthService" or method.GetOptions().idempotency_level == 1:
            continue
        if method.name in WITHOUT_REQUEST_ID:
            continue
        field = method.input_type.fields_by_name.get("request_id")
        assert field is not None, method.full_name
        assert field.type == FieldDescriptor.TYPE_STRING


async def test_refused_request_is_freed_at_once(service: Service) -> None:
    """And not when garbage is collected, which is seldom: large ones would pile up."""
    kind = v1.BatchCreateTransfersRequest
    items = [v1.CreateTransferRequest(amount="1") for _ in range(1001)]
    large = kind(requests=items).SerializeToString()
    metadata = (("authorization", f"Bearer {(await service.person()).token.token}"),)
    async with grpc.aio.insecure_channel(service.target) as channel:
        call: Any = channel.unary_unary("/balance.v1.TransferService/BatchCreateTransfers")
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                with pytest.raises(grpc.aio.AioRpcError):
                    await call(large, metadata=metadata)
            left = [found for found in gc.get_objects() if type(found).__name__ == kind.__name__]
        finally:
            gc.enable()
    assert not left
