"""The command line `balance-service`: run, serve, migrate, verify, and what operators need.

Commands only read options, call and print. Each imports what it needs by itself: container health
checks run `health` every few seconds, and the whole service takes longer to load than they should
take. Whatever fails is explained in one sentence, by `main`.
"""

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from balance_service import DISTRIBUTION
from balance_service.commands import (
    accounts,
    admins,
    approvals,
    archives,
    audit,
    backups,
    checkpoints,
    cluster,
    configuration,
    events,
    holds,
    journals,
    keys,
    migrations,
    movements,
    partitions,
    principals,
    schedules,
    secret,
    sizing,
    users,
    verification,
    webhooks,
)
from balance_service.commands.output import examples
from balance_service.commands.settings import open_database as _open_database
from balance_service.commands.settings import read_settings as _read_settings

FAILED = 1

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Users' balances for a company's services: double entry, over gRPC and HTTP, on Postgres.",
    epilog="Settings are read from the environment: BALANCE_DATABASE_URL and others, see README.",
)
for _name, _noun in {
    "migrate": migrations.app,
    "admin": admins.app,
    "user": users.app,
    "account": accounts.app,
    "movement": movements.app,
    "purchase": movements.reversal_app("purchase", "refund"),
    "deposit": movements.reversal_app("deposit", "reverse"),
    "withdrawal": movements.reversal_app("withdrawal", "reverse"),
    "transfer": movements.reversal_app("transfer", "reverse"),
    "exchange": movements.reversal_app("exchange", "reverse"),
    "hold": holds.app,
    "schedule": schedules.app,
    "approval": approvals.app,
    "webhook": webhooks.app,
    "audit": audit.app,
    "checkpoint": checkpoints.app,
    "service-principal": principals.app,
    "journal": journals.app,
    "keys": keys.app,
    "secret": secret.app,
    "config": configuration.app,
    "backup": backups.app,
    "partitions": partitions.app,
    "archives": archives.app,
    "cluster": cluster.app,
}.items():
    app.add_typer(_noun, name=_name)
# As the other nouns are called.
app.add_typer(keys.app, name="key", hidden=True)
app.add_typer(principals.app, name="principal", hidden=True)
app.command(epilog=examples("balance-service verify", "balance-service verify --json"))(
    verification.verify
)
app.command(
    "export-events", epilog=examples("balance-service export-events --to nats://127.0.0.1:4222")
)(events.export_events)
app.command(
    epilog=examples("balance-service restore --to-time 2026-11-27T14:05Z /var/lib/postgresql/new")
)(backups.restore)

app.command(
    "sizing",
    epilog=examples(
        "balance-service sizing --transfers-per-second 120 --movements-per-day 1000000",
        "balance-service sizing --transfers-per-second 20000 --batched-share 0.9 --output json",
    ),
)(sizing.size)

Workers = Annotated[
    int | None, typer.Option("--workers", help="Worker processes sharing the port.")
]
GrpcPort = Annotated[int | None, typer.Option("--port", help="Port of the gRPC server.")]
HttpPort = Annotated[int | None, typer.Option("--http-port", help="Port of the HTTP server.")]
Ephemeral = Annotated[bool, typer.Option("--ephemeral", help="Start a throw-away test service.")]
EndsWithStdin = Annotated[bool, typer.Option("--until-stdin-closes", help="End it with stdin.")]
Target = Annotated[
    str,
    typer.Option(
        help="Where the service listens, as host:port. By default, where the `run` of "
        "BALANCE_DATA_DIR does, or else BALANCE_HOST and BALANCE_GRPC_PORT."
    ),
]
Email = Annotated[str, typer.Argument(help="Their e-mail address.", show_default=False)]


