"""Operators' sessions: what a browser's cookie holds, sealed so that only the console reads it.

Nothing is kept on this side, so that any process serves any operator, also after a restart. What a
stolen or stale cookie is good for is the service's to end: signing out revokes the tokens in it.
"""

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import asdict, dataclass, field

from cryptography.fernet import Fernet, InvalidToken

IDLE_SECONDS = 30 * 60
ABSOLUTE_SECONDS = 12 * 60 * 60
# How old the moment of the last page may get before the cookie is written again.
SEEN_STEP_SECONDS = 60
# A token is renewed so long before it expires, or a quarter of its life if that is shorter.
RENEW_BEFORE_SECONDS = 60
SECRET_LENGTH_MIN = 32
_PURPOSE = b"console sessions"


@dataclass(frozen=True, slots=True)
class SignIn:
    """A sign-in under way.

    Args:
        email: Where the code was sent.
        verification: The id that goes with the code.
        code: The code, once it was typed in and a second factor is waited for.
    """

    email: str
    verification: str = field(repr=False)
    code: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Operator:
    """Who is signed in, and the tokens of their sign-in.

    Args:
        user: The user's id.
        name: What the page calls them.
        is_admin: Whether they are an admin; otherwise they are a moderator.
        access_token: Sent with each call.
        renew_at: When the next one is asked for, in seconds of the epoch.
        expires_at: When it is of no use any more.
        refresh_token: What the next one is asked for with, and what signing out revokes.
    """

    user: str
    name: str
    is_admin: bool
    access_token: str = field(repr=False)
    renew_at: float
    expires_at: float
    refresh_token: str = field(repr=False)


@dataclass(slots=True)
class Session:
    """What is remembered of a browser.

    Args:
        started: When it signed in, or came, in seconds of the epoch.
        seen: When it last asked for a page by itself.
        csrf: What its forms send back.
        language: What it chose to read; empty for what it prefers.
        secure: Whether it reaches the console by https.
        next_path: Where it wanted to go before it was asked to sign in.
        notice: A text to show once, by its key.
        sign_in: The sign-in under way.
        operator: Who is signed in.
    """

    started: float
    seen: float
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    language: str = ""
    secure: bool = False
    next_path: str = ""
    notice: str = ""
    sign_in: SignIn | None = None
    operator: Operator | None = None

    def is_over(self, now: float) -> bool:
        """Whether it has lasted for too long, or its operator was away for too long."""
        idle = self.operator is not None and now - self.seen > IDLE_SECONDS
        return idle or now - self.started > ABSOLUTE_SECONDS


class Seal:
    """Seals sessions into cookies (Fernet: AES-128 and HMAC-SHA-256).

    Args:
        secret: At least SECRET_LENGTH_MIN random characters, the same for all processes.

    Raises:
        ValueError: The secret is too short.
    """

    def __init__(self, secret: str) -> None:
        if len(secret) < SECRET_LENGTH_MIN:
            raise ValueError(f"the console's secret must have {SECRET_LENGTH_MIN} characters")
        key = hmac.digest(secret.encode(), _PURPOSE, hashlib.sha256)
        self._fernet = Fernet(base64.urlsafe_b64encode(key))

    def close(self, session: Session) -> str:
        """The cookie of a session."""
        text = json.dumps(asdict(session), separators=(",", ":"))
        return self._fernet.encrypt(text.encode()).decode()

    def open(self, cookie: str) -> Session | None:
        """The session of a cookie; None if the console did not seal it, or seals otherwise now."""
        try:
            fields = json.loads(self._fernet.decrypt(cookie.encode()))
            for name, kind in (("sign_in", SignIn), ("operator", Operator)):
                fields[name] = fields[name] and kind(**fields[name])
            return Session(**fields)
        except (InvalidToken, KeyError, TypeError, ValueError):
            return None
