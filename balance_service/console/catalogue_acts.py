"""What operators do with the catalogue: add a service, change it, take it out.

The contract takes no reason for these; the audit log keeps who did it, when, and what was changed.
"""

from collections.abc import Sequence
from typing import Any

from google.protobuf.empty_pb2 import Empty
from google.protobuf.field_mask_pb2 import FieldMask

from balance_service._generated.balance.v1 import purchase_pb2
from balance_service.console import catalogue
from balance_service.console.act_kinds import Act, Change, Field, Order, Subject
from balance_service.console.rendering import amount
from balance_service.console.visits import Visit

PATH = "/catalogue"
NEW = "new"
_FIELDS = (
    Field("name", required=True, length_max=50),
    Field("description", "long", length_max=1000),
    Field("price", "amount", required=True),
    Field("currency", required=True, length_max=3),
    Field("repeatable", "flag"),
)
_NAMES = tuple(field.name for field in _FIELDS)


async def _nothing_yet(_: Visit, __: str) -> Subject:
    return Subject([], {"currency": "RUB"})


async def _subject(visit: Visit, target: str) -> Subject:
    service = await catalogue.read(visit, target)
    price = f"{amount(service.price)} {service.currency}"
    values = {
        "name": service.name,
        "description": service.description,
        "price": service.price,
        "currency": service.currency,
        "repeatable": "yes" if service.repeatable else "",
        "etag": service.etag,
    }
    return Subject([("name", service.name), ("price", price)], values)


async def _changes(
    visit: Visit, order: Order, answer: purchase_pb2.Service | Empty | None
) -> Sequence[Change]:
    """The service's fields, before and after."""
    before, after = purchase_pb2.Service(), purchase_pb2.Service()
    if order.target != NEW:
        before = await catalogue.read(visit, order.target)
    if isinstance(answer, purchase_pb2.Service):
        after = answer
    old, new = _shown(visit, before), _shown(visit, after)
    return [Change(name, old[name], new[name]) for name in old]


def _shown(visit: Visit, service: purchase_pb2.Service) -> dict[str, str]:
    if not service.id:
        return dict.fromkeys(_NAMES, "")
    return {
        "name": service.name,
        "description": service.description,
        "price": amount(service.price),
        "currency": service.currency,
        "repeatable": visit.text("field.yes" if service.repeatable else "field.no"),
    }


def _service(order: Order) -> purchase_pb2.Service:
    fields: dict[str, Any] = {name: order[name] for name in ("name", "description", "price")}
    return purchase_pb2.Service(
        **fields,
        currency=order["currency"].upper(),
        repeatable="repeatable" in order,
        etag=order["etag"],
    )


def _create(order: Order) -> purchase_pb2.CreateServiceRequest:
    return purchase_pb2.CreateServiceRequest(
        service=_service(order), request_id=order.request_id, validate_only=order.rehearsal
    )


def _update(order: Order) -> purchase_pb2.UpdateServiceRequest:
    return purchase_pb2.UpdateServiceRequest(
        id=order.target,
        service=_service(order),
        update_mask=FieldMask(paths=_NAMES),
        request_id=order.request_id,
        validate_only=order.rehearsal,
    )


def _delete(order: Order) -> purchase_pb2.DeleteServiceRequest:
    return purchase_pb2.DeleteServiceRequest(service=order.target, request_id=order.request_id)


ACTS = (
    Act(
        name="create-service",
        fields=_FIELDS,
        subject=_nothing_yet,
        method=lambda service: service.purchases.CreateService,
        request=_create,
        changes=_changes,
        path=lambda _: PATH,
    ),
    Act(
        name="update-service",
        fields=(*_FIELDS, Field("etag", "hidden")),
        subject=_subject,
        method=lambda service: service.purchases.UpdateService,
        request=_update,
        changes=_changes,
        path=lambda _: PATH,
    ),
    Act(
        name="delete-service",
        fields=(),
        subject=_subject,
        method=lambda service: service.purchases.DeleteService,
        request=_delete,
        changes=_changes,
        path=lambda _: PATH,
        rehearses=False,
        is_danger=True,
    ),
)
