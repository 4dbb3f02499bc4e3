"""For every method that makes several transfers: a request, equal ones, and different ones."""

from collections.abc import Callable, Sequence
from typing import Any

from google.protobuf.message import Message

from balance_client import v1
from tests.equal_world import Row


def batches(one: Row) -> dict[str, Row]:
    """Batches of the one transfer that a row is about."""

    def mixed(requests: Sequence[Any]) -> Message:
        items = [v1.CreateMovementRequest(create_transfer=transfer) for transfer in requests]
        return v1.BatchCreateMovementsRequest(requests=items)

    return {
        "BatchCreateTransfers": batch_of(v1.BatchCreateTransfersRequest, one),
        "BatchCreateMovements": batch_of(mixed, one),
    }


def batch_of(batch: Callable[..., Message], one: Row) -> Row:
    """A batch of the one request that a row is about."""
    return Row(
        batch(requests=[one.first]),
        [batch(requests=[same]) for same in one.equal],
        {name: batch(requests=[other]) for name, other in one.different.items()},
    )


def splits(account: str, *receivers: v1.Account) -> dict[str, Row]:
    """Splits from an account among two of three others."""
    first, second, third = receivers

    def split(amount: str, receivers: Sequence[str], weight: int, **fields: Any) -> Message:
        shares = [v1.SplitReceiver(to_account=each, weight=weight) for each in receivers]
        return v1.CreateSplitRequest(amount=amount, receivers=shares, **fields)

    both = [first.id, second.id]
    return {
        "CreateSplit": Row(
            split("6", both, 3),
            [
                split(
                    "6.0",
                    [first.number, second.id.upper()],
                    1,
                    from_account=account.upper(),
                    currency="RUB",
                ),
            ],
            {
                "amount": split("8", both, 3),
                "to_account": split("6", both[::-1], 3),
                "receivers": split("9", [*both, third.id], 3),
            },
        )
    }
