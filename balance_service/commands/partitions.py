"""`balance-service partitions`: the journal in parts by time."""

from typing import TYPE_CHECKING, Annotated

import typer

from balance_service.commands.output import Format, Output, examples, show_list
from balance_service.commands.settings import open_database
from balance_service.domain.periods import Period

if TYPE_CHECKING:
    from balance_service.database.partitions import Prepared

app = typer.Typer(no_args_is_help=True, help="Keep the journal in parts by time.")

COLUMNS = ("name", "from", "until", "rows", "bytes")
FAULTY = 1


@app.command(
    "list",
    epilog=examples(
        "balance-service partitions list", "balance-service partitions list --output json"
    ),
)
def list_(output: Output = Format.TABLE) -> None:
    """Show the partitions, what time each is for, and about how much it has."""
    from balance_service.operations import partitions

    with open_database() as settings:
        found = partitions.list_all(settings)
    show_list([partition.facts() for partition in found], COLUMNS, output)


@app.command(
    epilog=examples(
        "balance-service partitions convert",
        "balance-service partitions convert --period quarter",
    )
)
def convert(
    period: Annotated[
        Period | None,
        typer.Option(help="How much time a partition is for.", show_default="year"),
    ] = None,
) -> None:
    """Make the journal's tables partitioned, beside the traffic.

    What they have becomes the first partition as it is. First every worker must be of this version;
    no command undoes it.
    """
    from balance_service.operations import partitions

    with open_database() as settings:
        prepared = partitions.convert(settings, period, lambda step: typer.echo(step, err=True))
    _tell(prepared)


@app.command(epilog=examples("balance-service partitions prepare"))
def prepare(
    period: Annotated[
        Period | None,
        typer.Option(
            help="How much time a partition is for.", show_default="as the newest one is for"
        ),
    ] = None,
) -> None:
    """Make the partitions that will be needed within a period and a quarter, as `migrate up` does.

    Status 1 if one cannot be made; what belongs there is kept in a common one.
    """
    from balance_service.operations import partitions

    with open_database() as settings:
        prepared = partitions.prepare(settings, period)
    _tell(prepared)


def _tell(prepared: "Prepared") -> None:
    for name in prepared.made:
        typer.echo(f"made  {name}")
    for table, start, end in prepared.crowded:
        typer.echo(
            f"{table}: too many rows of {start:%Y-%m-%d} to {end:%Y-%m-%d} are in {table}_rest"
            " already; they stay there",
            err=True,
        )
    if prepared.crowded:
        raise typer.Exit(FAULTY)
    typer.echo("The partitions are up to date.")
