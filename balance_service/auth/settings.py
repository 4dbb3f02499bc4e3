"""What signs callers in, as settings have it."""

from balance_service.auth.sealing import Secrets
from balance_service.config import Settings


def read_secrets(settings: Settings) -> Secrets:
    """The service's secret, and the previous one; raises ValueError if others can guess it."""
    return Secrets(
        settings.secret.get_secret_value(),
        settings.previous_secret.get_secret_value(),
        development=settings.development,
    )
