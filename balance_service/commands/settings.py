"""What commands begin with: settings, checked as a whole, and the database that they name."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from balance_service.config import Settings

# What Typer exits with for wrong arguments; here for wrong settings as well.
WRONGLY_USED = 2


def read_settings(check: str = "", *, serving: bool = False, **options: object) -> "Settings":
    """Settings from the environment and options; exits with status 2 if any is wrong.

    Args:
        check: As of `read_settings_and_faults`.
        serving: As there.
        options: As there.
    """
    from balance_service import config

    settings, faults = read_settings_and_faults(check, serving=serving, **options)
    for old, new in config.read_renamed().items():
        typer.echo(f"{old} is now called {new}: set that instead.", err=True)
    for name, fault in sorted(faults.items()):
        typer.echo(f"{name}: {fault}", err=True)
    if faults:
        raise typer.Exit(WRONGLY_USED)
    return settings


def read_settings_and_faults(
    check: str = "", *, serving: bool = False, **options: object
) -> "tuple[Settings, dict[str, str]]":
    """Settings from the environment and options, and all that is wrong with them, by variable.

    Args:
        check: What `startup` checks in addition: for "production", for "development", for a
            "gateway" alone, or nothing.
        serving: Whether what answers the ports is checked, too.
        options: Settings that options override; None for an option that was not given.
    """
    from balance_service import config

    chosen = {name: value for name, value in options.items() if value is not None}
    settings, faults = config.read(**chosen)
    if check in ("production", "development"):
        from balance_service.server import startup

        faults = startup.find_faults(settings, production=check == "production") | faults
    if check == "gateway":
        from balance_service.server import startup

        faults = startup.find_plain_text(settings, tls=False) | faults
    if serving:
        from balance_service.server.envoy import choice

        faults = choice.find_faults(settings) | faults
        settings = settings.model_copy(update={"door": choice.choose(settings)})
    return settings, faults


@contextlib.contextmanager
def open_database(*, migrated: bool = True, secret: bool = False) -> Iterator["Settings"]:
    """Settings for commands that work on a database: the configured one, or that of `run`.

    Args:
        migrated: Whether its schema must be this version's.
        secret: Whether the secret must be set.
    """
    from balance_service.database import migrate
    from balance_service.development import run

    with run.find_database(read_settings("development")) as settings:
        if secret and not settings.secret.get_secret_value():
            raise ValueError("BALANCE_SECRET is not set")
        if migrated:
            migrate.check(settings.migration_url)
        yield settings
