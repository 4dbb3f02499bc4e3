"""What `run` does around the workers: Postgres, a secret, demo data, a greeting."""

import asyncio
import contextlib
import hmac
import secrets as random_source
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic import SecretStr

from balance_service.auth.settings import read_secrets
from balance_service.config import Settings
from balance_service.database import embedded, migrate, roles
from balance_service.development import address, demo_data, greeting
from balance_service.operations import administration
from balance_service.server import ports, supervisor
from balance_service.server.health import serves


class Database(NamedTuple):
    """A database, and where it is in words for people."""

    url: str
    place: str


@contextlib.contextmanager
def open_database(settings: Settings) -> Iterator[Database]:
    """The configured database, or an embedded one that runs as long as this context."""
    if url := settings.database_url.get_secret_value():
        yield Database(url, "BALANCE_DATABASE_URL")
        return
    backups = Path(settings.backup_dir).absolute() if settings.backup_dir else None
    with embedded.running(_embedded_folder(settings), backups) as url:
        yield Database(url, f"embedded, in {settings.data_dir}")


@contextlib.contextmanager
def find_database(settings: Settings) -> Iterator[Settings]:
    """Settings with a database that is there already: the configured one, or that of `run`.

    Raises:
        ValueError: There is neither.
    """
    if settings.database_url.get_secret_value():
        yield settings
        return
    if not _embedded_folder(settings).exists():
        raise ValueError("BALANCE_DATABASE_URL is not set, and `run` has made no database here")
    with open_database(settings) as database:
        yield complete(settings, database.url)


def complete(settings: Settings, database_url: str) -> Settings:
    """Settings for development: nothing is missing, and lenient where production is strict."""
    changes: dict[str, object] = {
        "database_url": SecretStr(database_url),
        "development": True,
    }
    if "user_deposits" not in settings.model_fields_set:
        changes["user_deposits"] = True
    if "connect" not in settings.model_fields_set:
        changes["connect"] = True
    if "checkpoint_seconds" not in settings.model_fields_set:
        changes["checkpoint_seconds"] = 1
    if not settings.secret.get_secret_value():
        changes["secret"] = SecretStr(_read_or_make_secret(Path(settings.data_dir)))
    return settings.model_copy(update=changes)


async def run(settings: Settings, database_place: str, say: Callable[[str], None]) -> int:
    """Migrates, loads demo data, runs the workers and greets once they answer.

    Args:
        settings: As `complete` makes them.
        database_place: Where the database is, in words for the greeting.
        say: Shows the greeting.

    Returns:
        The exit status, as `supervise` does.

    Raises:
        ValueError: The secret is weak, or not the one of this database.
        PortUnavailable: Something else listens on a port.
    """
    # Refuses a weak secret before anything is written.
    read_secrets(settings)
    settings = await asyncio.to_thread(_migrate, settings)
    await administration.prove_secret(settings)
    await demo_data.load(settings)
    with (
        ports.reserve(settings) as bound,
        address.record(Path(bound.data_dir), bound.grpc_target) as recorded,
    ):
        supervising = asyncio.create_task(supervisor.supervise(bound))
        ready = asyncio.create_task(_wait_until_serving(bound))
        await asyncio.wait({supervising, ready}, return_when=asyncio.FIRST_COMPLETED)
        if ready.done() and not supervising.done():
            people = (demo_data.ADMIN, demo_data.USER)
            say(greeting.compose(bound, database_place, people=people, recorded=recorded))
        ready.cancel()
        return await supervising


def _migrate(settings: Settings) -> Settings:
    """Brings the schema up to date; settings by which workers sign in as who may serve.

    Where there is one URL, and it is the owner's, they sign in as a role that is made here.
    """
    url, owner_url = settings.database_url.get_secret_value(), settings.migration_url
    if url == owner_url:
        migrate.up(owner_url)
        try:
            roles.check_login(url)
        except roles.RoleUnfit:
            url = roles.service_url(owner_url, _login_password(settings))
    if url != owner_url:
        migrate.up(owner_url, url)
    changes = {"database_url": SecretStr(url), "owner_database_url": SecretStr("")}
    return settings.model_copy(update=changes)


def _login_password(settings: Settings) -> str:
    """The password of that role: the same at every run with one secret."""
    key = settings.secret.get_secret_value().encode()
    return hmac.digest(key, b"password of the login role", "sha256").hex()


async def _wait_until_serving(settings: Settings) -> None:
    # Another process has no event to wait for.
    while not await serves(settings.grpc_target, settings):  # noqa: ASYNC110
        await asyncio.sleep(0.1)


def _embedded_folder(settings: Settings) -> Path:
    return Path(settings.data_dir).absolute() / "postgres"


def _read_or_make_secret(data_dir: Path) -> str:
    """The secret kept beside the embedded database; made at the first run."""
    data_dir.mkdir(parents=True, exist_ok=True)
    path = data_dir / "secret"
    if not path.exists():
        # Before it holds anything, so that nobody else reads it in between.
        path.touch(mode=0o600)
        path.write_text(random_source.token_urlsafe(48), encoding="utf-8")
    return path.read_text(encoding="utf-8")
