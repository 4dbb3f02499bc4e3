"""What is wrong with the settings, all at once, before anything is connected to."""

import contextlib
from collections.abc import Iterator

from balance_service.auth.sealing import Secrets
from balance_service.config import Settings, variable
from balance_service.database import pool
from balance_service.providers.mail import SmtpMailer


def faults(settings: Settings, *, production: bool) -> dict[str, str]:
    """What is wrong, by variable.

    Args:
        settings: Each within its bounds.
        production: Whether nothing may be missing that `run` makes for itself.
    """
    found: dict[str, str] = {}
    if url := settings.database_url.get_secret_value():
        with _noted(found, "database_url"):
            pool.check_url(url)
    elif production:
        found[variable("database_url")] = "is not set"
    if secret := settings.secret.get_secret_value():
        with _noted(found, "secret"):
            Secrets(secret, development=settings.development)
    elif production:
        found[variable("secret")] = "is not set"
    if smtp_url := settings.smtp_url.get_secret_value():
        # The error may quote a part of the password.
        with _noted(found, "smtp_url", "must look like smtp://user:password@host:port"):
            SmtpMailer(smtp_url, settings.mail_from)
    elif production and not settings.development:
        found[variable("smtp_url")] = "is not set: nobody could sign in"
    return found


@contextlib.contextmanager
def _noted(found: dict[str, str], name: str, words: str = "") -> Iterator[None]:
    """Notes what is wrong with a setting, in its check's words unless others are given."""
    try:
        yield
    except ValueError as error:
        found[variable(name)] = words or str(error).removeprefix(variable(name)).strip(": ")
