"""What operators do with a hold: give back what is left of it."""

from collections.abc import Sequence
from decimal import Decimal

from balance_service._generated.balance.v1 import account_pb2, hold_pb2
from balance_service.console import accounts
from balance_service.console.act_kinds import REASON, Act, Change, Order, Subject
from balance_service.console.rendering import amount, value_label
from balance_service.console.visits import Visit


async def _read(visit: Visit, target: str) -> tuple[hold_pb2.Hold, account_pb2.Account]:
    hold = await visit.ask(visit.service.holds.GetHold, hold_pb2.GetHoldRequest(hold=target))
    return hold, await accounts.read(visit, hold.account)


async def _subject(visit: Visit, target: str) -> Subject:
    hold, account = await _read(visit, target)
    return Subject(
        [
            ("account", account.number),
            ("status", value_label("hold_status", hold.status, visit.language)),
            ("amount", f"{amount(hold.amount)} {hold.currency}"),
            ("left", f"{amount(hold.left)} {hold.currency}"),
            ("why", hold.description),
        ],
    )


async def _changes(visit: Visit, order: Order, _: hold_pb2.Hold) -> Sequence[Change]:
    """What is reserved and free on the account, before and after."""
    hold, account = await _read(visit, order.target)
    left = Decimal(hold.left)

    def change(label: str, before: str, difference: Decimal) -> Change:
        after = str(Decimal(before) + difference)
        shown = [f"{amount(each)} {account.currency}" for each in (before, after)]
        return Change(label, shown[0], shown[1], of=account.number)

    return [change("held", account.held, -left), change("available", account.available, left)]


def _void(order: Order) -> hold_pb2.VoidHoldRequest:
    return hold_pb2.VoidHoldRequest(
        hold=order.target,
        reason=order["reason"],
        request_id=order.request_id,
        validate_only=order.rehearsal,
    )


ACTS = (
    Act(
        name="void-hold",
        fields=(REASON,),
        subject=_subject,
        method=lambda service: service.holds.VoidHold,
        request=_void,
        changes=_changes,
        path=lambda target: f"/holds/{target}",
        is_danger=True,
    ),
)
