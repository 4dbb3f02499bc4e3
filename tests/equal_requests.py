"""For every method with an idempotency key: a request, equal ones, and different ones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from balance_client import v1
from tests import contract
from tests.service import Person, Service

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
    quotes: Sequence[str]


async def world(service: Service) -> World:
    admin, boris = await service.admin(), await service.person()
    account, other, empty = await admin.open(), await boris.open(), await boris.open("EUR")
    await admin.open("USD")
    await admin.deposit("1000", account.id)
    sold, second = [
        await admin.client.purchases.CreateService(
            v1.CreateServiceRequest(service=v1.Service(name=name, price="10"))
        )
        for name in ("Tea", "Milk")
    ]
    quotes = [
        await admin.client.exchanges.CreateQuote(
            v1.CreateQuoteRequest(from_currency="RUB", to_currency="USD", to_amount="1")
        )
        for _ in range(2)
    ]
    return World(
        admin,
        account.id,
        other,
        empty.id,
        sold.id,
        second.id,
        boris.user_id,
        [quote.id for quote in quotes],
    )


def rows(there: World) -> dict[str, Row]:
    """A row for every method, by its name; in an order in which they all succeed."""
    return accounts(there) | movements(there) | exchanges(there) | catalogue(there) | users(there)


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
                # A condition is no part of the request, met or not.
                buy(
                    service=there.sold,
                    quantity=1,
                    metadata={"a": "1", "b": "2"},
                    expected_price="9",
                    expected_currency="EUR",
                ),
            ],
            {
                "service": buy(service=there.second, metadata={"a": "1", "b": "2"}),
                "metadata": buy(service=there.sold),
                "quantity": buy(service=there.sold, quantity=2),
            },
        ),
    }


def exchanges(there: World) -> dict[str, Row]:
    quote, exchange = v1.CreateQuoteRequest, v1.CreateExchangeRequest
    pair = {"from_currency": "RUB", "to_currency": "USD"}
    first, second = there.quotes
    return {
        "CreateQuote": Row(
            quote(**pair, from_amount="100"),
            [
                quote(**pair, from_amount="100.00"),
                quote(**pair, from_amount="100.0", from_account=there.account.upper()),
            ],
            {
                "from_amount": quote(**pair, from_amount="100.01"),
                "to_amount": quote(**pair, to_amount="100"),
                "to_currency": quote(from_currency="RUB", to_currency="EUR", from_amount="100"),
                "from_currency": quote(from_currency="USD", to_currency="RUB", from_amount="100"),
                "from_account": quote(**pair, from_amount="100", from_account=there.other.id),
            },
        ),
        "CreateExchange": Row(
            exchange(quote=first, metadata={"a": "1", "b": "2"}),
            [exchange(quote=first.upper(), metadata={"b": "2", "a": "1"})],
            {
                "quote": exchange(quote=second, metadata={"a": "1", "b": "2"}),
                "metadata": exchange(quote=first),
                "description": exchange(quote=first, description="Why"),
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
