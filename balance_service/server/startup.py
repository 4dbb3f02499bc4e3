"""Checks the settings as a whole, all at once, before anything is connected to."""

import contextlib
from collections.abc import Iterator

from balance_service import DISTRIBUTION
from balance_service.auth import sealing
from balance_service.config import Settings, variable
from balance_service.database import pool
from balance_service.providers.mail import SmtpMailer
from balance_service.telemetry import traces


def find_plain_text(settings: Settings, *, tls: bool) -> dict[str, str]:
    """Whether ports beyond this machine would speak plain text, which has to be meant.

    Args:
        settings: As `config.read` returns them.
        tls: Whether the ports speak TLS.
    """
    if tls or settings.stays_on_this_machine or settings.allow_plain_text:
        return {}
    rule = "is needed to speak plain text beyond this machine, for where TLS ends in front"
    return {variable("allow_plain_text"): rule}


def find_faults(settings: Settings, *, production: bool) -> dict[str, str]:
    """What is wrong, by environment variable.

    Args:
        settings: As `config.read` returns them: each is within its bounds.
        production: Whether what `run` provides by itself must be set.
    """
    faults = _find_missing(settings)
    for name in ("database_url", "owner_database_url", "backup_database_url"):
        if url := getattr(settings, name).get_secret_value():
            with _note_fault(faults, name):
                pool.check_url(url)
    if production and not settings.database_url.get_secret_value():
        faults[variable("database_url")] = "is not set"
    if secret := settings.secret.get_secret_value():
        with _note_fault(faults, "secret"):
            sealing.check(secret, variable("secret"), development=settings.development)
    elif production:
        faults[variable("secret")] = "is not set"
    if previous := settings.previous_secret.get_secret_value():
        with _note_fault(faults, "previous_secret"):
            name = variable("previous_secret")
            sealing.check(previous, name, development=settings.development)
    if smtp_url := settings.smtp_url.get_secret_value():
        # In our words: the original error may quote a part of the password.
        with _note_fault(faults, "smtp_url", "must look like smtp://user:password@host:port"):
            SmtpMailer(smtp_url, settings.mail_from)
    elif production and not settings.development:
        faults[variable("smtp_url")] = "is not set: nobody could sign in"
    if production:
        faults |= find_plain_text(settings, tls=bool(settings.tls_certificate))
    return faults


def _find_missing(settings: Settings) -> dict[str, str]:
    if settings.traces and not traces.is_installed():
        return {variable("traces"): f"needs OpenTelemetry: pip install '{DISTRIBUTION}[traces]'"}
    return {}


@contextlib.contextmanager
def _note_fault(faults: dict[str, str], name: str, message: str = "") -> Iterator[None]:
    """Notes the ValueError of a setting's check, with another message if one is given."""
    try:
        yield
    except ValueError as error:
        faults[variable(name)] = message or str(error).removeprefix(variable(name)).strip(": ")
