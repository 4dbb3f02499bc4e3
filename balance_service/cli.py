"""`balance-service`: run, serve, migrate, verify, and what operators need. Thin.

Each command imports what it needs by itself: container health checks run `health` every few
seconds, and the whole service takes longer to load than they should take. Whatever fails is told in
one sentence, by `main`.
"""

import asyncio
import contextlib
import functools
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from balance_service import DISTRIBUTION
from balance_service.domain.principals import Scope

if TYPE_CHECKING:
    from balance_service.config import Settings
    from balance_service.database.migrate import Migration
    from balance_service.repositories.verification import Report

FAILED = 1
# Of the arguments or the settings, as the command line itself has it.
WRONGLY_USED = 2

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Users' balances for a company's services: double entry, over gRPC and HTTP, on Postgres.",
    epilog="Settings are read from the environment: BALANCE_DATABASE_URL and others, see README.",
)
migrate_app = typer.Typer(no_args_is_help=True, help="Bring the database's schema up to date.")
admin_app = typer.Typer(no_args_is_help=True, help="Admins.")
principal_app = typer.Typer(no_args_is_help=True, help="Sibling services that may call.")
keys_app = typer.Typer(no_args_is_help=True, help="Keys that access tokens are signed with.")
app.add_typer(migrate_app, name="migrate")
app.add_typer(admin_app, name="admin")
app.add_typer(principal_app, name="service-principal")
app.add_typer(keys_app, name="keys")

Workers = Annotated[
    int | None, typer.Option("--workers", help="Worker processes sharing the port.")
]
GrpcPort = Annotated[int | None, typer.Option("--port", help="Port of the gRPC server.")]
HttpPort = Annotated[int | None, typer.Option("--http-port", help="Port of the HTTP server.")]
Target = Annotated[
    str,
    typer.Option(
        help="Where the service listens, as host:port. By default, where the `run` of "
        "BALANCE_DATA_DIR does, or else BALANCE_HOST and BALANCE_GRPC_PORT."
    ),
]
Email = Annotated[str, typer.Argument(help="Their e-mail address.", show_default=False)]
ClientId = Annotated[
    str,
    typer.Argument(
        help="The name it signs in with: 2 to 40 of a-z, 0-9 and -, from a letter on.",
        show_default=False,
    ),
]


def main() -> None:
    """The program: its commands, with a sentence and a status for whatever fails."""
    try:
        try:
            app(prog_name="balance-service")
        finally:
            # Here rather than at the end of all, where nobody could be told that it failed.
            if sys.stdout is not None:
                sys.stdout.flush()
    except Exception as error:  # noqa: BLE001 - a traceback is no answer to an operator
        from balance_service.server import explanations

        with contextlib.suppress(OSError):
            typer.echo(explanations.sentence(error), err=True)
        sys.exit(FAILED)


def _version(wanted: bool) -> None:  # noqa: FBT001 - Typer's way to call it
    if wanted:
        from importlib import metadata

        typer.echo(f"balance-service {metadata.version(DISTRIBUTION)}")
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    """Options before a command."""


def _settings(check: str = "", **chosen: object) -> "Settings":
    """Settings from the environment, overridden by options; leaves with 2 if any is wrong.

    Args:
        check: Also what `startup` checks: "production", or "development".
        chosen: Options; None is not given.
    """
    from balance_service import config

    given = {name: value for name, value in chosen.items() if value is not None}
    settings, faults = config.read(**given)
    if check:
        from balance_service.server import startup

        faults = startup.faults(settings, production=check == "production") | faults
    for name, fault in sorted(faults.items()):
        typer.echo(f"{name}: {fault}", err=True)
    if faults:
        raise typer.Exit(WRONGLY_USED)
    return settings


def _fail(message: object) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(FAILED)


@contextlib.contextmanager
def _database(*, migrated: bool = True, secret: bool = False) -> Iterator["Settings"]:
    """Settings for commands that work on a database; that of `run` where none is configured."""
    from balance_service.database import migrate
    from balance_service.development import run

    with run.existing(_settings("development")) as settings:
        if secret and not settings.secret.get_secret_value():
            raise ValueError("BALANCE_SECRET is not set")
        if migrated:
            migrate.check(settings.database_url.get_secret_value())
        yield settings


