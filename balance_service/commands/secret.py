"""`balance-service secret`: the service's own secret, BALANCE_SECRET."""

import asyncio

import typer

from balance_service.commands.output import examples
from balance_service.commands.settings import open_database

app = typer.Typer(no_args_is_help=True, help="The service's own secret.")


@app.callback()
def options() -> None:
    """Commands about BALANCE_SECRET."""


@app.command(epilog=examples("balance-service secret reseal"))
def reseal() -> None:
    """Seal with BALANCE_SECRET what BALANCE_PREVIOUS_SECRET sealed; say what still needs that."""
    from balance_service.operations import secret_rotation

    with open_database(secret=True) as settings:
        done = asyncio.run(secret_rotation.reseal(settings))
    typer.echo(
        f"sealed again: {done.keys} signing keys, {done.second_factors} second factors, "
        f"{done.webhooks} webhook secrets"
    )
    typer.echo(
        f"hashed with another secret: {done.client_secrets} client secrets,"
        f" {done.recovery_codes} recovery codes"
    )
