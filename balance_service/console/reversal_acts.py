"""What operators take back: deposits, withdrawals, purchases, transfers and exchanges."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import grpc
from google.protobuf.message import Message

from balance_service._generated.balance.v1 import (
    deposit_pb2,
    exchange_pb2,
    purchase_pb2,
    reversal_pb2,
    transfer_pb2,
    withdrawal_pb2,
)
from balance_service.console import accounts, movements
from balance_service.console.act_kinds import REASON, Act, Change, Field, Method, Order, Subject
from balance_service.console.calls import Refused, Service
from balance_service.console.rendering import amount, moment, value_label
from balance_service.console.visits import Visit


async def _subject(visit: Visit, target: str) -> Subject:
    movement = await movements.find(visit, target)
    if movement is None:
        text = visit.text("problem.no_movement")
        raise Refused(grpc.StatusCode.NOT_FOUND, "MOVEMENT_NOT_FOUND", text)
    facts = [
        ("movement", value_label("movement_kind", movement.kind, visit.language)),
        ("amount", f"{amount(movement.amount)} {movement.currency}"),
        ("why", movement.why),
        ("date", moment(movement.message.date)),
    ]
    if taken := movement.told("reversed_amount"):
        facts.append(("reversed_already", f"{amount(taken)} {movement.currency}"))
    return Subject(facts)


async def _changes(visit: Visit, _: Order, answer: reversal_pb2.Reversal) -> Sequence[Change]:
    """The balances of the customers' accounts, before and after."""
    paid = Decimal(answer.returned_amount or answer.amount)
    given = Decimal(answer.amount)
    sides = [(answer.account, given if answer.kind in movements.GIVEN_BACK else -paid)]
    if answer.kind in movements.BETWEEN:
        sides.append((answer.counterparty, given))
    changes = []
    for account_id, difference in sides:
        account = await accounts.read(visit, account_id)
        before = Decimal(account.balance)
        if answer.balance and account_id == answer.account:
            # As it was when the service rehearsed.
            before = Decimal(answer.balance) - difference
        balances = (before, before + difference)
        shown = [f"{amount(str(balance))} {account.currency}" for balance in balances]
        changes.append(Change("balance", shown[0], shown[1], of=account.number))
    return changes


def _settled(answer: reversal_pb2.Reversal) -> Mapping[str, str]:
    """What was rehearsed, though the service would take all that is left by the time it is done."""
    return {"amount": answer.amount}


def _act(name: str, method: Callable[[Service], Method], request_type: type[Message]) -> Act:
    """An act whose request names what it takes back by the last word of the act's name."""
    field = name.rpartition("-")[2]

    def request(order: Order) -> Message:
        wanted: dict[str, Any] = {
            field: order.target,
            "amount": order["amount"],
            "reason": order["reason"],
            "request_id": order.request_id,
            "force": "force" in order,
            "validate_only": order.rehearsal,
        }
        return request_type(**wanted)

    return Act(
        name=name,
        fields=(Field("amount", "amount"), REASON, Field("force", "flag")),
        subject=_subject,
        method=method,
        request=request,
        changes=_changes,
        path=lambda target: f"/movements/{target}",
        done_path=lambda answer: f"/movements/{answer.id}",
        settled=_settled,
        is_danger=True,
    )


ACTS = (
    _act(
        "reverse-deposit",
        lambda service: service.deposits.ReverseDeposit,
        deposit_pb2.ReverseDepositRequest,
    ),
    _act(
        "reverse-withdrawal",
        lambda service: service.withdrawals.ReverseWithdrawal,
        withdrawal_pb2.ReverseWithdrawalRequest,
    ),
    _act(
        "refund-purchase",
        lambda service: service.purchases.RefundPurchase,
        purchase_pb2.RefundPurchaseRequest,
    ),
    _act(
        "reverse-transfer",
        lambda service: service.transfers.ReverseTransfer,
        transfer_pb2.ReverseTransferRequest,
    ),
    _act(
        "reverse-exchange",
        lambda service: service.exchanges.ReverseExchange,
        exchange_pb2.ReverseExchangeRequest,
    ),
)
