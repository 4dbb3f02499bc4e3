"""Whatever id of somebody else's a request names, it is refused as an id of nobody's is."""

import re
from collections.abc import Iterator
from typing import TypeAlias

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from balance_service.calls.access import TABLE, Condition
from tests.contract import METHODS
from tests.http import BY_METHOD
from tests.parity_world import World, world
from tests.security.callers import over_one_channel, reason_of
from tests.security.test_matrix import asked
from tests.service import Service

# Names of fields, and places in lists.
Path: TypeAlias = tuple[str | int, ...]

NOBODY = "0190a1b2-0000-7000-8000-00000000abcd"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def ids_named(message: Message, path: Path = ()) -> Iterator[tuple[str | int, ...]]:
    """Where a message names things by id, as paths of fields and places."""
    for field, value in message.ListFields():
        here = (*path, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            continue
        if field.message_type is not None:
            many = enumerate(value) if field.is_repeated else [(None, value)]
            for place, inner in many:
                yield from ids_named(inner, here if place is None else (*here, place))
        elif field.cpp_type != FieldDescriptor.CPPTYPE_STRING or field.is_repeated:
            continue
        elif _UUID.fullmatch(value) and field.name != "request_id":
            yield here


def with_nobody(request: Message, path: Path) -> Message:
    """A copy of a request that names nobody in one place."""
    copy = type(request)()
    copy.CopyFrom(request)
    holder: object = copy
    for step in path[:-1]:
        holder = holder[step] if isinstance(step, int) else getattr(holder, step)  # type: ignore[index]
    setattr(holder, str(path[-1]), NOBODY)
    return copy


def without_ids(text: str) -> str:
    return _UUID.sub("<id>", text)


def requests_with_ids(there: World) -> Iterator[tuple[str, Message, Path]]:
    """Requests that are another's business, by RPC, with each place where one names an id."""
    table = asked(there)
    for method in METHODS:
        rpc = method.descriptor.name
        rule = TABLE[rpc]
        # Whoever may not call at all, or may call whatever it is about, learns nothing by an id.
        if rule.public or rule.user in (Condition.NEVER, Condition.ALWAYS):
            continue
        for path in ids_named(table[rpc]):
            # The catalogue is public, and so is whether a service is in it.
            if path[-1] != "service":
                yield rpc, table[rpc], path


async def test_strangers_learn_of_no_id_over_grpc(service: Service) -> None:
    there, stranger = await world(service), await service.person()
    await stranger.open()
    methods = {method.descriptor.name: method for method in METHODS}
    tried = set()
    async with over_one_channel(service) as grpc:
        for rpc, request, path in requests_with_ids(there):
            told = [
                await grpc.status(methods[rpc], sent, stranger.token.token)
                for sent in (request, with_nobody(request, path))
            ]
            theirs, nobodys = (without_ids(str(status)) for status in told)
            assert told[0].code, (rpc, path)
            assert theirs == nobodys, (rpc, path)
            tried.add(rpc)
    assert len(tried) > 30


async def test_strangers_learn_of_no_id_over_http(service: Service) -> None:
    there, stranger = await world(service), await service.person()
    await stranger.open()
    by_name = {binding.method.descriptor.name: binding for binding in BY_METHOD.values()}
    for rpc, request, path in requests_with_ids(there):
        if rpc not in by_name or by_name[rpc].method.descriptor.server_streaming:
            continue
        told = [
            await stranger.http.call(by_name[rpc], sent)
            for sent in (request, with_nobody(request, path))
        ]
        shown = [(answer.status, without_ids(answer.text)) for answer in told]
        assert shown[0] == shown[1], (rpc, path)


async def test_want_of_money_is_told_before_anything_of_the_receiver(service: Service) -> None:
    there, stranger = await world(service), await service.person()
    own = await stranger.open()
    table = asked(there)
    methods = {method.descriptor.name: method for method in METHODS}
    async with over_one_channel(service) as grpc:
        for rpc, field in (("CreateTransfer", "from_account"), ("CreateHold", "account")):
            request = table[rpc]
            setattr(request, field, own.id)
            told = [
                await grpc.status(methods[rpc], sent, stranger.token.token)
                for sent in (request, with_nobody(request, ("to_account",)))
            ]
            assert without_ids(str(told[0])) == without_ids(str(told[1])), rpc
            assert reason_of(told[0]) == "INSUFFICIENT_FUNDS", rpc
