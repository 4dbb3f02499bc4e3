"""`balance-service`: run, serve, migrate, verify, and what operators need. Thin."""

import asyncio
import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from balance_service.config import Settings
from balance_service.database import migrate
from balance_service.database.pool import DatabaseUnavailable
from balance_service.domain.money import format_minor
from balance_service.domain.principals import Scope
from balance_service.repositories.verification import CHECKS, Report
from balance_service.server import administration, demo, development, gateway, logs, workers
from balance_service.server.app import mailbox
from balance_service.server.envoy import process

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
migrate_app = typer.Typer(no_args_is_help=True, help="Bring the database's schema up to date.")
admin_app = typer.Typer(no_args_is_help=True, help="Admins.")
principal_app = typer.Typer(no_args_is_help=True, help="Sibling services that may call.")
keys_app = typer.Typer(no_args_is_help=True, help="Keys that access tokens are signed with.")
app.add_typer(migrate_app, name="migrate")
app.add_typer(admin_app, name="admin")
app.add_typer(principal_app, name="service-principal")
app.add_typer(keys_app, name="keys")

_out = Console(highlight=False, soft_wrap=True)
_err = Console(stderr=True, highlight=False, soft_wrap=True)

_FAILURES = (OSError, RuntimeError, ValueError, migrate.SchemaError, DatabaseUnavailable)

Workers = Annotated[
    int | None, typer.Option("--workers", help="Worker processes sharing the port.")
]
GrpcPort = Annotated[int | None, typer.Option("--port", help="Port of the gRPC server.")]
HttpPort = Annotated[int | None, typer.Option("--http-port", help="Port of the HTTP server.")]
Target = Annotated[str, typer.Option(help="Where the service listens.")]


def _settings(**chosen: object) -> Settings:
    """Settings from the environment, overridden by options; leaves with 2 if they are wrong."""
    given: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        for problem in error.errors(include_input=False):
            name = "_".join(str(part) for part in problem["loc"]).upper()
            _err.print(f"BALANCE_{name}: {problem['msg']}")
        raise typer.Exit(2) from None


def _fail(message: object) -> NoReturn:
    _err.print(escape(str(message)))
    raise typer.Exit(1)


@contextlib.contextmanager
def _database(*, secret: bool = False) -> Iterator[Settings]:
    """Settings for commands that work on a database; that of `run` where none is configured."""
    try:
        with development.existing(_settings()) as settings:
            if secret and not settings.secret.get_secret_value():
                raise ValueError("BALANCE_SECRET is not set")
            yield settings
    except _FAILURES as error:
        _fail(error)


@app.command()
def run(workers_: Workers = None, port: GrpcPort = None, http_port: HttpPort = None) -> None:
    """Start everything for development: Postgres if none is given, demo data, the service."""
    settings = _settings(workers=workers_, grpc_port=port, http_port=http_port)
    logs.configure(settings.log_level)
    try:
        with development.database(settings) as url:
            ready = development.prepared(settings, url)
            status = asyncio.run(development.run(ready, _greet))
    except _FAILURES as error:
        _fail(error)
    raise typer.Exit(status)


def _greet(settings: Settings) -> None:
    target = f"{settings.host}:{settings.grpc_port}"
    address = f"http://{settings.host}:{settings.http_port}"
    http = f"{address}, to try out at {address}/swagger/" if settings.http else "off"
    own = sys.argv[0] if Path(sys.argv[0]).name == "balance-service" else "balance-service"
    data = "embedded, in " + settings.data_dir if settings.data_dir in settings.database_url else ""
    _out.print(
        f"\n[bold]Balance service[/bold]\n"
        f"  gRPC      {target}, {settings.workers} worker(s), with reflection and health\n"
        f"  HTTP      {http}\n"
        f"  Postgres  {escape(data or 'BALANCE_DATABASE_URL')}\n"
        f"  Mail      printed here, and kept in {escape(str(mailbox(settings)))}\n"
        f"\nSign in as {administration.DEMO_ADMIN} (admin) or {administration.DEMO_USER}:\n"
        f"  {own} token {administration.DEMO_ADMIN}\n"
        f"\nTry:\n"
        f"  {own} demo\n"
        f"  grpcurl -plaintext {target} list\n"
        f"  grpcurl -plaintext {target} balance.v1.PurchaseService/ListServices\n"
        f"\nStop with Ctrl-C; what is on the accounts stays."
    )


@app.command()
def serve(workers_: Workers = None, port: GrpcPort = None, http_port: HttpPort = None) -> None:
    """Serve a migrated database, in production."""
    settings = _settings(workers=workers_, grpc_port=port, http_port=http_port)
    logs.configure(settings.log_level)
    if not settings.database_url or not settings.secret.get_secret_value():
        _fail("BALANCE_DATABASE_URL and BALANCE_SECRET must be set")
    try:
        migrate.check(settings.database_url)
        with workers.reserved_ports(settings) as bound:
            status = asyncio.run(workers.supervise(bound))
    except _FAILURES as error:
        _fail(error)
    raise typer.Exit(status)