@app.command()
def run(workers_: Workers = None, port: GrpcPort = None, http_port: HttpPort = None) -> None:
    """Start everything for development: Postgres if none is given, demo data, the service."""
    settings = _settings("development", workers=workers_, grpc_port=port, http_port=http_port)
    from balance_service.development import run
    from balance_service.server import logs

    logs.configure(settings.log_level)
    with run.database(settings) as found:
        ready = run.prepared(settings, found.url)

        greet = functools.partial(_greet, database=found.place)
        status = asyncio.run(run.run(ready, greet))
    raise typer.Exit(status)


def _greet(settings: "Settings", *, known: bool, database: str) -> None:
    """Tells what runs where, and commands that work as they stand."""
    from balance_service.development import greeting
    from balance_service.operations import administration
    from balance_service.server.app import mailbox

    typer.echo(
        greeting.text(
            settings,
            database,
            mailbox=mailbox(settings),
            people=(administration.DEMO_ADMIN, administration.DEMO_USER),
            known=known,
        )
    )


@app.command()
def serve(workers_: Workers = None, port: GrpcPort = None, http_port: HttpPort = None) -> None:
    """Serve a migrated database, in production."""
    settings = _settings("production", workers=workers_, grpc_port=port, http_port=http_port)
    from balance_service.database import migrate
    from balance_service.server import logs, workers

    logs.configure(settings.log_level)
    migrate.check(settings.database_url.get_secret_value())
    with workers.reserved_ports(settings) as bound:
        status = asyncio.run(workers.supervise(bound))
    raise typer.Exit(status)


@app.command("gateway")
def run_gateway(target: Target = "", http_port: HttpPort = None) -> None:
    """Answer JSON over HTTP alone, in front of gRPC servers elsewhere."""
    settings = _settings(http_port=http_port)
    from balance_service.development import address
    from balance_service.server import gateway, logs, workers

    logs.configure(settings.log_level)
    # The server shares its port with whoever allows that, and would answer every other request.
    with workers.reserved_port(settings.host, settings.http_port) as found:
        bound = settings.model_copy(update={"http_port": found})
        asyncio.run(gateway.run(bound, target or address.of_service(settings)))


@app.command(hidden=True)
def worker(started_fd: int | None = None) -> None:
    """One worker of `run` or `serve`."""
    settings = _settings()
    from balance_service.database.migrate import SchemaError
    from balance_service.database.pool import DatabaseUnavailable, PostgresError
    from balance_service.server import explanations, logs, workers

    logs.configure(settings.log_level)
    try:
        asyncio.run(workers.work(settings, started_fd))
    except DatabaseUnavailable as error:
        typer.echo(explanations.sentence(error), err=True)
        raise typer.Exit(workers.DATABASE_AWAY) from None
    except (RuntimeError, ValueError, SchemaError, PostgresError) as error:
        # Another start would find the same; whatever else it is, another may not.
        typer.echo(explanations.sentence(error), err=True)
        raise typer.Exit(workers.STARTUP_FAILED) from None


@migrate_app.command("status")
def migrate_status() -> None:
    """Show which migrations the database has."""
    for migration in _migrations():
        typer.echo(f"{'applied' if migration.applied else 'pending'}  {migration.name}")


@migrate_app.command("plan")
def migrate_plan() -> None:
    """Print the SQL that `up` would run."""
    for migration in _migrations():
        if not migration.applied:
            typer.echo(f"-- {migration.name}\n{migration.sql}")


@migrate_app.command("up")
def migrate_up() -> None:
    """Apply what is missing; one process at a time."""
    from balance_service.database import migrate

    with _database(migrated=False) as settings:
        applied = migrate.up(settings.database_url.get_secret_value())
    for migration in applied:
        typer.echo(f"applied  {migration.name}")
    typer.echo("The schema is up to date.")


def _migrations() -> "list[Migration]":
    from balance_service.database import migrate

    with _database(migrated=False) as settings:
        return migrate.status(settings.database_url.get_secret_value())


