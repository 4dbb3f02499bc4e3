"""`balance-service webhook`: where events are sent to, and what became of them."""

import enum
from typing import Annotated

import typer

from balance_service.commands.desk import Limit, RequestId, at_desk
from balance_service.commands.output import (
    Format,
    Output,
    examples,
    row,
    rows,
    show_list,
    show_one,
)

app = typer.Typer(no_args_is_help=True, help="Where events are sent to, and what became of them.")

Endpoint = Annotated[str, typer.Argument(help="The endpoint's id.", show_default=False)]
Event = Annotated[str, typer.Argument(help="The event's id.", show_default=False)]
_ID = "019a5c3e-7c1a-7000-8000-000000000001"
_EVENT = "019a5c3e-7c1a-7000-8000-000000000002"
ENDPOINTS = ("id", "owner", "url", "disabled", "disabled_reason", "sequence", "fail_time")
DELIVERIES = ("event", "type", "state", "attempts", "http_status", "error", "next_attempt_time")


class State(enum.StrEnum):
    """What became of them."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


@app.command("list", epilog=examples("balance-service webhook list"))
def list_(limit: Limit = 100, output: Output = Format.TABLE) -> None:
    """Show where events are sent to, the oldest endpoint first."""
    from balance_service.operations import webhooks

    found = at_desk(lambda desk: webhooks.list_endpoints(desk, limit))
    show_list(rows(found), ENDPOINTS, output)


@app.command(epilog=examples(f"balance-service webhook deliveries {_ID} --state dead"))
def deliveries(
    endpoint: Endpoint,
    state: Annotated[
        State | None, typer.Option(help="What became of them.", show_default=False)
    ] = None,
    limit: Limit = 20,
    output: Output = Format.TABLE,
) -> None:
    """Show what was sent to an endpoint or is to be, the newest first."""
    from balance_service.operations import webhooks

    name = state.name if state else ""
    found = at_desk(lambda desk: webhooks.list_deliveries(desk, endpoint, name, limit))
    show_list(rows(found), DELIVERIES, output)


@app.command(epilog=examples(f"balance-service webhook redeliver {_ID} {_EVENT}"))
def redeliver(
    endpoint: Endpoint, event: Event, request_id: RequestId = "", output: Output = Format.TABLE
) -> None:
    """Have an event be sent again, whatever became of it."""
    from balance_service.operations import webhooks

    done = at_desk(lambda desk: webhooks.redeliver(desk, endpoint, event, request_id))
    show_one(row(done), output)


@app.command(epilog=examples(f"balance-service webhook disable {_ID}"))
def disable(endpoint: Endpoint, output: Output = Format.TABLE) -> None:
    """Have nothing be sent to an endpoint; what it would have heard waits."""
    from balance_service.operations import webhooks

    show_one(row(at_desk(lambda desk: webhooks.disable(desk, endpoint))), output)
