"""The keys that access tokens are signed with: Ed25519, shared through Postgres.

Every process reads them again at short intervals, so that a key is published, signs, retires and is
removed everywhere without a restart; `key_states` says when.

Private keys are stored sealed with the service's secret, which is checked by unsealing them. A
process starts if its secret unseals at least one key in use. It skips the others with a warning,
because earlier versions could store a key that was sealed with a wrong secret. What depends on the
secret, such as a new key, is stored only if the secret unseals the oldest key in use: the oldest
was there before any wrong secret could add a key.
"""

import asyncio
import base64
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

import structlog
from cryptography.fernet import InvalidToken
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from balance_service.auth.key_states import Life, State, lives
from balance_service.auth.sealing import Secrets
from balance_service.database.pool import Connection, Pool, transaction
from balance_service.domain import ids
from balance_service.repositories import signing_keys
from balance_service.repositories.signing_keys import NewKey, SigningKey

# How often the keys are read at most because a token names one that is not known.
RELOAD_INTERVAL_SECONDS = 1.0
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
    await signing_keys.lock(conn)
    stored = await signing_keys.in_use(conn)
    if not stored:
        await signing_keys.insert(conn, new_key(secrets, timedelta(0)))
    elif _unsealed(stored[-1], secrets) is None:
        raise WrongSecret


class ReadKey(NamedTuple):
    """A key that the service's secret unseals.

    Args:
        stored: As it is stored.
        private: The key itself.
        life: What it is good for, and until when.
    """

    stored: SigningKey
    private: Ed25519PrivateKey
    life: Life


def read(stored: Sequence[SigningKey], secrets: Secrets) -> list[ReadKey]:
    """The keys that a secret unseals, in their order."""
    unsealed = [(key, _unsealed(key, secrets)) for key in stored]
    good = [(key, private) for key, private in unsealed if private is not None]
    if not good:
        return []
    found = lives([key for key, _ in good], stored[0].now)
    return [ReadKey(key, private, life) for (key, private), life in zip(good, found, strict=True)]


class KeySet:
    """The keys that are published: one of them signs, all verify.

    Args:
        pool: Where the keys are stored.
        secrets: What they are sealed with.
    """

    def __init__(self, pool: Pool, secrets: Secrets) -> None:
        self._pool = pool
        self._secrets = secrets
        # Newest first, as they are read from the database.
        self._keys: dict[str, Ed25519PrivateKey] = {}
        self._signing_id = ""
        self._strays: set[str] = set()
        self._loaded_at = 0.0
        self._reloading: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """Reads the keys, also again, every few seconds; makes the first one.

        Raises:
            WrongSecret: There are some, and none was sealed with this secret.
        """
        async with self._pool.connection() as conn:
            stored = await signing_keys.in_use(conn)
        if not stored:
            async with transaction(self._pool) as conn:
                await prove(conn, self._secrets)
                stored = await signing_keys.in_use(conn)
        readable = read(stored, self._secrets)
        keys = [key for key in readable if key.life.state is not State.REMOVED]
        if not keys:
            raise WrongSecret
        self._warn({key.key_id for key in stored} - {key.stored.key_id for key in readable})
        self._keys = {key.stored.key_id: key.private for key in keys}
        self._signing_id = _signing(keys)
        self._loaded_at = time.monotonic()

    async def remove_old(self) -> None:
        """Takes keys out of use whose last token has expired; to be called now and then."""
        async with self._pool.connection() as conn:
            stored = await signing_keys.in_use(conn)
            keys = read(stored, self._secrets)
            old = [key.stored.key_id for key in keys if key.life.state is State.REMOVED]
            # A stray key must not become the oldest, by which `prove` goes.
            if old and len(keys) == len(stored):
                await signing_keys.remove(conn, old)

    def signing(self) -> tuple[str, Ed25519PrivateKey]:
        """The key that signs, with its id."""
        return self._signing_id, self._keys[self._signing_id]

    def has(self, key_id: str) -> bool:
        """Whether a key verifies, as far as this process knows."""
        return key_id in self._keys

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


def shown(public_key: bytes) -> str:
    """A public key as key sets have it: base64url without padding."""
    return base64.urlsafe_b64encode(public_key).rstrip(b"=").decode()


def _jwk(key_id: str, key: Ed25519PublicKey) -> Jwk:
    return Jwk(key_id, shown(key.public_bytes_raw()))


def _signing(keys: Sequence[ReadKey]) -> str:
    """The id of the key that signs."""
    # Two may for a moment by a clock that was set back; and where none does, the newest is best.
    best = max(keys, key=lambda key: (key.life.state is State.SIGNING, key.stored.signs_at))
    return best.stored.key_id


def new_key(secrets: Secrets, after: timedelta) -> NewKey:
    """A key that is only published for some time, and signs after that."""
    private_key = Ed25519PrivateKey.generate()
    return NewKey(
        key_id=ids.new_id().hex,
        sealed_private_key=secrets.seal(private_key.private_bytes_raw(), _PURPOSE),
        public_key=private_key.public_key().public_bytes_raw(),
        after=after,
    )


async def reseal(conn: Connection, secrets: Secrets) -> int:
    """Seals again what the previous secret sealed; how many keys that was.

    Raises:
        WrongSecret: Neither secret is the service's.
    """
    await prove(conn, secrets)
    resealed = 0
    for key in read(await signing_keys.in_use(conn), secrets):
        again = secrets.reseal(key.stored.sealed_private_key, _PURPOSE)
        if again is not None:
            await signing_keys.reseal(conn, key.stored.key_id, again)
            resealed += 1
    return resealed


def _unsealed(key: SigningKey, secrets: Secrets) -> Ed25519PrivateKey | None:
    """The private key; None if it was sealed with another secret, or is none."""
    try:
        private_key = secrets.unseal(key.sealed_private_key, _PURPOSE)
        return Ed25519PrivateKey.from_private_bytes(private_key)
    except (InvalidToken, ValueError):
        return None
