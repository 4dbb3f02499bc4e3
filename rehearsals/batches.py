"""Batches of movements, some of them chained: what is asked for, and what came of each item."""

import random
from collections.abc import Sequence
from typing import Any

import grpc

from balance_client import v1
from balance_client.policy import new_request_id
from rehearsals.operation import Operation
from rehearsals.transports import Reply, reply_of

BATCH = "/balance.v1.BatchService/BatchCreateMovements"
# Not all that there are, so that other requests come between the same accounts.
ITEMS_MAX = 6


def draw_batch(
    rng: random.Random, accounts: Sequence[str], now: float
) -> tuple[list[Operation], v1.BatchCreateMovementsRequest]:
    """A batch, with an operation for each of its items.

    Args:
        rng: Decides what it asks for.
        accounts: What it moves money between.
        now: When it is asked for.
    """
    count = rng.randint(2, ITEMS_MAX)
    linked = [place < count - 1 and rng.random() < 0.6 for place in range(count)]
    operations, batch = [], v1.BatchCreateMovementsRequest()
    chain = ""
    for is_linked in linked:
        operation, item = _draw_item(rng, accounts, now)
        # A chain is named by the request id of its first item.
        if is_linked or chain:
            operation.together = chain = chain or operation.request_id
        if not is_linked:
            chain = ""
        item.linked = is_linked
        operations.append(operation)
        batch.requests.append(item)
    return operations, batch


def _draw_item(
    rng: random.Random, accounts: Sequence[str], now: float
) -> tuple[Operation, v1.CreateMovementRequest]:
    payer, receiver = rng.sample(accounts, 2)
    minor, request_id = rng.randint(1, 40_000), str(new_request_id())
    common: Any = {"amount": f"{minor / 100:.2f}", "request_id": request_id}
    kind = rng.choice(["deposit", "withdrawal", "transfer", "transfer"])
    if kind == "transfer":
        transfer = v1.CreateTransferRequest(from_account=payer, to_account=receiver, **common)
        item = v1.CreateMovementRequest(create_transfer=transfer)
    elif kind == "deposit":
        deposit = v1.CreateDepositRequest(account=payer, **common)
        item = v1.CreateMovementRequest(create_deposit=deposit)
    else:
        withdrawal = v1.CreateWithdrawalRequest(account=payer, **common)
        item = v1.CreateMovementRequest(create_withdrawal=withdrawal)
    sides = (payer, receiver) if kind == "transfer" else (payer,)
    return Operation(kind, sides, request_id, now, amount_minor=minor), item


def replies_of(reply: Reply, count: int) -> list[Reply]:
    """What came back for each operation of a request.

    Args:
        reply: What came back for the whole.
        count: How many operations it has.
    """
    if not isinstance(reply.message, v1.BatchCreateMovementsResponse):
        return [reply] * count
    return [
        reply_of(outcome.error)
        if outcome.HasField("error")
        else Reply(grpc.StatusCode.OK, getattr(outcome, outcome.WhichOneof("outcome") or ""))
        for outcome in reply.message.outcomes
    ]
