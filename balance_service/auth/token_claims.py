"""What a verified access token says: for whom it stands, until when, and what it is bound to."""

import base64
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from balance_service.domain.principals import Principal
from balance_service.domain.users import Role

# What the clocks of workers may differ by.
LEEWAY = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """What is known of a token whose signature was verified.

    Args:
        key_id: What it was signed with.
        principal: Who it stands for.
        certificate: The SHA-256 of the certificate that it is bound to (RFC 8705, 3); empty of one
            that is bound to none.
        good_until: When it expires, with LEEWAY; seconds since the epoch.
    """

    key_id: str
    principal: Principal
    certificate: str
    good_until: float


def read(key_id: str, claims: dict[str, Any], life: timedelta) -> VerifiedToken:
    """Reads our own claims; raises ValueError or KeyError if they are not ours."""
    # A revocation is remembered for the configured life of access tokens. A token that was issued
    # under a longer life is cut to that, or it would be accepted again once that is forgotten.
    expires_at = min(float(claims["exp"]), float(claims["iat"]) + life.total_seconds())
    good_until = expires_at + LEEWAY.total_seconds()
    subject = str(claims["sub"])
    kind, _, name = subject.partition(":")
    if kind == "user":
        role = Role[str(claims["role"]).upper()]
        session_id = UUID(str(claims["sid"]))
        principal = Principal(subject, UUID(name), role, session_id=session_id)
        return VerifiedToken(key_id, principal, "", good_until)
    if kind != "service":
        raise ValueError(subject)
    scopes = frozenset(str(claims["scope"]).split())
    # Earlier versions do not say which secret it was.
    secret_id = UUID(str(claims["sid"])) if "sid" in claims else None
    principal = Principal(subject, None, None, scopes, session_id=secret_id)
    digest = claims["cnf"]["x5t#S256"] if "cnf" in claims else ""
    certificate = base64.urlsafe_b64decode(digest + "=" * (-len(digest) % 4)).hex()
    return VerifiedToken(key_id, principal, certificate, good_until)
