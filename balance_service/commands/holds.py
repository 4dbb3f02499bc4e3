"""`balance-service hold`: money reserved for a movement that is to come."""

from typing import Annotated

import typer

from balance_service.commands.desk import Reason, RequestId, at_desk
from balance_service.commands.output import Format, Output, examples, row, show_one

app = typer.Typer(no_args_is_help=True, help="Money reserved for a movement that is to come.")

Hold = Annotated[str, typer.Argument(help="Its id.", show_default=False)]
_ID = "019a5c3e-7c1a-7000-8000-000000000001"


@app.command(epilog=examples(f"balance-service hold show {_ID}"))
def show(hold: Hold, output: Output = Format.TABLE) -> None:
    """Show a hold, and what is left of it."""
    from balance_service.operations import movements

    show_one(row(at_desk(lambda desk: movements.show_hold(desk, hold))), output)


@app.command(epilog=examples(f'balance-service hold void {_ID} --reason "Shop is closed"'))
def void(
    hold: Hold, reason: Reason, request_id: RequestId = "", output: Output = Format.TABLE
) -> None:
    """Give back what is left of a hold."""
    from balance_service.operations import movements

    done = at_desk(lambda desk: movements.void_hold(desk, hold, reason, request_id))
    show_one(row(done), output)
