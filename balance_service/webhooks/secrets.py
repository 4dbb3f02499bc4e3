"""What endpoints are signed for with: random keys, which are kept sealed."""

import secrets as random_source
from collections.abc import Sequence
from datetime import datetime

from balance_service.auth.sealing import Secrets
from balance_service.database.pool import Connection
from balance_service.domain.webhooks import SECRET_BYTES, Endpoint, write_secret
from balance_service.repositories import webhook_endpoints as endpoints
from balance_service.repositories.webhook_endpoints import LIST_START

_PURPOSE = "webhook secrets"
RESEALED_MAX = 100


def make(secrets: Secrets) -> bytes:
    """A new key, sealed."""
    return secrets.seal(random_source.token_bytes(SECRET_BYTES), _PURPOSE)


def tell(secrets: Secrets, endpoint: Endpoint) -> str:
    """An endpoint's secret, for whoever made it."""
    return write_secret(secrets.unseal(endpoint.secret, _PURPOSE))


def signing_keys(secrets: Secrets, endpoint: Endpoint, now: datetime) -> Sequence[bytes]:
    """What is signed with now: the newest key, and the one before while that is still good."""
    sealed = [endpoint.secret]
    if endpoint.old_secret and endpoint.old_secret_until and endpoint.old_secret_until > now:
        sealed.append(endpoint.old_secret)
    return [secrets.unseal(each, _PURPOSE) for each in sealed]


async def reseal(conn: Connection, secrets: Secrets) -> int:
    """Seals again what the service's previous secret sealed; how many endpoints' that was."""
    resealed = 0
    after = LIST_START
    while page := await endpoints.page(conn, None, after, RESEALED_MAX):
        for endpoint in page:
            again = secrets.reseal(endpoint.secret, _PURPOSE)
            old = endpoint.old_secret and secrets.reseal(endpoint.old_secret, _PURPOSE)
            if again or old:
                changed = endpoint._replace(
                    secret=again or endpoint.secret, old_secret=old or endpoint.old_secret
                )
                resealed += await endpoints.replace_seal(conn, changed)
        after = endpoints.ListPlace(page[-1].created_at, page[-1].endpoint_id)
    return resealed
