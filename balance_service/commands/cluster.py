"""`balance-service cluster`: the ledger's tables on the servers of a Citus cluster."""

from typing import Annotated

import typer

from balance_service.commands.output import Format, Output, examples, show_list
from balance_service.commands.settings import open_database

app = typer.Typer(no_args_is_help=True, help="Distribute the ledger over a Citus cluster.")

COLUMNS = ("name", "by", "beside", "shards", "bytes")
WHOLE = 1


@app.command(
    epilog=examples(
        "balance-service cluster distribute", "balance-service cluster distribute --shards 64"
    )
)
def distribute(
    shards: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1024,
            help="How many shards a table gets: twice the processors that the cluster may have.",
            show_default="32",
        ),
    ] = None,
) -> None:
    """Distribute the ledger's tables, with what they have, once `migrate up` has made them.

    No service may run meanwhile. What is distributed already is left as it is.
    """
    from balance_service.operations import cluster

    with open_database() as settings:
        cluster.distribute(
            settings, shards, lambda name: typer.echo(f"distributing  {name}", err=True)
        )
    typer.echo("The ledger is distributed.")


@app.command(
    epilog=examples(
        "balance-service cluster status", "balance-service cluster status --output json"
    )
)
def status(output: Output = Format.TABLE) -> None:
    """Show the distributed tables: by which column, beside which, and how much they take.

    Status 1 if one that is to be distributed is not.
    """
    from balance_service.operations import cluster

    with open_database() as settings:
        tables = cluster.read(settings)
    show_list([table.facts() for table in tables], COLUMNS, output)
    if not all(table.shards for table in tables):
        raise typer.Exit(WHOLE)