@app.command("gateway")
def run_gateway(target: Target = "127.0.0.1:50051", http_port: HttpPort = None) -> None:
    """Answer JSON over HTTP alone, in front of gRPC servers elsewhere."""
    settings = _settings(http_port=http_port)
    logs.configure(settings.log_level)
    try:
        asyncio.run(gateway.run(settings, target))
    except _FAILURES as error:
        _fail(error)


@app.command(hidden=True)
def worker() -> None:
    """One worker of `run` or `serve`."""
    settings = _settings()
    logs.configure(settings.log_level)
    try:
        if settings.door == "envoy":
            process.become(settings)
        asyncio.run(workers.work(settings))
    except (DatabaseUnavailable, RuntimeError, ValueError, migrate.SchemaError) as error:
        _err.print(escape(str(error)))
        raise typer.Exit(workers.start_status(error)) from None


@migrate_app.command("status")
def migrate_status() -> None:
    """Show which migrations the database has."""
    for migration in _migrations():
        _out.print(f"{'applied' if migration.applied else 'pending'}  {migration.name}")


@migrate_app.command("plan")
def migrate_plan() -> None:
    """Print the SQL that `up` would run."""
    for migration in _migrations():
        if not migration.applied:
            _out.print(f"-- {migration.name}\n{escape(migration.sql)}")


@migrate_app.command("up")
def migrate_up() -> None:
    """Apply what is missing; one process at a time."""
    with _database() as settings:
        applied = migrate.up(settings.database_url)
    for migration in applied:
        _out.print(f"applied  {migration.name}")
    _out.print("The schema is up to date.")


def _migrations() -> list[migrate.Migration]:
    with _database() as settings:
        return migrate.status(settings.database_url)


@admin_app.command("create")
def admin_create(email: str) -> None:
    """Make the user of an address an admin, creating them if need be."""
    with _database() as settings:
        asyncio.run(administration.create_admin(settings, email.strip().lower()))
    _out.print(f"{escape(email)} is an admin. They sign in with a code sent to that address.")


@principal_app.command("create")
def principal_create(
    client_id: str,
    scope: Annotated[list[Scope], typer.Option(help="What it may do; give several times.")],
    description: Annotated[str, typer.Option(help="What it is.")] = "",
) -> None:
    """Add a sibling service and print its secret, once."""
    with _database(secret=True) as settings:
        secret = asyncio.run(
            administration.create_service_principal(settings, client_id, description, scope)
        )
    # On standard output and nowhere else, so that it can be piped to where it is kept.
    print(json.dumps({"client_id": client_id, "client_secret": secret}))  # noqa: T201


@principal_app.command("revoke")
def principal_revoke(client_id: str) -> None:
    """Stop a sibling service from signing in; its tokens run out within minutes."""
    with _database() as settings:
        if not asyncio.run(administration.revoke_service_principal(settings, client_id)):
            raise ValueError(f"there is no service {client_id} that may sign in")
    _out.print(f"{escape(client_id)} may no longer sign in.")


@keys_app.command("rotate")
def keys_rotate() -> None:
    """Make a new signing key; tokens signed with older ones stay good until they expire."""
    with _database(secret=True) as settings:
        key_id = asyncio.run(administration.rotate_keys(settings))
    _out.print(f"New tokens are signed with {key_id} once workers restart.")


@app.command()
def verify() -> None:
    """Recompute every balance from its entries; status 1 if anything is wrong."""
    with _database() as settings:
        report = asyncio.run(administration.verify(settings))
    _print_report(report)
    raise typer.Exit(0 if report.clean else 1)


def _print_report(report: Report) -> None:
    _out.print(", ".join(f"{count} {name}" for name, count in report.totals.items()))
    for check, meaning in CHECKS.items():
        faults = report.faults[check]
        _out.print(f"{'[red]FAULT[/red]' if faults else '[green]ok[/green]   '}  {meaning}")
        for fault in faults:
            _out.print(f"         {fault.subject}: {fault.stored}, should be {fault.computed}")
    table = Table("currency", "users", "system", "sum")
    for balance in report.balances:
        sides = (balance.users_minor, balance.system_minor)
        amounts = (*sides, sum(sides))
        table.add_row(balance.currency, *(format_minor(int(a), balance.currency) for a in amounts))
    _out.print(table)
    _out.print("The ledger is clean." if report.clean else "The ledger is NOT clean.")


@app.command("demo")
def tell_demo(target: Target = "127.0.0.1:50051") -> None:
    """Tell the demo story through a service started with `run`."""
    try:
        with demo.connected(target) as channel:
            for line in demo.tell(channel, mailbox(_settings())):
                _out.print(escape(line))
    except demo.DemoError as error:
        _fail(error)


@app.command()
def health(target: Target = "") -> None:
    """Ask the service whether it serves; status 1 if not. For container health checks."""
    settings = _settings()
    where = target or f"127.0.0.1:{settings.grpc_port}"
    if not asyncio.run(development.serves(where, settings)):
        _fail(f"{where} does not serve")
    _out.print("serving")


@app.command()
def token(email: str, target: Target = "127.0.0.1:50051") -> None:
    """Sign in to a service started with `run` and print an access token."""
    try:
        with demo.connected(target) as channel:
            print(demo.sign_in(channel, mailbox(_settings()), email.strip().lower()))  # noqa: T201
    except demo.DemoError as error:
        _fail(error)


if __name__ == "__main__":
    app()
