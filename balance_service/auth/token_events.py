"""What the audit log is told of tokens."""

from balance_service.domain.audit import Action, Actor, AuditEvent
from balance_service.repositories.credentials import RefreshToken


def reuse(stored: RefreshToken, actor: Actor) -> AuditEvent:
    """That a refresh token was used again: by whom is not known, for one of two stole it."""
    return AuditEvent(
        Action.REFRESH_TOKEN_REUSED,
        actor,
        f"user:{stored.user_id}",
        after={"session": str(stored.session_id)},
        refusal="REFRESH_TOKEN_INVALID",
    )


def sign_out(stored: RefreshToken, actor: Actor) -> AuditEvent:
    """That whoever had a refresh token ended its sign-in."""
    name, session = f"user:{stored.user_id}", stored.session_id
    signed_in = actor._replace(principal=name, session_id=session)
    return AuditEvent(Action.SESSION_ENDED, signed_in, name, after={"session": str(session)})


def service_sign_in(client_id: str, actor: Actor) -> AuditEvent:
    """That a sibling service signed in."""
    name = f"service:{client_id}"
    return AuditEvent(Action.SIGNED_IN, actor._replace(principal=name), name)
