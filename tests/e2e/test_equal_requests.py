"""Requests with one idempotency key: equal ones are replayed, different ones refused."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2

from tests import cluster
from tests.e2e.test_parity import BATCHES
from tests.equal_requests import METHODS, rows
from tests.equal_world import World, world
from tests.http import BY_METHOD
from tests.service import Person, Service


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
    if name in BATCHES:
        return outcome(answer.outcomes[0])
    key = answer.id if hasattr(answer, "id") else ""
    if name == "CreateSplit":
        key = ",".join(part.transfer.id for part in answer.parts)
    return Told(key, trailers.get("idempotency-replayed") == "true")


def outcome(told: Any) -> Told:
    if told.HasField("error"):
        return of_status(told.error)
    return Told(getattr(told, told.WhichOneof("outcome")).id, told.replayed)


async def over_http(person: Person, name: str, request: Message) -> Told:
    answer = await person.http.call(BY_METHOD[METHODS[name].full_name], request)
    data = answer.json
    if name in BATCHES:
        (one,) = data["outcomes"]
        if "error" not in one:
            (made,) = (one[field] for field in ("transfer", "deposit") if field in one)
            return Told(made["id"], one["replayed"])
        data = one["error"]
    if "details" in data:
        facts = data["details"][0]
        metadata = facts.get("metadata", {})
        return Told("", replayed=False, reason=facts["reason"], fields=metadata.get("fields", ""))
    key = data.get("id", "")
    if name == "CreateSplit":
        key = ",".join(part["transfer"]["id"] for part in data["parts"])
    return Told(key, answer.headers.get("idempotency-replayed") == "true")


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
        if cluster.refuses(name):
            continue
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
