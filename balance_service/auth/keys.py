"""The keys that access tokens are signed with: Ed25519, shared through Postgres.

Private keys are stored sealed with the service's secret, which is checked by unsealing them. A
process starts if its secret unseals at least one key in use. It skips the others with a warning,
because earlier versions could store a key that was sealed with a wrong secret. What depends on the
secret, such as a new key, is stored only if the secret unseals the oldest key in use: the oldest
was there before any wrong secret could add a key.
"""

import asyncio
import base64
import time
from datetime import UTC, datetime
from typing import NamedTuple

import structlog
from cryptography.fernet import InvalidToken
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from balance_service.auth.sealing import Secrets
from balance_service.database.pool import Connection, Pool, transaction
from balance_service.domain import ids
from balance_service.domain.audit import Action, Actor, AuditEvent
from balance_service.repositories import audit, credentials
from balance_service.repositories.credentials import SigningKey

RELOAD_INTERVAL_SECONDS = 5.0
_PURPOSE = "signing keys"

_log = structlog.get_logger()


class WrongSecret(ValueError):  # noqa: N818 - it is what it says
    """The signing keys in the database were sealed with another secret."""

    def __init__(self) -> None:
        super().__init__(
            "BALANCE_SECRET is not the one that the signing keys in the database were sealed with"
        )


class Jwk(NamedTuple):
    """A public key as a JSON Web Key (RFC 7517, RFC 8037).

    Args:
        kid: The key's id.
        x: The key itself, base64url without padding.
        kty: The kind of key: one of an Edwards or Montgomery curve.
        crv: The curve.
        alg: What it verifies.
        use: That it verifies signatures, and does not encrypt.
    """

    kid: str
    x: str
    kty: str = "OKP"
    crv: str = "Ed25519"
    alg: str = "EdDSA"
    use: str = "sig"


async def prove(conn: Connection, secrets: Secrets) -> None:
    """Insists that a secret is the service's, in the transaction that stores what depends on it.

    Where no key is stored yet, the first is made, which binds the database to the secret.

    Raises:
        WrongSecret: It is another.
    """
    await credentials.lock_signing_keys(conn)
    stored = await credentials.signing_keys(conn)
    if not stored:
        await credentials.insert_signing_key(conn, _new_key(secrets))
    elif _unsealed(stored[-1], secrets) is None:
        raise WrongSecret


class KeySet:
    """The keys in use: the newest signs, all verify.

    Args:
        pool: Where the keys are stored.
        secrets: What they are sealed with.
    """

    def __init__(self, pool: Pool, secrets: Secrets) -> None:
        self._pool = pool
        self._secrets = secrets
        # Newest first, as they are read from the database.
        self._keys: dict[str, Ed25519PrivateKey] = {}
        self._newest_id = ""
        self._strays: set[str] = set()
        self._loaded_at = 0.0
        self._reloading: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """Reads the keys; makes the first one.

        Raises:
            WrongSecret: There are some, and none was sealed with this secret.
        """
        async with self._pool.connection() as conn:
            stored = await credentials.signing_keys(conn)
        if not stored:
            async with transaction(self._pool) as conn:
                await prove(conn, self._secrets)
                stored = await credentials.signing_keys(conn)
        unsealed = [(key.key_id, _unsealed(key, self._secrets)) for key in stored]
        keys = {key_id: key for key_id, key in unsealed if key is not None}
        if not keys:
            raise WrongSecret
        self._warn({key_id for key_id, key in unsealed if key is None})
        self._keys = keys
        self._newest_id = next(iter(keys))
        self._loaded_at = time.monotonic()

    async def rotate(self, actor: Actor) -> str:
        """Makes a new key, which signs from now on; tokens of the older ones stay good.

        Args:
            actor: Who asks for it.

        Returns:
            The new key's id.

        Raises:
            WrongSecret: The keys in use were sealed with another; nothing is stored.
        """
        key = _new_key(self._secrets)
        async with transaction(self._pool) as conn:
            await prove(conn, self._secrets)
            await credentials.insert_signing_key(conn, key)
            await audit.record(conn, AuditEvent(Action.KEY_ROTATED, actor, f"key:{key.key_id}"))
        await self.load()
        return key.key_id

    def signing(self) -> tuple[str, Ed25519PrivateKey]:
        """The newest key, with its id."""
        return self._newest_id, self._keys[self._newest_id]

    async def verifying(self, key_id: str) -> Ed25519PublicKey | None:
        """The key with an id, if any; one made by another process is looked up now and then."""
        if key_id not in self._keys:
            await self._look_again()
        key = self._keys.get(key_id)
        return key.public_key() if key else None

    def public(self) -> list[Jwk]:
        """All public keys, newest first."""
        return [_jwk(key_id, key.public_key()) for key_id, key in self._keys.items()]

    async def _look_again(self) -> None:
        """Reads the keys unless that was just tried, for anybody may ask for a key by any name."""
        if self._reloading is None or self._reloading.done():
            if time.monotonic() - self._loaded_at <= RELOAD_INTERVAL_SECONDS:
                return
            self._reloading = asyncio.create_task(self._reload())
        # Its askers share it, and none of them ends it by hanging up.
        await asyncio.shield(self._reloading)

    async def _reload(self) -> None:
        try:
            await self.load()
        except Exception as error:  # noqa: BLE001 - whatever it is, no other key is known
            _log.warning("keys_not_reloaded", cause=type(error).__name__)
        self._loaded_at = time.monotonic()

    def _warn(self, strays: set[str]) -> None:
        for key_id in strays - self._strays:
            _log.warning("key_not_unsealed", key_id=key_id)
        self._strays |= strays


def _jwk(key_id: str, key: Ed25519PublicKey) -> Jwk:
    x = base64.urlsafe_b64encode(key.public_bytes_raw()).rstrip(b"=").decode()
    return Jwk(key_id, x)


def _new_key(secrets: Secrets) -> SigningKey:
    private_key = Ed25519PrivateKey.generate()
    return SigningKey(
        key_id=ids.new_id().hex,
        sealed_private_key=secrets.seal(private_key.private_bytes_raw(), _PURPOSE),
        public_key=private_key.public_key().public_bytes_raw(),
        created_at=datetime.now(UTC),
    )


def _unsealed(key: SigningKey, secrets: Secrets) -> Ed25519PrivateKey | None:
    """The private key; None if it was sealed with another secret, or is none."""
    try:
        private_key = secrets.unseal(key.sealed_private_key, _PURPOSE)
        return Ed25519PrivateKey.from_private_bytes(private_key)
    except (InvalidToken, ValueError):
        return None
