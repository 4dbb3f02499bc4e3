"""`balance-service service-principal`: sibling services that may call."""

import asyncio
import json
import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from balance_service.commands.desk import Yes
from balance_service.commands.output import (
    Format,
    Output,
    Row,
    confirm,
    examples,
    show_list,
    show_one,
)
from balance_service.commands.settings import open_database
from balance_service.domain.principals import Scope

if TYPE_CHECKING:
    from balance_service.repositories.client_certificates import ListedCertificate
    from balance_service.repositories.principals import ListedSecret, StoredPrincipal

app = typer.Typer(no_args_is_help=True, help="Sibling services that may call.")

COLUMNS = ("client_id", "state", "scopes", "description")
SECRET_COLUMNS = ("secret_id", "state", "create_time", "expire_time", "revoke_time", "use_date")
CERTIFICATE_COLUMNS = ("certificate_id", "name", "state", "create_time", "revoke_time", "use_date")
# An id as the examples have it.
_ID = "019a5c3e-7c1a-7000-8000-000000000001"

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


@app.command(
    epilog=examples(
        "balance-service service-principal create billing --scope deposits:write",
        "balance-service service-principal create shop --scope purchases:write --expires-days 90",
    )
)
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


@app.command("list", epilog=examples("balance-service service-principal list"))
def list_(output: Output = Format.TABLE) -> None:
    """Show the sibling services, by name."""
    from balance_service.operations import service_principals

    with open_database() as settings:
        listed = asyncio.run(service_principals.list_all(settings))
    show_list(map(_row, listed), COLUMNS, output)


@app.command(epilog=examples("balance-service service-principal show billing"))
def show(client_id: ClientId, output: Output = Format.TABLE) -> None:
    """Show a sibling service, and the ids of its secrets and certificates."""
    from balance_service.operations import service_principals

    with open_database() as settings:
        shown = asyncio.run(service_principals.show(settings, client_id))
    secrets = [_secret_row(secret) for secret in shown.secrets]
    certificates = [_certificate_row(bound) for bound in shown.certificates]
    found = _row(shown.principal)
    if output is Format.JSON:
        show_one({**found, "secrets": secrets, "certificates": certificates}, output)
        return
    show_one(found, output)
    for listed, columns in ((secrets, SECRET_COLUMNS), (certificates, CERTIFICATE_COLUMNS)):
        if listed:
            typer.echo()
            show_list(listed, columns, output)


@app.command(
    epilog=examples("balance-service service-principal rotate billing --old-expires-hours 24")
)
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


@app.command(epilog=examples(f"balance-service service-principal revoke-secret billing {_ID}"))
def revoke_secret(
    client_id: ClientId,
    secret_id: Annotated[
        UUID, typer.Argument(help="The secret's id, as in `show`.", show_default=False)
    ],
    *,
    yes: Yes = False,
) -> None:
    """End a secret of a sibling service; its tokens are refused within seconds."""
    from balance_service.operations import service_principals

    confirm(f"Refuse {client_id} with the secret {secret_id}?", yes=yes)
    with open_database() as settings:
        asyncio.run(service_principals.revoke_secret(settings, client_id, secret_id))
    typer.echo(f"{secret_id} is revoked.")


@app.command(
    epilog=examples(
        "balance-service service-principal bind billing --uri spiffe://example.org/billing",
        "balance-service service-principal bind billing --dns billing.internal.example",
    )
)
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
        raise typer.BadParameter("give one of --sha256, --uri and --dns")
    name = parse_name(*chosen[0])
    with open_database() as settings:
        certificate_id = asyncio.run(service_principals.bind(settings, client_id, name))
    typer.echo(f"{client_id} may sign in by {name}: {certificate_id}")


@app.command(epilog=examples(f"balance-service service-principal unbind billing {_ID}"))
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


@app.command(epilog=examples("balance-service service-principal revoke billing --yes"))
def revoke(client_id: ClientId, *, yes: Yes = False) -> None:
    """Stop a sibling service from signing in; its tokens are refused within seconds."""
    from balance_service.operations import service_principals

    confirm(f"Stop {client_id} for good?", yes=yes)
    with open_database() as settings:
        asyncio.run(service_principals.revoke(settings, client_id))
    typer.echo(f"{client_id} may no longer sign in.")


def _check_readable() -> None:
    if sys.stdout is None:
        raise ValueError("standard output is closed: nobody could read the secret")


def _row(principal: "StoredPrincipal") -> Row:
    return {
        "client_id": principal.client_id,
        "state": "revoked" if principal.revoked_at else "active",
        "description": principal.description,
        "scopes": sorted(principal.scopes),
        "create_time": _time(principal.created_at),
        "revoke_time": _time(principal.revoked_at),
    }


def _secret_row(secret: "ListedSecret") -> Row:
    ended = "revoked" if secret.revoked_at else "expired"
    return {
        "secret_id": str(secret.secret_id),
        "state": "active" if secret.live else ended,
        "create_time": _time(secret.created_at),
        "expire_time": _time(secret.expires_at),
        "revoke_time": _time(secret.revoked_at),
        "use_date": str(secret.used_on or ""),
    }


def _certificate_row(bound: "ListedCertificate") -> Row:
    return {
        "certificate_id": str(bound.certificate_id),
        "name": bound.name,
        "state": "revoked" if bound.revoked_at else "active",
        "create_time": _time(bound.created_at),
        "revoke_time": _time(bound.revoked_at),
        "use_date": str(bound.used_on or ""),
    }


def _days(days: int | None) -> timedelta | None:
    return None if days is None else timedelta(days=days)


def _time(moment: datetime | None) -> str:
    return moment.isoformat(timespec="seconds") if moment else ""
