"""Fields that are the service's to set: whoever sends them changes nothing by it."""

from typing import Any

from google.api import field_behavior_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from balance_client import v1
from tests.http import BINDINGS
from tests.service import Service, refused

STRANGE = {
    FieldDescriptor.CPPTYPE_STRING: "0190a1b2-0000-7000-8000-00000000abcd",
    FieldDescriptor.CPPTYPE_BOOL: True,
    FieldDescriptor.CPPTYPE_INT32: 7,
    FieldDescriptor.CPPTYPE_ENUM: 3,
}


def output_only(message: Message) -> list[Any]:
    return [
        field
        for field in message.DESCRIPTOR.fields
        if field_behavior_pb2.OUTPUT_ONLY
        in field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    ]


def fill_output_fields(message: Message) -> list[str]:
    """Sets every field that is output only; their names."""
    named = []
    for field in output_only(message):
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            getattr(message, field.name)["service:crm"] = "42"
        elif field.message_type is not None:
            getattr(message, field.name).seconds = 1
        else:
            setattr(message, field.name, STRANGE[field.cpp_type])
        named.append(field.name)
    return named


async def test_nobody_gives_themselves_what_only_the_service_gives(service: Service) -> None:
    person = await service.person()
    before = await person.client.users.GetMe(v1.GetMeRequest())
    user = v1.User(username="anna-k", first_name="Anna", role=v1.ROLE_ADMIN)
    names = fill_output_fields(user)
    assert {"id", "email", "second_factor", "disable_time"} <= set(names)
    for name in (*names, "role", "owner", "etag"):
        update = v1.UpdateMeRequest(user=user, update_mask=FieldMask(paths=[name]))
        error = await refused(person.client.users.UpdateMe(update))
        assert error.reason == "INVALID_FIELD", name
        assert error.violations[0].field.startswith("update_mask"), name
    changed = await person.client.users.UpdateMe(
        v1.UpdateMeRequest(user=user, update_mask=FieldMask(paths=["*"]))
    )
    before.username, before.first_name, before.etag = "anna-k", "Anna", changed.etag
    before.update_time.CopyFrom(changed.update_time)
    assert changed == before


async def test_service_decides_what_a_new_service_of_the_catalogue_is(service: Service) -> None:
    admin = await service.admin()
    offer = v1.Service(name="Tea", price="3")
    names = fill_output_fields(offer)
    made = await admin.client.purchases.CreateService(v1.CreateServiceRequest(service=offer))
    for name in names:
        assert getattr(made, name) != getattr(offer, name), name


async def test_body_with_a_field_of_no_contract_is_refused_by_name(service: Service) -> None:
    admin = await service.admin()
    tried = 0
    for binding in BINDINGS:
        if not binding.body:
            continue
        path, message = binding.template, binding.method.input
        if binding.body != "*":
            inner = message.fields_by_name[binding.body].message_type
            assert inner is not None, "a body is a message"
            message = inner
        for name in binding.variables:
            path = path.replace(f"{{{name}}}", "0190a1b2-0000-7000-8000-00000000abcd")
        for name in ("owner_id", "is_admin", "balance_minor", "__proto__", "principal"):
            if name in message.fields_by_name:
                continue
            answer = await admin.http(binding.verb, path, {name: "x"})
            assert (answer.status, answer.reason) == (400, "INVALID_FIELD"), (path, name)
            assert any(field.endswith(name) for field in answer.fields), (path, answer.fields)
            tried += 1
    assert tried > 100
