"""What is derived from the service's one secret: a key for each purpose."""

import base64
import hashlib
import hmac

from cryptography.fernet import Fernet

SECRET_LENGTH_MIN = 32


class Secrets:
    """Keys of the service.

    Args:
        secret: At least SECRET_LENGTH_MIN random characters, the same for all processes.

    Raises:
        ValueError: The secret is too short.
    """

    def __init__(self, secret: str) -> None:
        if len(secret) < SECRET_LENGTH_MIN:
            raise ValueError(f"BALANCE_SECRET must have at least {SECRET_LENGTH_MIN} characters")
        self._secret = secret.encode()

    def key(self, purpose: str) -> bytes:
        """A 32-byte key for one purpose; knowing it tells nothing about the others."""
        return hmac.digest(self._secret, purpose.encode(), hashlib.sha256)

    def keyed_hash(self, purpose: str, value: str) -> bytes:
        """A hash that nobody without the secret can compute or check guesses against."""
        return hmac.digest(self.key(purpose), value.encode(), hashlib.sha256)

    def seal(self, plain: bytes) -> bytes:
        """Encrypts and authenticates (Fernet)."""
        return self._fernet().encrypt(plain)

    def unseal(self, sealed: bytes) -> bytes:
        """Decrypts what `seal` made.

        Raises:
            cryptography.fernet.InvalidToken: It was sealed with another secret, or altered.
        """
        return self._fernet().decrypt(sealed)

    def _fernet(self) -> Fernet:
        return Fernet(base64.urlsafe_b64encode(self.key("signing keys")))
