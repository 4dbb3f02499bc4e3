"""`balance-service movement`, `purchase`, `deposit` and others: money that moved."""

from collections.abc import Callable
from typing import Annotated

import typer

from balance_service.commands.desk import Limit, Reason, RequestId, at_desk
from balance_service.commands.output import (
    Format,
    Output,
    examples,
    row,
    rows,
    show_list,
    show_one,
)

app = typer.Typer(no_args_is_help=True, help="Money that moved, of any kind.")

COLUMNS = ("date", "kind", "amount", "currency", "from_account", "to_account", "id")
# An id as the examples have it.
_ID = "019a5c3e-7c1a-7000-8000-000000000001"


@app.command(epilog=examples(f"balance-service movement show {_ID}"))
def show(
    movement: Annotated[str, typer.Argument(help="Its id, as in a statement.", show_default=False)],
    output: Output = Format.TABLE,
) -> None:
    """Show a movement, and what of it was taken back."""
    from balance_service.operations import movements

    shown = at_desk(lambda desk: movements.show(desk, movement))
    followed = {"reversed_amount": shown.reversed_amount, "reversals": shown.reversals}
    show_one({**row(shown.movement), **followed}, output)


@app.command(
    epilog=examples(
        "balance-service movement find 4711", "balance-service movement find 4711 --source bank"
    )
)
def find(
    reference: Annotated[
        str, typer.Argument(help="The outside system's id of a payment.", show_default=False)
    ],
    source: Annotated[str, typer.Option(help="The outside system.", show_default=False)] = "",
    limit: Limit = 20,
    output: Output = Format.TABLE,
) -> None:
    """Find movements by the reference that an outside system gave them, the newest first."""
    from balance_service.operations import movements

    found = at_desk(lambda desk: movements.find(desk, reference, source, limit))
    show_list(rows(found), COLUMNS, output)


def _reversing(what: str) -> Callable[..., None]:
    """The command that takes a kind of movement back."""

    def reverse(
        movement: Annotated[
            str, typer.Argument(metavar=what.upper(), help="Its id.", show_default=False)
        ],
        reason: Reason,
        amount: Annotated[
            str, typer.Option(help="How much of it.", show_default="all that is left")
        ] = "",
        *,
        force: Annotated[
            bool, typer.Option("--force", help="Though the account that pays owes money by it.")
        ] = False,
        request_id: RequestId = "",
        output: Output = Format.TABLE,
    ) -> None:
        from balance_service.operations import movements

        asked = movements.Reversal(movement, reason, amount, request_id, force)
        done = at_desk(lambda desk: movements.reverse(desk, what, asked))
        show_one(row(done), output)

    return reverse


def reversal_app(what: str, verb: str) -> typer.Typer:
    """The commands about a kind of movement that can be taken back.

    Args:
        what: The kind, as a name of `movements.REQUESTS`.
        verb: What that is called.
    """
    made = typer.Typer(no_args_is_help=True, help=f"{what.capitalize()}s.")

    @made.callback()
    def options() -> None:
        """Keeps the verb a command, though there is one alone."""

    line = f'balance-service {what} {verb} {_ID} --reason "Ticket 813"'
    told = f"Take a {what} back, or a part of it; the account that pays must have the money."
    told = told.replace("a exchange", "an exchange")
    made.command(verb, help=told, epilog=examples(line, f"{line} --amount 10.50"))(_reversing(what))
    return made
