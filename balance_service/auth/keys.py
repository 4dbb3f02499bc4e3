"""The keys that access tokens are signed with: Ed25519, shared through Postgres."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from balance_service.auth.secrets import Secrets
from balance_service.database.pool import Pool, transaction
from balance_service.domain import ids
from balance_service.repositories import credentials

RELOAD_INTERVAL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A public key by its id."""

    key_id: str
    public_key: Ed25519PublicKey


class KeySet:
    """The keys in use: the newest signs, all verify."""

    def __init__(self, pool: Pool, secrets: Secrets) -> None:
        self._pool = pool
        self._secrets = secrets
        self._keys: dict[str, Ed25519PrivateKey] = {}
        self._loaded_at = 0.0

    async def load(self) -> None:
        """Reads the keys; makes the first one.

        Raises:
            cryptography.fernet.InvalidToken: They were sealed with another secret.
        """
        async with self._pool.connection() as conn:
            stored = await credentials.signing_keys(conn)
        if not stored:
            await self.rotate()
            return
        self._keys = {
            key.key_id: Ed25519PrivateKey.from_private_bytes(
                self._secrets.unseal(key.sealed_private_key)
            )
            for key in stored
        }
        self._loaded_at = time.monotonic()

    async def rotate(self) -> str:
        """Makes a new key, which signs from now on; tokens of the older ones stay good.

        Returns:
            The new key's id.
        """
        private_key = Ed25519PrivateKey.generate()
        key = credentials.SigningKey(
            key_id=ids.new_id().hex,
            sealed_private_key=self._secrets.seal(private_key.private_bytes_raw()),
            public_key=private_key.public_key().public_bytes_raw(),
            created_at=datetime.now(UTC),
        )
        async with transaction(self._pool) as conn:
            await credentials.insert_signing_key(conn, key)
        await self.load()
        return key.key_id

    def signing(self) -> tuple[str, Ed25519PrivateKey]:
        """The newest key, with its id."""
        return next(iter(self._keys.items()))

    async def verifying(self, key_id: str) -> Ed25519PublicKey | None:
        """The key with an id, if any; one made by another process is looked up."""
        if (
            key_id not in self._keys
            and time.monotonic() - self._loaded_at > RELOAD_INTERVAL_SECONDS
        ):
            await self.load()
        key = self._keys.get(key_id)
        return key.public_key() if key else None

    def public(self) -> list[VerifyingKey]:
        """All public keys, newest first."""
        return [VerifyingKey(key_id, key.public_key()) for key_id, key in self._keys.items()]
