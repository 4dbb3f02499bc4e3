"""Acts of operators: a form, a page that says what would happen, and then it is done, once."""

from collections.abc import Mapping

from google.protobuf.message import Message
from starlette.responses import Response

from balance_service.console import (
    account_acts,
    approval_acts,
    catalogue_acts,
    hold_acts,
    reversal_acts,
    schedule_acts,
    user_acts,
    webhook_acts,
)
from balance_service.console.act_kinds import Act, Order
from balance_service.console.calls import Refused
from balance_service.console.protection import BadForm
from balance_service.console.queries import plain_amount
from balance_service.console.visits import INTERNAL_ERROR, STATUSES, Visit
from balance_service.domain.ids import new_id

ACTS: Mapping[str, Act] = {
    act.name: act
    for group in (
        account_acts,
        reversal_acts,
        hold_acts,
        user_acts,
        approval_acts,
        catalogue_acts,
        schedule_acts,
        webhook_acts,
    )
    for act in group.ACTS
}
_WAITS = "APPROVAL_REQUIRED"


async def show(visit: Visit) -> Response:
    """The form of an act, with a request id of its own."""
    act = ACTS.get(visit.part("act"))
    if act is None:
        return visit.problem("problem.not_found", 404)
    subject = await act.subject(visit, visit.part("target"))
    order = Order(visit.part("target"), str(new_id()), subject.values)
    return await _form(visit, act, order)


async def go_on(visit: Visit) -> Response:
    """Shows the form again, rehearses the act, or carries it out: as the button says."""
    act = ACTS.get(visit.part("act"))
    if act is None:
        return visit.problem("problem.not_found", 404)
    steps = {"edit": _form, "check": _check, "do": _do}
    step = steps.get(visit.form.get("step", ""))
    if step is None or not visit.form.get("request_id"):
        raise BadForm
    return await step(visit, act, _read(visit, act))


def _read(visit: Visit, act: Act) -> Order:
    values = {field.name: visit.form.get(field.name, "") for field in act.fields}
    for field in act.fields:
        if field.kind == "amount":
            values[field.name] = plain_amount(values[field.name])
    return Order(visit.part("target"), visit.form["request_id"], values)


async def _form(visit: Visit, act: Act, order: Order, refused: Refused | None = None) -> Response:
    subject = await act.subject(visit, order.target)
    status = STATUSES.get(refused.code, INTERNAL_ERROR) if refused else 200
    return visit.page("act.html", status, act=act, order=order, subject=subject, refused=refused)


async def _check(visit: Visit, act: Act, order: Order) -> Response:
    """Says what would happen, by a rehearsal where the RPC has one."""
    rehearsal = Order(order.target, order.request_id, order.values, rehearsal=True)
    waits, answer = False, None
    if act.rehearses:
        try:
            answer = await _send(visit, act, rehearsal)
        except Refused as refused:
            if refused.reason != _WAITS:
                return await _refuse(visit, act, order, refused)
            # It would be kept for another admin, and how it would then be is not told.
            waits = True
    changes = await act.changes(visit, order, answer)
    settled = act.settled(answer) if answer is not None else {}
    confirmed = Order(order.target, order.request_id, {**order.values, **settled})
    subject = await act.subject(visit, order.target)
    return visit.page(
        "confirm.html", act=act, order=confirmed, subject=subject, changes=changes, waits=waits
    )


async def _do(visit: Visit, act: Act, order: Order) -> Response:
    """Carries it out. The same form again meets the same request id, and does nothing more."""
    try:
        answer = await _send(visit, act, order)
    except Refused as refused:
        if refused.reason == _WAITS and refused.metadata.get("status") == "PENDING":
            return visit.page("waiting.html", refused=refused)
        return await _refuse(visit, act, order, refused)
    if act.shown_once:
        secret, path = act.shown_once(answer), act.path(order.target)
        return visit.page("secret.html", act=act, secret=secret, path=path)
    path = act.done_path(answer) if act.done_path else act.path(order.target)
    return visit.redirect(path, f"done.{act.key}")


async def _refuse(visit: Visit, act: Act, order: Order, refused: Refused) -> Response:
    if refused.is_lost_token:
        raise refused
    return await _form(visit, act, order, refused)


async def _send(visit: Visit, act: Act, order: Order) -> Message:
    answer: Message = await visit.ask(act.method(visit.service), act.request(order))
    return answer
