"""`balance-service service-principal`: sibling services that may call."""

import asyncio
import json
import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from balance_service.commands.settings import open_database
from balance_service.domain.principals import Scope

if TYPE_CHECKING:
    from balance_service.repositories.principals import ListedSecret

app = typer.Typer(no_args_is_help=True, help="Sibling services that may call.")

ClientId = Annotated[
    str,
    typer.Argument(
        help="The name it signs in with: 2 to 40 of a-z, 0-9 and -, from a letter on.",
        show_default=False,
    ),
]
DAYS_MAX = 3650
ExpiresDays = Annotated[
    int | None,
    typer.Option(
        min=1, max=DAYS_MAX, help="Days after which the secret expires.", show_default="never"
    ),
]


@app.command()
def create(
    client_id: ClientId,
    scope: Annotated[list[Scope], typer.Option(help="What it may do; give several times.")],
    description: Annotated[str, typer.Option(help="What it is.")] = "",
    expires_days: ExpiresDays = None,
) -> None:
    """Add a sibling service and print its secret, once."""
    from balance_service.operations import administration

    _check_readable()
    with open_database(secret=True) as settings:
        secret = asyncio.run(
            administration.create_service_principal(
                settings, client_id, description, scope, _days(expires_days)
            )
        )
    # On standard output alone, so that it can be piped to where secrets are kept.
    typer.echo(json.dumps({"client_id": client_id, "client_secret": secret}))


@app.command("list")
def list_() -> None:
    """Show the sibling services, by name."""
    from balance_service.operations import service_principals

    with open_database() as settings:
        listed = asyncio.run(service_principals.list_all(settings))
    for principal in listed:
        state = f"revoked {_time(principal.revoked_at)}" if principal.revoked_at else "active"
        typer.echo(f"{principal.client_id}  {state}  {' '.join(principal.scopes)}")


@app.command()
def show(client_id: ClientId) -> None:
    """Show a sibling service and the ids of its secrets."""
    from balance_service.operations import service_principals

    with open_database() as settings:
        shown = asyncio.run(service_principals.show(settings, client_id))
    principal = shown.principal
    typer.echo(f"{client_id}: {principal.description}")
    typer.echo(f"made {_time(principal.created_at)}")
    if principal.revoked_at:
        typer.echo(f"revoked {_time(principal.revoked_at)}")
    typer.echo(f"scopes {' '.join(principal.scopes)}")
    for secret in shown.secrets:
        typer.echo(f"secret {secret.secret_id}  {_describe(secret)}")
    for bound in shown.certificates:
        state = f"revoked {_time(bound.revoked_at)}" if bound.revoked_at else "active"
        used = f"used {bound.used_on}" if bound.used_on else "never used"
        typer.echo(f"certificate {bound.certificate_id}  {bound.name}  {state}  {used}")


@app.command()
def rotate(
    client_id: ClientId,
    expires_days: ExpiresDays = None,
    old_expires_hours: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=24 * DAYS_MAX,
            help="Hours after which the secret it has expires.",
            show_default="when it is revoked",
        ),
    ] = None,
) -> None:
    """Print a second secret, once; the first goes on until it expires or is revoked."""
    from balance_service.operations import service_principals

    _check_readable()
    old_life = None if old_expires_hours is None else timedelta(hours=old_expires_hours)
    with open_database(secret=True) as settings:
        new = asyncio.run(
            service_principals.rotate(
                settings, client_id, life=_days(expires_days), old_life=old_life
            )
        )
    secret_id = str(new.secret_id)
    told = {"client_id": client_id, "client_secret": new.secret, "secret_id": secret_id}
    typer.echo(json.dumps(told))


@app.command()
def revoke_secret(
    client_id: ClientId,
    secret_id: Annotated[
        UUID, typer.Argument(help="The secret's id, as in `show`.", show_default=False)
    ],
) -> None:
    """End a secret of a sibling service; its tokens are refused within seconds."""
    from balance_service.operations import service_principals

    with open_database() as settings:
        asyncio.run(service_principals.revoke_secret(settings, client_id, secret_id))
    typer.echo(f"{secret_id} is revoked.")


@app.command()
def bind(
    client_id: ClientId,
    sha256: Annotated[str, typer.Option(help="Digest of the certificate, 64 hex digits.")] = "",
    uri: Annotated[str, typer.Option(help="A URI that it is made out to, as of SPIFFE.")] = "",
    dns: Annotated[str, typer.Option(help="A host's name that it is made out to.")] = "",
) -> None:
    """Let a sibling service sign in by a certificate that it shows, without a secret."""
    from balance_service.domain.client_certificates import parse_name
    from balance_service.operations import service_principals

    given = {"sha256": sha256, "uri": uri, "dns": dns}
    chosen = [(kind, value) for kind, value in given.items() if value]
    if len(chosen) != 1:
        raise ValueError("give one of --sha256, --uri and --dns")
    name = parse_name(*chosen[0])
    with open_database() as settings:
        certificate_id = asyncio.run(service_principals.bind(settings, client_id, name))
    typer.echo(f"{client_id} may sign in by {name}: {certificate_id}")


@app.command()
def unbind(
    client_id: ClientId,
    certificate_id: Annotated[
        UUID, typer.Argument(help="The certificate's id, as in `show`.", show_default=False)
    ],
) -> None:
    """End the binding to a certificate; its tokens are refused within seconds."""
    from balance_service.operations import service_principals

    with open_database() as settings:
        asyncio.run(service_principals.unbind(settings, client_id, certificate_id))
    typer.echo(f"{certificate_id} is revoked.")


@app.command()
def revoke(client_id: ClientId) -> None:
    """Stop a sibling service from signing in; its tokens are refused within seconds."""
    from balance_service.operations import service_principals

    with open_database() as settings:
        asyncio.run(service_principals.revoke(settings, client_id))
    typer.echo(f"{client_id} may no longer sign in.")


def _check_readable() -> None:
    if sys.stdout is None:
        raise ValueError("standard output is closed: nobody could read the secret")


def _describe(secret: "ListedSecret") -> str:
    made = f"made {_time(secret.created_at)}"
    used = f"used {secret.used_on}" if secret.used_on else "never used"
    if secret.revoked_at:
        return f"{made}  revoked {_time(secret.revoked_at)}  {used}"
    if secret.expires_at:
        verb = "expires" if secret.live else "expired"
        return f"{made}  {verb} {_time(secret.expires_at)}  {used}"
    return f"{made}  {used}"


def _days(days: int | None) -> timedelta | None:
    return None if days is None else timedelta(days=days)


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
