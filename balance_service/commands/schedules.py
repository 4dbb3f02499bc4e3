"""`balance-service schedule`: transfers and purchases that are made later."""

import enum
from typing import Annotated

import typer

from balance_service.commands.desk import Limit, Reason, RequestId, at_desk
from balance_service.commands.output import Format, Output, examples, row, rows, show_list, show_one

app = typer.Typer(no_args_is_help=True, help="Transfers and purchases that are made later.")

Schedule = Annotated[str, typer.Argument(help="Its id.", show_default=False)]
COLUMNS = ("id", "status", "principal", "account", "next_time", "recurrence_rule", "description")
OCCURRENCES = ("time", "outcome", "reason", "movement", "attempts", "decide_time")
_ID = "019a5c3e-7c1a-7000-8000-000000000001"


class Status(enum.StrEnum):
    """What they do."""

    ACTIVE = "active"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    COMPLETED = "completed"


@app.command(
    "list",
    epilog=examples(
        "balance-service schedule list --account 2935048617",
        "balance-service schedule list --principal service:billing --status active",
    ),
)
def list_(
    account: Annotated[
        str, typer.Option(help="The id or number of the account that pays.", show_default=False)
    ] = "",
    principal: Annotated[
        str, typer.Option(help="Who made them, such as service:billing.", show_default=False)
    ] = "",
    status: Annotated[Status | None, typer.Option(help="What they do.", show_default=False)] = None,
    limit: Limit = 20,
    output: Output = Format.TABLE,
) -> None:
    """Show schedules, the newest first."""
    from balance_service.operations import schedules

    kept = status.name if status else ""
    found = at_desk(lambda desk: schedules.list_all(desk, account, principal, kept, limit))
    show_list(rows(found), COLUMNS, output)


@app.command(epilog=examples(f"balance-service schedule show {_ID}"))
def show(schedule: Schedule, output: Output = Format.TABLE) -> None:
    """Show a schedule."""
    from balance_service.operations import schedules

    show_one(row(at_desk(lambda desk: schedules.show(desk, schedule))), output)


@app.command(epilog=examples(f"balance-service schedule occurrences {_ID}"))
def occurrences(schedule: Schedule, limit: Limit = 20, output: Output = Format.TABLE) -> None:
    """Show what became of a schedule's occurrences, the newest first."""
    from balance_service.operations import schedules

    found = at_desk(lambda desk: schedules.occurrences(desk, schedule, limit))
    show_list(rows(found), OCCURRENCES, output)


@app.command(epilog=examples(f'balance-service schedule pause {_ID} --reason "Asked by phone"'))
def pause(
    schedule: Schedule, reason: Reason, request_id: RequestId = "", output: Output = Format.TABLE
) -> None:
    """Pause an active schedule."""
    _step("pause", schedule, reason, request_id, output)


@app.command(epilog=examples(f'balance-service schedule resume {_ID} --reason "Asked by phone"'))
def resume(
    schedule: Schedule, reason: Reason, request_id: RequestId = "", output: Output = Format.TABLE
) -> None:
    """Let a paused schedule go on from its next occurrence."""
    _step("resume", schedule, reason, request_id, output)


@app.command(epilog=examples(f'balance-service schedule cancel {_ID} --reason "Fraud"'))
def cancel(
    schedule: Schedule, reason: Reason, request_id: RequestId = "", output: Output = Format.TABLE
) -> None:
    """Cancel a schedule for good."""
    _step("cancel", schedule, reason, request_id, output)


def _step(what: str, schedule: str, reason: str, request_id: str, output: Format) -> None:
    from balance_service.operations import schedules

    done = at_desk(lambda desk: schedules.step(desk, what, schedule, reason, request_id))
    show_one(row(done), output)
