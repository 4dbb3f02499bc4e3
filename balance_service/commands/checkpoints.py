"""`balance-service checkpoint`: what to keep where the service cannot change it."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from balance_service.commands.output import examples
from balance_service.commands.settings import open_database

app = typer.Typer(
    no_args_is_help=True, help="Checkpoints: signed hashes over all that the ledger holds."
)


@app.command(
    epilog=examples(
        "balance-service checkpoint export /mnt/kept/checkpoint.json",
        "balance-service checkpoint export --number 42 checkpoint-42.json",
    )
)
def export(
    file: Annotated[Path, typer.Argument(help="Where to write it; another file is replaced.")],
    number: Annotated[
        int | None, typer.Option(min=1, help="Which one; the latest by default.")
    ] = None,
) -> None:
    """Write a checkpoint to a file, for `verify --checkpoint` and for whoever checks receipts."""
    from balance_service.operations import checkpoints

    with open_database() as settings:
        asyncio.run(checkpoints.export(settings, file, number))
