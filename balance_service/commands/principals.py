"""`balance-service service-principal`: sibling services that may call."""

import asyncio
import json
import sys
from typing import Annotated

import typer

from balance_service.commands.settings import open_database
from balance_service.domain.principals import Scope

app = typer.Typer(no_args_is_help=True, help="Sibling services that may call.")

ClientId = Annotated[
    str,
    typer.Argument(
        help="The name it signs in with: 2 to 40 of a-z, 0-9 and -, from a letter on.",
        show_default=False,
    ),
]


@app.command("create")
def create(
    client_id: ClientId,
    scope: Annotated[list[Scope], typer.Option(help="What it may do; give several times.")],
    description: Annotated[str, typer.Option(help="What it is.")] = "",
) -> None:
    """Add a sibling service and print its secret, once."""
    from balance_service.operations import administration

    if sys.stdout is None:
        raise ValueError("standard output is closed: nobody could read the secret")
    with open_database(secret=True) as settings:
        secret = asyncio.run(
            administration.create_service_principal(settings, client_id, description, scope)
        )
    # On standard output alone, so that it can be piped to where secrets are kept.
    typer.echo(json.dumps({"client_id": client_id, "client_secret": secret}))


@app.command("revoke")
def revoke(client_id: ClientId) -> None:
    """Stop a sibling service from signing in; its tokens run out within minutes."""
    from balance_service.operations import administration

    with open_database() as settings:
        if not asyncio.run(administration.revoke_service_principal(settings, client_id)):
            raise ValueError(f"there is no service {client_id} that may sign in")
    typer.echo(f"{client_id} may no longer sign in.")
