"""What `run` says once it answers: where everything is, and commands that work as they stand."""

import shlex
import sys
from pathlib import Path

from balance_service.config import Settings, variable


def compose(
    settings: Settings, database_place: str, *, people: tuple[str, str], recorded: bool
) -> str:
    """The greeting.

    Args:
        settings: What the service runs with.
        database_place: Where its database is, in words.
        people: The e-mail addresses of an admin and of a user.
        recorded: Whether the data directory tells other commands where the service listens.
    """
    admin, user = people
    target = settings.grpc_target
    http_url = settings.http_url
    http = f"{http_url}, to try out at {http_url}/swagger/" if settings.http else "off"
    default = Settings.model_construct().grpc_target
    quoted = shlex.quote(target)
    option = "" if recorded and target == default else f" --target {quoted}"
    return (
        f"\nBalance service\n"
        f"  gRPC      {target}, {settings.workers} worker(s), with reflection and health\n"
        f"  HTTP      {http}\n"
        f"  Console   {_console(settings)}\n"
        f"  Postgres  {database_place}\n"
        f"  Mail      printed here, and kept in {settings.mailbox}\n"
        f"\nSign in as {admin} (admin) or {user}:\n"
        f"  {_program(settings)} token {admin}{option}\n"
        f"\nTry:\n"
        f"  {_program(settings)} demo{option}\n"
        f"  {_grpcurl(settings)} {quoted} list\n"
        f"  {_grpcurl(settings)} {quoted} balance.v1.PurchaseService/ListServices\n"
        f"\nStop with Ctrl-C; what is on the accounts stays."
    )


def _console(settings: Settings) -> str:
    if not settings.operators_port:
        return "off"
    return (
        f"http://{settings.operators_host}:{settings.operators_port}, for operators; with /metrics"
    )


def _grpcurl(settings: Settings) -> str:
    """Grpcurl as it calls this service; with TLS, what it trusts is the service's certificate."""
    if not settings.tls_certificate:
        return "grpcurl -plaintext"
    words = ["grpcurl", "-cacert", str(Path(settings.tls_certificate).absolute())]
    if settings.tls_client_ca:
        shown = ("-cert", settings.tls_certificate), ("-key", settings.tls_key)
        words += [word for flag, path in shown for word in (flag, str(Path(path).absolute()))]
    return shlex.join(words)


def _program(settings: Settings) -> str:
    """The program as it was started, on the data directory and certificates that it was given."""
    words = [sys.argv[0]]
    if Path(sys.argv[0]).name != "balance-service":
        words = [sys.executable, "-m", "balance_service"]
    # Whoever types it in another terminal has not set these there.
    chosen = [
        f"{variable(name)}={Path(path).absolute()}"
        for name in ("data_dir", "tls_certificate", "tls_key")
        if (path := getattr(settings, name)) != Settings.model_fields[name].default
    ]
    words = ["env", *chosen, *words] if chosen else words
    return shlex.join(words)
