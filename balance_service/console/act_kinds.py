"""What an act of an operator is made of: what it asks, what it calls and what it would change."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import Message

from balance_service.console.calls import Service
from balance_service.console.visits import Visit

REASON_LENGTH_MAX = 200


@dataclass(frozen=True)
class Field:
    """A field of an act's form.

    Args:
        name: Its name, and the key of its label in the group `field`.
        kind: `text`, `long`, `amount`, `number`, `flag`, `choice`, or `hidden`.
        choices: Of a choice, the keys of the values in the group named like the field.
        required: Whether it may not be empty.
        length_max: The most characters of a text.
    """

    name: str
    kind: str = "text"
    choices: tuple[str, ...] = ()
    required: bool = False
    length_max: int = 200


REASON = Field("reason", required=True, length_max=REASON_LENGTH_MAX)


@dataclass(frozen=True)
class Order:
    """What an operator orders.

    Args:
        target: The id of what it is about.
        request_id: Made when the form was first shown, so that it is carried out once.
        values: What was typed in, by field.
        rehearsal: Whether nothing is to be changed yet.
    """

    target: str
    request_id: str
    values: Mapping[str, str]
    rehearsal: bool = False

    def __getitem__(self, name: str) -> str:
        return self.values.get(name, "")

    def __contains__(self, name: str) -> bool:
        return bool(self.values.get(name))


@dataclass(frozen=True)
class Subject:
    """What an act is about, as the form shows it.

    Args:
        facts: What to know of it: keys of labels in the group `fact`, and values.
        values: What the fields begin with.
    """

    facts: Sequence[tuple[str, str]]
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """What an act changes.

    Args:
        label: The key of what it is in the group `fact`, or its name where there is no such key.
        before: As it is.
        after: As it would be.
        of: Whose it is, where several are changed.
    """

    label: str
    before: str
    after: str
    of: str = ""


# A stub's method, whose types only the act's own request and answer know.
Method: TypeAlias = "grpc.aio.UnaryUnaryMultiCallable[Any, Any]"


@dataclass(frozen=True)
class Act:
    """An act of an operator.

    Args:
        name: As in its address, and the key of its texts.
        fields: What its form asks.
        subject: Reads what it is about.
        method: What it calls.
        request: Makes the request.
        changes: What it changes, by the answer of the rehearsal.
        path: The page of what it is about, by its id.
        done_path: Where to go when it is done, by the answer; that page by default.
        shown_once: The secret in the answer, which a page of its own shows once.
        settled: What of the rehearsal is ordered when it is confirmed, as it may have been left to
            the service.
        rehearses: Whether the RPC can rehearse.
        is_danger: Whether it takes something away.
    """

    name: str
    fields: tuple[Field, ...]
    subject: Callable[[Visit, str], Awaitable[Subject]]
    method: Callable[[Service], Method]
    request: Callable[[Order], Message]
    changes: Callable[[Visit, Order, Any], Awaitable[Sequence[Change]]]
    path: Callable[[str], str]
    done_path: Callable[[Any], str] | None = None
    shown_once: Callable[[Any], str] | None = None
    settled: Callable[[Any], Mapping[str, str]] = lambda _: {}
    rehearses: bool = True
    is_danger: bool = False

    @property
    def key(self) -> str:
        """The key of its texts within the groups `act`, `explained` and `done`."""
        return self.name.replace("-", "_")


def asking(request_type: type[Message], field: str) -> Callable[[Order], Message]:
    """Makes the request of an act that asks for nothing but a reason.

    Args:
        request_type: The request's.
        field: Its field for the id of what the act is about.
    """

    def request(order: Order) -> Message:
        values: dict[str, Any] = {
            field: order.target,
            "request_id": order.request_id,
            "reason": order["reason"],
            "validate_only": order.rehearsal,
        }
        return request_type(**values)

    return request
