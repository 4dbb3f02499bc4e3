"""A key sent again with the same request, however it is spelled, and with another one: every RPC
of the descriptors that takes a request id, over gRPC and over HTTP."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import grpc
import psycopg
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2

from balance_client import v1
from tests import contract
from tests.http import BY_METHOD
from tests.service import Contents, Person, Service, refused

METHODS = {
    method.descriptor.name: method
    for method in contract.METHODS
    if "request_id" in method.input.fields_by_name
}


@dataclass(frozen=True)
class Row:
    """A request, the same spelled differently, and others by the field that differs.

    A different one names, as its key, a field that the refusal must name.
    """

    first: Message
    equal: Sequence[Message]
    different: Mapping[str, Message] = field(default_factory=dict)


@dataclass(frozen=True)
class World:
    """Who asks, and what about: ids as they are told, in small letters."""

    admin: Person
    account: str
    other: v1.Account
    empty: str
    sold: str
    second: str
    boris: str


async def world(service: Service) -> World:
    admin, boris = await service.admin(), await service.person()
    account, other, empty = await admin.open(), await boris.open(), await boris.open("EUR")
    await admin.deposit("1000", account.id)
    sold, second = [
        await admin.client.purchases.CreateService(
            v1.CreateServiceRequest(service=v1.Service(name=name, price="10"))
        )
        for name in ("Tea", "Milk")
    ]
    return World(admin, account.id, other, empty.id, sold.id, second.id, boris.user_id)


def rows(there: World) -> dict[str, Row]:
    """A row for every method, by its name; in an order in which they all succeed."""
    return accounts(there) | movements(there) | catalogue(there) | users(there)


def accounts(there: World) -> dict[str, Row]:
    create, limit = v1.CreateAccountRequest, v1.SetAccountLimitRequest
    other, empty = there.other.id, there.empty
    me = there.admin.user_id

    def operator(kind: Callable[..., Message], account: str) -> Row:
        different = {"account": kind(account=there.account)}
        return Row(kind(account=account), [kind(account=account.upper())], different)

    return {
        "CreateAccount": Row(
            create(),
            [create(currency="RUB"), create(user=me), create(currency="RUB", user=me.upper())],
            {"currency": create(currency="EUR"), "user": create(user=there.boris)},
        ),
        "FreezeAccount": operator(v1.FreezeAccountRequest, other),
        "UnfreezeAccount": operator(v1.UnfreezeAccountRequest, other),
        "CloseAccount": operator(v1.CloseAccountRequest, empty),
        "SetAccountLimit": Row(
            limit(account=other, limit="100"),
            [limit(account=other.upper(), limit="100.00"), limit(account=other, limit="100.0")],
            {
                "limit": limit(account=other, limit="100.01"),
                "account": limit(account=there.account, limit="100"),
            },
        ),
    }


def movements(there: World) -> dict[str, Row]:
    account, other = there.account, there.other
    transfer = v1.CreateTransferRequest
    sent = transfer(to_account=other.id, amount="5", metadata={"a": "1", "b": "2"})
    sent_equal = [
        transfer(
            from_account=account.upper(),
            to_account=other.id.upper(),
            amount="5.0",
            currency="RUB",
            metadata={"b": "2", "a": "1"},
        ),
        transfer(to_account=other.number, amount="5.00", metadata={"a": "1", "b": "2"}),
    ]
    sent_different = {
        "amount": transfer(to_account=other.id, amount="5.01", metadata=sent.metadata),
        "metadata": transfer(to_account=other.id, amount="5", metadata={"a": "1"}),
        "to_account": transfer(to_account=there.empty, amount="5", metadata=sent.metadata),
    }
    batch = v1.BatchCreateTransfersRequest
    buy = v1.CreatePurchaseRequest
    return {
        "CreateDeposit": settled(there, v1.CreateDepositRequest, "in"),
        "CreateWithdrawal": settled(there, v1.CreateWithdrawalRequest, "out"),
        "CreateTransfer": Row(sent, sent_equal, sent_different),
        "StreamTransfers": Row(sent, sent_equal, sent_different),
        "BatchCreateTransfers": Row(
            batch(requests=[sent]),
            [batch(requests=[same]) for same in sent_equal],
            {name: batch(requests=[one]) for name, one in sent_different.items()},
        ),
        "CreatePurchase": Row(
            buy(service=there.sold, metadata={"a": "1", "b": "2"}),
            [
                buy(service=there.sold.upper(), metadata={"b": "2", "a": "1"}),
                buy(service=there.sold, account=account.upper(), metadata={"a": "1", "b": "2"}),
            ],
            {
                "service": buy(service=there.second, metadata={"a": "1", "b": "2"}),
                "metadata": buy(service=there.sold),
            },
        ),
    }


def settled(there: World, kind: Any, reference: str) -> Row:
    said = {"description": "Why", "reference": reference}
    me = f"user:{there.admin.user_id}"
    return Row(
        kind(amount="3", **said),
        [
            kind(amount="3.00", currency="RUB", **said),
            kind(amount="3.0", account=there.account.upper(), source=me, **said),
        ],
        {
            "amount": kind(amount="3.01", **said),
            "description": kind(amount="3", reference=reference),
            "reference": kind(amount="3", description="Why"),
        },
    )


def catalogue(there: World) -> dict[str, Row]:
    create, update = v1.CreateServiceRequest, v1.UpdateServiceRequest
    service, delete, mask = v1.Service, v1.DeleteServiceRequest, ["name", "price"]
    new = service(name="Green", price="20")

    def updated(names: Sequence[str], new: v1.Service = new, sold: str = there.sold) -> Message:
        return update(id=sold, service=new, update_mask=FieldMask(paths=names))

    return {
        "CreateService": Row(
            create(service=service(name="Rye", price="3")),
            [
                create(service=service(name="Rye", price="3.00")),
                create(service=service(name="Rye", price="3.0", currency="RUB")),
            ],
            {"service": create(service=service(name="Rye", price="3", currency="USD"))},
        ),
        "UpdateService": Row(
            updated(mask),
            [
                updated(mask[::-1]),
                updated([*mask, "name"]),
                updated(mask, service(name="Green", price="20.00", description="Not named")),
                updated(mask, sold=there.sold.upper()),
            ],
            {
                "service": updated(mask, service(name="Green", price="20.01")),
                "update_mask": updated(["name"]),
                "id": updated(mask, sold=there.second),
            },
        ),
        "DeleteService": Row(
            delete(service=there.sold),
            [delete(service=there.sold.upper())],
            {"service": delete(service=there.second)},
        ),
    }


def users(there: World) -> dict[str, Row]:
    mask = ["first_name", "last_name", "bio"]
    new = v1.User(first_name="Anna", last_name="K", bio="Hm")
    more = v1.User(first_name="Anna", last_name="K", bio="Hm", username="not-named")

    def mine(names: Sequence[str], new: v1.User = new) -> Message:
        return v1.UpdateMeRequest(user=new, update_mask=FieldMask(paths=names))

    def theirs(names: Sequence[str], new: v1.User, user_id: str = there.boris) -> Message:
        return v1.UpdateUserRequest(id=user_id, user=new, update_mask=FieldMask(paths=names))

    everything = v1.User(first_name="A", username="boris", role=v1.Role.ROLE_MODERATOR)
    all_names = ["username", "first_name", "last_name", "bio", "role"]
    other = v1.User(first_name="B", username="boris", role=v1.Role.ROLE_MODERATOR)
    return {
        "UpdateMe": Row(
            mine(mask),
            [mine(mask[::-1]), mine(mask, more)],
            {
                "user": mine(mask, v1.User(first_name="Anna", last_name="K", bio="hm")),
                "update_mask": mine(mask[:2]),
            },
        ),
        "UpdateUser": Row(
            theirs(["*"], everything),
            [theirs(all_names, everything), theirs(all_names, everything, there.boris.upper())],
            {
                "user": theirs(["*"], other),
                "id": theirs(["username", "first_name"], everything, there.admin.user_id),
            },
        ),
    }


@dataclass(frozen=True)
class Told:
    """What a caller hears: an answer, new or given before, or a reason with the fields it names."""

    answer: str
    replayed: bool
    reason: str = ""
    fields: str = ""


def of_status(status: status_pb2.Status) -> Told:
    info = error_details_pb2.ErrorInfo()
    status.details[0].Unpack(info)
    return Told("", replayed=False, reason=info.reason, fields=info.metadata["fields"])


async def over_grpc(service: Service, person: Person, name: str, request: Message) -> Told:
    method = METHODS[name]
    kinds: dict[str, Any] = {
        "request_serializer": lambda message: message.SerializeToString(),
        "response_deserializer": GetMessageClass(method.output).FromString,
    }
    metadata = [("authorization", f"Bearer {person.token.token}")]
    async with grpc.aio.insecure_channel(service.target) as channel:
        try:
            if method.descriptor.client_streaming:
                stream: Any = channel.stream_stream(method.full_name, **kinds)
                return outcome(await anext(aiter(stream(iter([request]), metadata=metadata))))
            unary: Any = channel.unary_unary(method.full_name, **kinds)
            call = unary(request, metadata=metadata)
            answer, trailers = await call, dict(await call.trailing_metadata())
        except grpc.aio.AioRpcError as error:
            trailers = dict(error.trailing_metadata())
            return of_status(status_pb2.Status.FromString(trailers["grpc-status-details-bin"]))
    if name == "BatchCreateTransfers":
        return outcome(answer.outcomes[0])
    key = answer.id if hasattr(answer, "id") else ""
    return Told(key, trailers.get("idempotency-replayed") == "true")


def outcome(told: Any) -> Told:
    if told.HasField("error"):
        return of_status(told.error)
    return Told(told.transfer.id, told.replayed)


async def over_http(person: Person, name: str, request: Message) -> Told:
    answer = await person.http.call(BY_METHOD[METHODS[name].full_name], request)
    data = answer.json
    if name == "BatchCreateTransfers":
        (one,) = data["outcomes"]
        if "transfer" in one:
            return Told(one["transfer"]["id"], one["replayed"])
        data = one["error"]
    if "details" in data:
        facts = data["details"][0]
        metadata = facts.get("metadata", {})
        return Told("", replayed=False, reason=facts["reason"], fields=metadata.get("fields", ""))
    return Told(data.get("id", ""), answer.headers.get("idempotency-replayed") == "true")


def with_key(request: Message, key: str) -> Any:
    copy = type(request)()
    copy.CopyFrom(request)
    setattr(copy, "request_id", key)  # noqa: B010 - any such message
    return copy


async def told(service: Service, there: World, name: str, request: Message) -> list[Told]:
    """What a request is answered, over each way in."""
    answers = [await over_grpc(service, there.admin, name, request)]
    if METHODS[name].full_name in BY_METHOD:
        answers.append(await over_http(there.admin, name, request))
    return answers


@pytest.mark.parametrize("key", ["text", "uuid"])
async def test_equal_requests_replay_and_different_ones_are_refused(
    service: Service, key: str
) -> None:
    there = await world(service)
    table = rows(there)
    assert table.keys() == METHODS.keys()
    for name, row in table.items():
        sent = str(uuid4()) if key == "uuid" else f'{name}: order "42", part (1/2)'
        first = await over_grpc(service, there.admin, name, with_key(row.first, sent))
        assert (first.replayed, first.reason) == (False, ""), name
        for same in (row.first, *row.equal):
            again = sent.upper() if key == "uuid" else sent
            for answer in await told(service, there, name, with_key(same, again)):
                assert answer == Told(first.answer, replayed=True), (name, same)
        for differing, request in row.different.items():
            for answer in await told(service, there, name, with_key(request, sent)):
                assert answer.reason == "IDEMPOTENCY_KEY_REUSED", (name, request)
                assert differing in answer.fields.split(","), (name, answer)
        other = sent.replace("order", "Order") if key == "text" else str(uuid4())
        unlike = await over_grpc(service, there.admin, name, with_key(row.first, other))
        assert not unlike.replayed, name


async def test_key_of_another_method_is_refused(service: Service) -> None:
    there = await world(service)
    mine = {name: row for name, row in rows(there).items() if name.startswith(("Freeze", "Unfr"))}
    for row in mine.values():
        row.first.request_id = "one key"  # type: ignore[attr-defined]
    freeze, unfreeze = mine["FreezeAccount"].first, mine["UnfreezeAccount"].first
    assert (await over_grpc(service, there.admin, "FreezeAccount", freeze)).reason == ""
    for answer in await told(service, there, "UnfreezeAccount", unfreeze):
        assert answer == Told("", False, "IDEMPOTENCY_KEY_REUSED", "method")


async def test_patch_is_the_same_in_any_order_and_case_of_its_names(service: Service) -> None:
    person = await service.person()
    bodies = (
        '{"first_name": "Anna", "bio": "Hm"}',
        '{"bio": "Hm", "first_name": "Anna"}',
        '{"bio": "Hm", "firstName": "\\u0041nna"}',
    )
    answers = [
        await person.http("PATCH", "/api/v1/users/me", body, idempotency_key=key)
        for body, key in zip(bodies, ("my key", '"my key"', "my key"), strict=True)
    ]
    assert [answer.status for answer in answers] == [200] * 3
    assert answers[0].json == answers[1].json == answers[2].json
    assert [answer.headers.get("idempotency-replayed") for answer in answers[1:]] == ["true"] * 2


async def test_refusal_names_the_key_as_it_was_sent(service: Service) -> None:
    person = await service.person()
    account = (await person.open()).id
    deposits, transfers = person.client.deposits, person.client.transfers
    for amount in ("1", "2"):
        request = v1.CreateDepositRequest(account=account, amount=amount, request_id="order 42")
        if amount == "1":
            await deposits.CreateDeposit(request)
    error = await refused(deposits.CreateDeposit(request))
    assert error.metadata["request_id"] == "order 42"
    other = (await (await service.person()).open()).id
    batch = v1.BatchCreateTransfersRequest(request_id="payday")
    batch.requests.add(to_account=other, amount="0.1")
    await transfers.BatchCreateTransfers(batch)
    batch.requests[0].amount = "0.2"
    answer = await transfers.BatchCreateTransfers(batch)
    info = error_details_pb2.ErrorInfo()
    answer.outcomes[0].error.details[0].Unpack(info)
    assert info.metadata["request_id"] == "payday"


async def test_texts_are_keys_of_their_own(
    service: Service, contents: Callable[[], Contents]
) -> None:
    """What differs in anything that can be seen or counted is another key."""
    person = await service.person()
    account = (await person.open()).id
    uuid = str(uuid4())
    keys = ["a", "A", "a a", "a  a", "~", "x" * 255, "x" * 254, uuid, uuid.replace("-", ""), '"']
    for key in keys * 2:
        request = v1.CreateDepositRequest(account=account, amount="1", request_id=key)
        await person.client.deposits.CreateDeposit(request)
    assert await person.balance(account) == f"{len(keys)}.00"
    assert len(contents().rows["movements"]) == len(keys)


async def test_header_is_text_or_text_in_quotes(service: Service) -> None:
    person = await service.person()
    account = (await person.open()).id
    # Each pair is one key: as the field, and as the header.
    pairs = [("a b", '"a b"'), ('say "x" \\', '"say \\"x\\" \\\\"'), ("a;b", " a;b "), ("''", "''")]
    for text, header in pairs:
        by_header = await person.http(
            "POST", "/api/v1/actions", {"amount": "1"}, idempotency_key=header
        )
        body = {"amount": "1.0", "request_id": text}
        by_field = await person.http("POST", "/api/v1/actions", body)
        assert by_header.json == by_field.json, header
        assert by_field.headers["idempotency-replayed"] == "true"
    assert await person.balance(account) == f"{len(pairs)}.00"


async def test_row_of_an_earlier_version_is_read_by_todays_rules(
    service: Service, database_url: str
) -> None:
    """Requests are stored as they were sent; what would be refused today differs, and no more."""
    person = await service.person()

    def stored(first_name: str, key: str) -> v1.UpdateMeRequest:
        request = v1.UpdateMeRequest(
            user=v1.User(first_name=first_name), update_mask=FieldMask(paths=["first_name"])
        )
        with psycopg.connect(database_url, autocommit=True) as conn:
            conn.execute(
                "INSERT INTO idempotency_keys VALUES (%s, %s, %s, %s, %s, now())",
                (
                    f"user:{person.user_id}",
                    key,
                    "/balance.v1.UserService/UpdateMe",
                    request.SerializeToString(deterministic=True),
                    v1.User(first_name="stored").SerializeToString(),
                ),
            )
        request.request_id = key
        return request

    request = stored("Anna", str(uuid4()))
    request.update_mask.paths[:] = ["first_name", "first_name"]
    assert (await person.client.users.UpdateMe(request)).first_name == "stored"
    hidden = stored("Anna\u202e", str(uuid4()))
    hidden.user.first_name = "Anna"
    error = await refused(person.client.users.UpdateMe(hidden))
    assert (error.reason, error.metadata["fields"]) == ("IDEMPOTENCY_KEY_REUSED", "user")
