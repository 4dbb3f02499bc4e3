"""For every method with an idempotency key: a request, equal ones, and different ones."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from balance_client import v1
from tests import contract
from tests.equal_batches import batch_of, batches, splits
from tests.equal_schedules import scheduled
from tests.equal_webhooks import webhooks
from tests.equal_world import Row, World

METHODS = {
    method.descriptor.name: method
    for method in contract.METHODS
    if "request_id" in method.input.fields_by_name
}


def rows(there: World) -> dict[str, Row]:
    """A row for every method, by its name; in an order in which they all succeed."""
    following = reversals(there) | holds(there) | exchanges(there)
    others = catalogue(there) | users(there) | approvals(there) | webhooks(there)
    others |= scheduled(there)
    return accounts(there) | movements(there) | following | others


def accounts(there: World) -> dict[str, Row]:
    create, limit = v1.CreateAccountRequest, v1.SetAccountLimitRequest
    freeze, limits = v1.FreezeAccountRequest, partial(v1.SetAccountLimitsRequest, reason="Why")
    split = partial(v1.SetSubAccountsRequest, reason="Why")
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
        "FreezeAccount": Row(
            freeze(account=other, reason="Why"),
            [
                freeze(account=other.upper(), reason="Why"),
                freeze(account=other, scope=v1.FREEZE_SCOPE_ALL, reason="Why"),
            ],
            {
                "account": freeze(account=there.account, reason="Why"),
                "scope": freeze(account=other, scope=v1.FREEZE_SCOPE_DEBITS, reason="Why"),
                "reason": freeze(account=other),
            },
        ),
        "UnfreezeAccount": operator(v1.UnfreezeAccountRequest, other),
        "CloseAccount": operator(v1.CloseAccountRequest, empty),
        "ReopenAccount": operator(partial(v1.ReopenAccountRequest, reason="Why"), empty),
        "SetSubAccounts": Row(
            split(account=empty, sub_accounts=2),
            [split(account=empty.upper(), sub_accounts=2)],
            {
                "account": split(account=other, sub_accounts=2),
                "sub_accounts": split(account=empty, sub_accounts=0),
                "reason": split(account=empty, sub_accounts=2, reason="Because"),
            },
        ),
        "SetAccountExternalId": external(v1.SetAccountExternalIdRequest, "account", other, empty),
        "SetAccountLimits": Row(
            limits(account=other, overdraft="100", debit_limit="5", unset_daily_limit=True),
            [limits(account=other, overdraft="100.0", debit_limit="5.00", unset_daily_limit=True)],
            {
                "overdraft": limits(account=other, debit_limit="5", unset_daily_limit=True),
                "daily_limit": limits(
                    account=other, overdraft="100", debit_limit="5", daily_limit="5"
                ),
            },
        ),
        "SetAccountLimit": Row(
            limit(account=other, limit="100"),
            [limit(account=other.upper(), limit="100.00"), limit(account=other, limit="100.0")],
            {
                "limit": limit(account=other, limit="100.01"),
                "account": limit(account=there.account, limit="100"),
            },
        ),
    }


def external(kind: Callable[..., Message], field: str, subject: str, other: str) -> Row:
    whose = {"source": "service:crm"}
    return Row(
        kind(external_id="42", **whose, **{field: subject}),
        [kind(external_id="42", **whose, **{field: subject.upper()})],
        {
            field: kind(external_id="42", **whose, **{field: other}),
            "external_id": kind(external_id="43", **whose, **{field: subject}),
            "source": kind(external_id="42", source="service:erp", **{field: subject}),
        },
    )


def approvals(there: World) -> dict[str, Row]:
    first, second, third, fourth = there.approvals

    def row(kind: Callable[..., Message], approval: str, other: str) -> Row:
        return Row(
            kind(approval=approval, reason="Why"),
            [kind(approval=approval.upper(), reason="Why")],
            {
                "approval": kind(approval=other, reason="Why"),
                "reason": kind(approval=approval),
            },
        )

    return {
        "ApproveChange": row(v1.ApproveChangeRequest, first, second),
        "RejectChange": row(v1.RejectChangeRequest, third, fourth),
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
    row_of_transfer = Row(sent, sent_equal, sent_different)
    buy = v1.CreatePurchaseRequest
    return {
        "CreateDeposit": settled(there, v1.CreateDepositRequest, "in"),
        "StreamDeposits": settled(there, v1.CreateDepositRequest, "in a stream"),
        "BatchCreateDeposits": batch_of(
            v1.BatchCreateDepositsRequest, settled(there, v1.CreateDepositRequest, "in a batch")
        ),
        "CreateWithdrawal": settled(there, v1.CreateWithdrawalRequest, "out"),
        "CreateTransfer": row_of_transfer,
        "StreamTransfers": row_of_transfer,
        **batches(row_of_transfer),
        **splits(there.account, there.other, there.third, there.fourth),
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
                    service_etag="of another version",
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
    pair: dict[str, Any] = {"from_currency": "RUB", "to_currency": "USD"}
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


def reversals(there: World) -> dict[str, Row]:
    kinds: dict[str, tuple[str, Any]] = {
        "ReverseDeposit": ("deposit", v1.ReverseDepositRequest),
        "ReverseWithdrawal": ("withdrawal", v1.ReverseWithdrawalRequest),
        "RefundPurchase": ("purchase", v1.RefundPurchaseRequest),
        "ReverseTransfer": ("transfer", v1.ReverseTransferRequest),
        "ReverseExchange": ("exchange", v1.ReverseExchangeRequest),
    }

    def row(field: str, kind: Any) -> Row:
        original = {field: there.ids[field]}
        return Row(
            kind(amount="3", reason="Why", **original),
            [kind(amount="3.00", reason="Why", **{field: there.ids[field].upper()})],
            {
                "amount": kind(reason="Why", **original),
                "reason": kind(amount="3", reason="Other", **original),
                field: kind(amount="3", reason="Why", **{field: there.ids[f"second {field}"]}),
            },
        )

    return {name: row(*what) for name, what in kinds.items()}


def holds(there: World) -> dict[str, Row]:
    create, capture, void = v1.CreateHoldRequest, v1.CaptureHoldRequest, v1.VoidHoldRequest
    other, ids = there.other, there.ids
    expires = Timestamp(seconds=int(time.time()) + 86_400)
    made = create(to_account=other.id, amount="3", expire_time=expires)
    later = Timestamp(seconds=expires.seconds + 1)
    captured, second = ids["captured"], ids["second captured"]
    return {
        "CreateHold": Row(
            made,
            [
                create(to_account=other.number, amount="3.00", expire_time=expires),
                create(
                    account=there.account.upper(),
                    to_account=other.id.upper(),
                    amount="3",
                    currency="RUB",
                ),
            ],
            {
                "amount": create(to_account=other.id, amount="4", expire_time=expires),
                "expire_time": create(to_account=other.id, amount="3", expire_time=later),
                "purpose": create(service=there.second, expire_time=expires),
            },
        ),
        "CaptureHold": Row(
            capture(hold=captured, amount="3", keep_rest=True),
            [capture(hold=captured.upper(), amount="3.0", keep_rest=True)],
            {
                "amount": capture(hold=captured, amount="4", keep_rest=True),
                "keep_rest": capture(hold=captured, amount="3"),
                "hold": capture(hold=second, amount="3", keep_rest=True),
            },
        ),
        "VoidHold": Row(
            void(hold=ids["voided"], reason="Why"),
            [void(hold=ids["voided"].upper(), reason="Why")],
            {
                "reason": void(hold=ids["voided"]),
                "hold": void(hold=ids["second voided"], reason="Why"),
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
    less = v1.User(first_name="Anna", last_name="K", bio="hm")
    more = v1.User(first_name="Anna", last_name="K", bio="Hm", username="not-named")

    def mine(names: Sequence[str], new: v1.User = new) -> Message:
        return v1.UpdateMeRequest(user=new, update_mask=FieldMask(paths=names))

    def theirs(names: Sequence[str], new: v1.User, user_id: str = there.boris) -> Message:
        return v1.UpdateUserRequest(id=user_id, user=new, update_mask=FieldMask(paths=names))

    off, on = v1.DisableUserRequest, v1.EnableUserRequest
    boris, nobody, me = there.boris, there.account, there.admin.user_id
    everything = v1.User(first_name="A", username="boris", role=v1.Role.ROLE_MODERATOR)
    elsewhere = theirs(["username", "first_name"], everything, there.admin.user_id)
    all_names = ["username", "first_name", "last_name", "bio", "role"]
    other = v1.User(first_name="B", username="boris", role=v1.Role.ROLE_MODERATOR)
    return {
        "DisableUser": Row(off(user=boris), [off(user=boris.upper())], {"user": off(user=nobody)}),
        "EnableUser": Row(on(user=boris), [on(user=boris.upper())], {"user": on(user=nobody)}),
        "SetUserExternalId": external(v1.SetUserExternalIdRequest, "user", boris, me),
        "UpdateMe": Row(
            mine(mask),
            [mine(mask[::-1]), mine(mask, more)],
            {"user": mine(mask, less), "update_mask": mine(mask[:2])},
        ),
        "UpdateUser": Row(
            theirs(["*"], everything),
            [theirs(all_names, everything), theirs(all_names, everything, there.boris.upper())],
            {"user": theirs(["*"], other), "id": elsewhere},
        ),
    }
