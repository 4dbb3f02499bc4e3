"""What operators do with movements and holds, at the desk."""

from typing import Any, NamedTuple, TypeAlias

from balance_service._generated.balance.v1 import (
    deposit_pb2,
    exchange_pb2,
    hold_pb2,
    movement_pb2,
    purchase_pb2,
    reversal_pb2,
    transfer_pb2,
    withdrawal_pb2,
)
from balance_service.domain import errors
from balance_service.domain.money import format_minor
from balance_service.domain.movements import MOVING_NOTHING
from balance_service.messages import convert, fields
from balance_service.operations.desk import Desk
from balance_service.repositories import journal

ReverseRequest: TypeAlias = (
    deposit_pb2.ReverseDepositRequest
    | withdrawal_pb2.ReverseWithdrawalRequest
    | purchase_pb2.RefundPurchaseRequest
    | transfer_pb2.ReverseTransferRequest
    | exchange_pb2.ReverseExchangeRequest
)
# By the field that names what is taken back.
REQUESTS: dict[str, type[ReverseRequest]] = {
    "deposit": deposit_pb2.ReverseDepositRequest,
    "withdrawal": withdrawal_pb2.ReverseWithdrawalRequest,
    "purchase": purchase_pb2.RefundPurchaseRequest,
    "transfer": transfer_pb2.ReverseTransferRequest,
    "exchange": exchange_pb2.ReverseExchangeRequest,
}


class ShownMovement(NamedTuple):
    """A movement and what followed it.

    Args:
        reversed_amount: How much of it was taken back, in its currency; empty for nothing.
        reversals: The ids of the movements that did so.
    """

    movement: movement_pb2.Movement
    reversed_amount: str
    reversals: list[str]


class Reversal(NamedTuple):
    """How a movement is taken back.

    Args:
        movement_id: What.
        reason: Why.
        amount: How much of it, in its currency; empty for all that is left.
        request_id: What makes a repeat safe; empty for none.
        force: Whether the account that pays may fall below its limit by it.
    """

    movement_id: str
    reason: str
    amount: str = ""
    request_id: str = ""
    force: bool = False


async def show(desk: Desk, movement_id: str) -> ShownMovement:
    """A movement of any kind.

    Raises:
        MovementNotFound: There is none.
        InvalidFields: It is no id, or that of a hold or of its end, which move nothing.
    """
    found_id = fields.identifier(movement_id, "movement")
    async with desk.pool.connection() as conn:
        movement = (await journal.movements(conn, [found_id])).get(found_id)
        if movement is None:
            raise errors.MovementNotFound(movement_id)
        if movement.kind in MOVING_NOTHING:
            raise errors.invalid("movement", "must have moved money: see `hold show` for a hold")
        followed = await journal.followed(conn, movement)
    minor = followed.amount_minor
    return ShownMovement(
        convert.movement(movement),
        format_minor(minor, movement.currency) if minor else "",
        [str(reversal) for reversal in followed.movement_ids],
    )


async def find(desk: Desk, reference: str, source: str, limit: int) -> list[movement_pb2.Movement]:
    """The movements of an outside system's reference, the newest first."""
    request = movement_pb2.ListMovementsRequest(reference=reference, source=source)
    return await desk.list(request, movement_pb2.ListMovementsResponse, "movements", limit)


async def reverse(desk: Desk, what: str, asked: Reversal) -> reversal_pb2.Reversal:
    """Takes a movement back.

    Args:
        desk: Where that is done.
        what: What kind of movement it is, as a name of REQUESTS.
        asked: Which, why and how much of it.
    """
    values: dict[str, Any] = {what: asked.movement_id, **asked._asdict()}
    del values["movement_id"]
    return await desk.ask(REQUESTS[what](**values), reversal_pb2.Reversal)


async def show_hold(desk: Desk, hold_id: str) -> hold_pb2.Hold:
    """A hold."""
    return await desk.ask(hold_pb2.GetHoldRequest(hold=hold_id), hold_pb2.Hold)


async def void_hold(desk: Desk, hold_id: str, reason: str, request_id: str) -> hold_pb2.Hold:
    """Gives back what is left of a hold."""
    request = hold_pb2.VoidHoldRequest(hold=hold_id, reason=reason, request_id=request_id)
    return await desk.ask(request, hold_pb2.Hold)