@admin_app.command("create")
def admin_create(email: Email) -> None:
    """Make the user of an address an admin, creating them if need be."""
    from balance_service.operations import administration

    with _database() as settings:
        address = asyncio.run(administration.create_admin(settings, email))
    typer.echo(f"{address} is an admin. They sign in with a code sent to that address.")


@principal_app.command("create")
def principal_create(
    client_id: ClientId,
    scope: Annotated[list[Scope], typer.Option(help="What it may do; give several times.")],
    description: Annotated[str, typer.Option(help="What it is.")] = "",
) -> None:
    """Add a sibling service and print its secret, once."""
    from balance_service.operations import administration

    if sys.stdout is None:
        raise ValueError("standard output is closed: nobody could read the secret")
    with _database(secret=True) as settings:
        secret = asyncio.run(
            administration.create_service_principal(settings, client_id, description, scope)
        )
    # On standard output and nowhere else, so that it can be piped to where it is kept.
    typer.echo(json.dumps({"client_id": client_id, "client_secret": secret}))


@principal_app.command("revoke")
def principal_revoke(client_id: ClientId) -> None:
    """Stop a sibling service from signing in; its tokens run out within minutes."""
    from balance_service.operations import administration

    with _database() as settings:
        if not asyncio.run(administration.revoke_service_principal(settings, client_id)):
            raise ValueError(f"there is no service {client_id} that may sign in")
    typer.echo(f"{client_id} may no longer sign in.")


@keys_app.command("rotate")
def keys_rotate() -> None:
    """Make a new signing key; tokens signed with older ones stay good until they expire."""
    from balance_service.operations import administration

    with _database(secret=True) as settings:
        key_id = asyncio.run(administration.rotate_keys(settings))
    typer.echo(f"New tokens are signed with {key_id} once workers restart.")


@app.command()
def verify() -> None:
    """Recompute every balance from its entries; status 1 if anything is wrong."""
    from balance_service.operations import administration

    with _database() as settings:
        report = asyncio.run(administration.verify(settings))
    _print_report(report)
    raise typer.Exit(0 if report.clean else FAILED)


def _print_report(report: "Report") -> None:
    from rich.console import Console
    from rich.table import Table

    from balance_service.domain.money import format_minor
    from balance_service.repositories.verification import CHECKS

    out = Console(highlight=False, soft_wrap=True)
    out.print(", ".join(f"{count} {name}" for name, count in report.totals.items()))
    for check, meaning in CHECKS.items():
        faults = report.faults[check]
        out.print(f"{'[red]FAULT[/red]' if faults else '[green]ok[/green]   '}  {meaning}")
        for fault in faults:
            out.print(f"         {fault.subject}: {fault.stored}, should be {fault.computed}")
    table = Table("currency", "users", "system", "sum")
    for balance in report.balances:
        sides = (balance.users_minor, balance.system_minor)
        amounts = (*sides, sum(sides))
        table.add_row(balance.currency, *(format_minor(int(a), balance.currency) for a in amounts))
    out.print(table)
    out.print("The ledger is clean." if report.clean else "The ledger is NOT clean.")


@app.command("demo")
def tell_demo(target: Target = "") -> None:
    """Tell the demo story through a service started with `run`."""
    settings = _settings()
    from balance_service.development import address, demo
    from balance_service.server.app import mailbox

    with demo.connected(target or address.of_development(settings)) as channel:
        for line in demo.tell(channel, mailbox(settings)):
            typer.echo(line)


@app.command()
def token(email: Email, target: Target = "") -> None:
    """Sign in to a service started with `run` and print an access token."""
    settings = _settings()
    from balance_service.development import address, demo
    from balance_service.domain.addresses import parse_email
    from balance_service.server.app import mailbox

    email = parse_email(email)
    with demo.connected(target or address.of_development(settings)) as channel:
        typer.echo(demo.sign_in(channel, mailbox(settings), email))


@app.command()
def health(target: Target = "") -> None:
    """Ask the service whether it serves; status 1 if not. For container health checks."""
    settings = _settings()
    from balance_service.development import address
    from balance_service.server import health

    where = target or address.of_service(settings)
    if not asyncio.run(health.serves(where)):
        _fail(f"{where} does not serve")
    typer.echo(f"{where} is serving")


if __name__ == "__main__":
    main()
