"""Has what is stored depend on the service's new secret, and says what still needs the other."""

from typing import NamedTuple

from balance_service.auth import keys
from balance_service.auth import second_factors as factors
from balance_service.auth.settings import read_secrets
from balance_service.config import Settings
from balance_service.domain.audit import Action
from balance_service.operations.acts import act, event
from balance_service.repositories import audit, principals, second_factors
from balance_service.webhooks import secrets as webhook_secrets


class Resealed(NamedTuple):
    """What came of it.

    Args:
        keys: Signing keys that were sealed again.
        second_factors: Users' second factors that were.
        webhooks: Secrets of endpoints of webhooks that were.
        client_secrets: Live secrets of services that the other secret hashed: each turns when it
            signs in next.
        recovery_codes: Users' recovery codes that the other secret hashed: they do not turn.
    """

    keys: int
    second_factors: int
    webhooks: int
    client_secrets: int
    recovery_codes: int


async def reseal(settings: Settings) -> Resealed:
    """Seals again, with the secret, what the previous one sealed; as often as one likes.

    Raises:
        WrongSecret: Neither secret is the service's.
        cryptography.fernet.InvalidToken: A second factor was sealed with neither.
    """
    secrets = read_secrets(settings)
    async with act(settings) as conn:
        resealed = Resealed(
            keys=await keys.reseal(conn, secrets),
            second_factors=await factors.reseal(conn, secrets),
            webhooks=await webhook_secrets.reseal(conn, secrets),
            client_secrets=await principals.count_hashes_of_others(conn, secrets.mark),
            recovery_codes=await second_factors.count_codes_of_others(conn, secrets.mark),
        )
        after = {
            "keys": str(resealed.keys),
            "second_factors": str(resealed.second_factors),
            "webhooks": str(resealed.webhooks),
        }
        await audit.record(conn, event(Action.SECRET_RESEALED, "", after=after))
    return resealed
