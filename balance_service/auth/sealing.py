"""What is derived from the service's one secret: a key for each purpose."""

import base64
import hashlib
import hmac
import re
from itertools import pairwise

from cryptography.fernet import Fernet

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
        development: Whether an example's will do.

    Raises:
        ValueError: The secret is too short, or others can guess it.
    """

    def __init__(self, secret: str, *, development: bool = False) -> None:
        if len(secret) < SECRET_LENGTH_MIN:
            raise ValueError(f"BALANCE_SECRET must have at least {SECRET_LENGTH_MIN} characters")
        if len(set(pairwise(secret))) < SECRET_PAIRS_MIN:
            raise ValueError("BALANCE_SECRET repeats itself, and must be random")
        if _PLACEHOLDER.search(secret) and not development:
            raise ValueError("BALANCE_SECRET is that of an example, which everybody can read")
        self._secret = secret.encode()

    def key(self, purpose: str) -> bytes:
        """A 32-byte key for one purpose; knowing it tells nothing about the others."""
        return hmac.digest(self._secret, purpose.encode(), hashlib.sha256)

    def keyed_hash(self, purpose: str, value: str) -> bytes:
        """A hash that nobody without the secret can compute or check guesses against."""
        return hmac.digest(self.key(purpose), value.encode(), hashlib.sha256)

    def seal(self, plain: bytes, purpose: str) -> bytes:
        """Encrypts and authenticates (Fernet), for one purpose."""
        return self._fernet(purpose).encrypt(plain)

    def unseal(self, sealed: bytes, purpose: str) -> bytes:
        """Decrypts what `seal` made.

        Raises:
            cryptography.fernet.InvalidToken: It was sealed with another secret or for another
                purpose, or altered.
        """
        return self._fernet(purpose).decrypt(sealed)

    def _fernet(self, purpose: str) -> Fernet:
        return Fernet(base64.urlsafe_b64encode(self.key(purpose)))
