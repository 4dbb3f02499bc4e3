"""No text of a request may hold what is not seen: every string of every RPC, by the descriptors."""

from collections.abc import Iterator
from typing import Any

import pytest
from google.api import field_behavior_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.rpc import error_details_pb2

from balance_client import v1
from balance_service.domain import errors
from balance_service.operations import administration
from tests.e2e.test_parity import BATCHES, requests
from tests.grpc import over_grpc
from tests.http import BY_METHOD
from tests.parity_world import world
from tests.service import Service

HIDDEN = "\u202e"
# They are compared with what there is, and never kept or shown.
COMPARED = {"etag": "ETAG_MISMATCH", "page_token": "PAGE_TOKEN_INVALID"}


def strings(message: Any, prefix: str = "") -> Iterator[tuple[str, Any, FieldDescriptor]]:
    """Every string that a caller may set: its path, the message it is of, and the field."""
    for field in message.DESCRIPTOR.fields:
        options = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
        unchosen = field.containing_oneof and not message.HasField(field.name)
        if field_behavior_pb2.OUTPUT_ONLY in options or unchosen:
            continue
        inner = field.message_type
        if field.cpp_type == FieldDescriptor.CPPTYPE_STRING or (inner and is_map(inner)):
            yield prefix + field.name, message, field
        elif inner is not None and inner.full_name.startswith("balance."):
            there = getattr(message, field.name)
            one = there[0] if field.is_repeated else there
            yield from strings(one, f"{prefix}{field.name}.")


def is_map(message: Any) -> bool:
    return bool(message.GetOptions().map_entry)


def hide(message: Any, field: FieldDescriptor) -> None:
    if field.message_type is not None:
        getattr(message, field.name)["k"] = f"a{HIDDEN}b"
    elif field.is_repeated:
        getattr(message, field.name)[:] = [f"a{HIDDEN}b"]
    else:
        setattr(message, field.name, f"{getattr(message, field.name)}{HIDDEN}")


def spoilt(request: Message) -> Iterator[tuple[str, FieldDescriptor, Any]]:
    """The request once for each of its strings, which then holds what is not seen."""
    for index, (path, _, field) in enumerate(list(strings(request))):
        copy = type(request)()
        copy.CopyFrom(request)
        _, message, _ = list(strings(copy))[index]
        hide(message, field)
        yield path, field, copy


async def test_every_text_is_read_by_the_same_rule(service: Service) -> None:
    there = await world(service)
    token = there.admin.token.token
    tried = set()
    for name, request in requests(there).items():
        (binding,) = [b for b in BY_METHOD.values() if b.method.descriptor.name == name]
        fill(request)
        for path, field, wrong in spoilt(request):
            if name.startswith("Create") and field.name == "etag":
                continue  # What is new has no version to be compared with.
            if not is_read(wrong, path):
                continue
            told = await over_grpc(service, binding, wrong, token)
            status = told.status
            if name in BATCHES and told.answer is not None:
                status = told.answer.outcomes[0].error  # type: ignore[attr-defined]
            info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
            assert status.details, (name, path)
            status.details[0].Unpack(info)
            assert info.reason == COMPARED.get(field.name, "INVALID_FIELD"), (name, path)
            if status.details[1].Unpack(bad):
                named = bad.field_violations[0].field.split(".")[-1]
                assert named.removesuffix("[0]") in (field.name, "k"), (name, path)
                assert HIDDEN not in status.message
            tried.add(path)
    assert {"description", "metadata", "user.bio", "service.name", "email", "reference"} <= tried


def fill(request: Any) -> None:
    """Makes an update of a service or a user a change of everything, which would succeed."""
    if isinstance(request, v1.UpdateServiceRequest):
        request.service.MergeFrom(v1.Service(name="T", description="D", price="9", currency="USD"))
    elif isinstance(request, v1.UpdateMeRequest | v1.UpdateUserRequest):
        request.user.MergeFrom(v1.User(username="some-one", bio="B", role=v1.Role.ROLE_USER))
    else:
        return
    request.update_mask.CopyFrom(FieldMask(paths=["*"]))


def is_read(request: Any, path: str) -> bool:
    """Whether the field is one that the request's mask lets be changed, or of no update."""
    _, _, of_resource = path.partition(".")
    if "update_mask" not in request.DESCRIPTOR.fields_by_name or not of_resource:
        return True
    named = request.update_mask.paths
    return "*" in named or any(f"{of_resource}.".startswith(f"{name}.") for name in named)


@pytest.mark.parametrize("text", ["a\u202eb", "\u200b", "\x00"])
async def test_description_of_a_sibling_service_is_a_text_too(service: Service, text: str) -> None:
    with pytest.raises(errors.InvalidFields) as refused:
        await administration.create_service_principal(service.settings, "billing", text, [])
    assert [v.field for v in refused.value.violations] == ["description"]


async def test_texts_are_kept_as_they_were_sent(service: Service) -> None:
    person = await service.person()
    account = (await person.open()).id
    for text in ("é", "e\u0301", "می\u200cخواهم", "👩\u200d🔧 two\nlines"):
        request = v1.CreateDepositRequest(account=account, amount="1", description=text)
        assert (await person.client.deposits.CreateDeposit(request)).description == text