def main() -> None:
    """Runs the command that the arguments name; explains whatever fails, with a status for it."""
    try:
        try:
            app(prog_name="balance-service")
        finally:
            # Now rather than as the interpreter ends, when a failure could not be explained.
            if sys.stdout is not None:
                sys.stdout.flush()
    except Exception as error:  # noqa: BLE001 - a traceback is no answer to an operator
        from balance_service.server import explanations

        with contextlib.suppress(OSError):
            typer.echo(explanations.explain(error), err=True)
        sys.exit(explanations.exit_status(error))


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - Typer's way to call it
    if wanted:
        from importlib import metadata

        typer.echo(f"balance-service {metadata.version(DISTRIBUTION)}")
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Options before a command."""


@app.command(epilog=examples("balance-service run", "balance-service run --ephemeral"))
def run(
    *,
    workers_: Workers = None,
    port: GrpcPort = None,
    http_port: HttpPort = None,
    ephemeral: Ephemeral = False,
    until_stdin_closes: EndsWithStdin = False,
) -> None:
    """Start everything for development: Postgres if none is given, demo data, the service."""
    if ephemeral and workers_ in (None, 1):
        _run_ephemeral(until_stdin_closes, grpc_port=port or 0, http_port=http_port or 0)
        return
    if ephemeral or until_stdin_closes:
        raise typer.BadParameter(
            "--ephemeral is one process, and --until-stdin-closes belongs to it"
        )
    settings = _read_settings(
        "development", serving=True, workers=workers_, grpc_port=port, http_port=http_port
    )
    from balance_service.development import run
    from balance_service.server import logs

    logs.configure(settings.log_level)
    with run.open_database(settings) as database:
        complete = run.complete(settings, database.url)
        status = asyncio.run(run.run(complete, database.place, typer.echo))
    raise typer.Exit(status)


def _run_ephemeral(until_stdin_closes: bool, **options: object) -> None:  # noqa: FBT001
    settings = _read_settings("development", serving=True, door="grpcio", **options)
    from balance_service.development import ephemeral

    ephemeral.run(settings, sys.stdout, until_stdin_closes=until_stdin_closes)


@app.command(epilog=examples("balance-service serve --workers 4"))
def serve(workers_: Workers = None, port: GrpcPort = None, http_port: HttpPort = None) -> None:
    """Serve a migrated database, in production."""
    settings = _read_settings(
        "production", serving=True, workers=workers_, grpc_port=port, http_port=http_port
    )
    import structlog
    from pydantic import SecretStr

    from balance_service import config
    from balance_service.database import migrate, roles
    from balance_service.server import logs, ports, supervisor

    logs.configure(settings.log_level)
    if newer := migrate.check(settings.database_url.get_secret_value()):
        structlog.get_logger().warning("schema_newer", migrations=newer)
    roles.check_login(settings.database_url.get_secret_value())
    # No worker needs it.
    settings = settings.model_copy(update={"owner_database_url": SecretStr("")})
    with ports.reserve(settings) as bound:
        status = asyncio.run(supervisor.supervise(bound, config.notify_socket()))
    raise typer.Exit(status)


@app.command("gateway", epilog=examples("balance-service gateway --target dns:///balance:50051"))
def run_gateway(target: Target = "", http_port: HttpPort = None) -> None:
    """Answer JSON over HTTP alone, in front of gRPC servers elsewhere."""
    settings = _read_settings("gateway", http_port=http_port)
    from balance_service.development import address
    from balance_service.server import logs, ports, standalone_gateway

    logs.configure(settings.log_level)
    with ports.reserve(settings, gateway_alone=True) as bound:
        asyncio.run(standalone_gateway.run(bound, target or address.find_service(settings)))


@app.command("worker", hidden=True)
def run_worker(started_fd: int | None = None) -> None:
    """One worker of `run` or `serve`."""
    settings = _read_settings(serving=True)
    try:
        if settings.door == "envoy":
            # Nothing else is loaded, for this process loses it when it becomes Envoy.
            from balance_service.server.envoy import process

            process.become(settings, started_fd)
        from balance_service.server import logs, worker

        logs.configure(settings.log_level)
        asyncio.run(worker.run(settings, started_fd))
    except Exception as error:  # noqa: BLE001 - each kind has a status for the supervisor
        from balance_service.server import explanations, worker

        typer.echo(explanations.explain(error), err=True)
        raise typer.Exit(worker.start_status(error)) from None


@app.command("operators", hidden=True)
def run_operators(temporary: Path, figures: Path, started_fd: int | None = None) -> None:
    """The process of `run` or `serve` that answers the operators' port."""
    settings = _read_settings(serving=True)
    from balance_service.server import logs
    from balance_service.server.operators import process
    from balance_service.server.operators.folder import Folder

    logs.configure(settings.log_level)
    asyncio.run(process.run(settings, Folder(temporary, figures), started_fd))


@app.command("index-metadata", epilog=examples("balance-service index-metadata"))
def index_metadata() -> None:
    """Have older movements found by the keys of BALANCE_SEARCHABLE_METADATA, too."""
    from balance_service.operations import administration

    with _open_database() as settings:
        asyncio.run(administration.index_metadata(settings))
    typer.echo("All movements are found by their searchable metadata.")


@app.command("demo", epilog=examples("balance-service demo"))
def tell_demo(target: Target = "") -> None:
    """Tell the demo story through a service started with `run`."""
    settings = _read_settings()
    from balance_service.development import address, demo

    with demo.connect(settings, target or address.find_development_service(settings)) as channel:
        for line in demo.tell(channel, settings.mailbox):
            typer.echo(line)


@app.command(epilog=examples("balance-service token demo@example.com"))
def token(email: Email, target: Target = "") -> None:
    """Sign in to a service started with `run` and print an access token."""
    settings = _read_settings()
    from balance_service.development import address, demo
    from balance_service.domain.addresses import parse_email

    email = parse_email(email)
    with demo.connect(settings, target or address.find_development_service(settings)) as channel:
        typer.echo(demo.sign_in(channel, settings.mailbox, email))


@app.command(epilog=examples("balance-service health --target 127.0.0.1:50051"))
def health(target: Target = "") -> None:
    """Ask the service whether it serves; status 1 if not. For container health checks."""
    settings = _read_settings()
    from balance_service.development import address
    from balance_service.server import health

    target = target or address.find_service(settings)
    if not asyncio.run(health.serves(target, settings)):
        typer.echo(f"{target} does not serve", err=True)
        raise typer.Exit(FAILED)
    typer.echo(f"{target} is serving")


if __name__ == "__main__":
    main()
