"""What is derived from the service's secret: a key for each purpose.

While the secret is changed there are two. What is made is made with the one; what either made is
good.
"""

import base64
import hashlib
import hmac
import re
from itertools import pairwise

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

SECRET_LENGTH_MIN = 32
# The number of different pairs of neighbouring characters shows repetition: 32 random digits have
# about 27, while a word that is repeated has at most as many as it has letters.
SECRET_PAIRS_MIN = 16
# What stands in examples, ours and others', to be replaced.
_PLACEHOLDER = re.compile(
    r"change.?(me|this|it)|placeholder|example|not.?a.?secret|your.?secret", re.IGNORECASE
)


class Secrets:
    """Keys of the service.

    Args:
        secret: At least SECRET_LENGTH_MIN random characters, the same for all processes.
        previous: Another that is good besides; empty for none.
        development: Whether an example's will do.

    Raises:
        ValueError: A secret is too short, or others can guess it.
    """

    def __init__(self, secret: str, previous: str = "", *, development: bool = False) -> None:
        check(secret, "BALANCE_SECRET", development=development)
        self._secrets = [secret.encode()]
        if previous:
            check(previous, "BALANCE_PREVIOUS_SECRET", development=development)
            self._secrets.append(previous.encode())

    @property
    def mark(self) -> bytes:
        """Tells which secret a hash was made with, and nothing else of it."""
        return self.key("marks")[:4]

    def key(self, purpose: str) -> bytes:
        """A 32-byte key for one purpose; knowing it tells nothing about the others."""
        return self.keys(purpose)[0]

    def keys(self, purpose: str) -> list[bytes]:
        """The key for one purpose, and that of the previous secret if there is one."""
        return [hmac.digest(secret, purpose.encode(), hashlib.sha256) for secret in self._secrets]

    def keyed_hash(self, purpose: str, value: str) -> bytes:
        """A hash that nobody without the secret can compute or check guesses against."""
        return self.keyed_hashes(purpose, value)[0]

    def keyed_hashes(self, purpose: str, value: str) -> list[bytes]:
        """The hash of a value, and that by the previous secret if there is one."""
        keys = self.keys(purpose)
        return [hmac.digest(key, value.encode(), hashlib.sha256) for key in keys]

    def is_hash(self, known: bytes, purpose: str, value: str) -> bool:
        """Whether a hash is that of a value, by either secret."""
        hashes = self.keyed_hashes(purpose, value)
        return any(hmac.compare_digest(known, hashed) for hashed in hashes)

    def seal(self, plain: bytes, purpose: str) -> bytes:
        """Encrypts and authenticates (Fernet), for one purpose."""
        return self._fernets(purpose)[0].encrypt(plain)

    def unseal(self, sealed: bytes, purpose: str) -> bytes:
        """Decrypts what `seal` made, with either secret.

        Raises:
            cryptography.fernet.InvalidToken: It was sealed with another secret or for another
                purpose, or altered.
        """
        return MultiFernet(self._fernets(purpose)).decrypt(sealed)

    def reseal(self, sealed: bytes, purpose: str) -> bytes | None:
        """Seals again what the previous secret sealed; None for what this one did.

        Raises:
            cryptography.fernet.InvalidToken: As of `unseal`.
        """
        current = self._fernets(purpose)[0]
        try:
            current.decrypt(sealed)
        except InvalidToken:
            return current.encrypt(self.unseal(sealed, purpose))
        return None

    def _fernets(self, purpose: str) -> list[Fernet]:
        return [Fernet(base64.urlsafe_b64encode(key)) for key in self.keys(purpose)]


def check(secret: str, name: str, *, development: bool) -> None:
    """Raises ValueError, which names the variable, if others can guess a secret."""
    if len(secret) < SECRET_LENGTH_MIN:
        raise ValueError(f"{name} must have at least {SECRET_LENGTH_MIN} characters")
    if len(set(pairwise(secret))) < SECRET_PAIRS_MIN:
        raise ValueError(f"{name} repeats itself, and must be random")
    if _PLACEHOLDER.search(secret) and not development:
        raise ValueError(f"{name} is that of an example, which everybody can read")
