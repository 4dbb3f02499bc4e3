"""Users, their sign-ins and their tokens as messages of the contract."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from balance_service._generated.balance.v1 import auth_pb2, user_pb2
from balance_service.auth.keys import Jwk
from balance_service.auth.tokens import IssuedToken
from balance_service.domain.users import User
from balance_service.messages.convert import timestamp
from balance_service.repositories.credentials import Session


def token(issued: IssuedToken) -> auth_pb2.Token:
    refresh_expires_at = issued.refresh_expires_at
    return auth_pb2.Token(
        token=issued.access_token,
        token_type="Bearer",  # noqa: S106 - RFC 6750's name for the kind of token
        expire_time=timestamp(issued.expires_at),
        refresh_token=issued.refresh_token,
        refresh_expire_time=timestamp(refresh_expires_at) if refresh_expires_at else None,
        expires_in_seconds=int(issued.life.total_seconds()),
    )


def jwks(keys: Iterable[Jwk]) -> auth_pb2.Jwks:
    return auth_pb2.Jwks(keys=[auth_pb2.Jwk(**key._asdict()) for key in keys])


def user(profile: User, external_ids: Mapping[str, str] | None = None) -> user_pb2.User:
    """A user.

    Args:
        profile: The user.
        external_ids: What other systems call them, by source; None where that is not told.
    """
    return user_pb2.User(
        id=str(profile.user_id),
        email="" if profile.erased_at else profile.email,
        username=profile.username,
        first_name=profile.first_name,
        last_name=profile.last_name,
        bio=profile.bio,
        role=user_pb2.Role.ValueType(profile.role),
        create_time=timestamp(profile.created_at),
        update_time=timestamp(profile.updated_at),
        etag=str(profile.version),
        second_factor=profile.second_factor,
        disable_time=timestamp(profile.disabled_at) if profile.disabled_at else None,
        erase_time=timestamp(profile.erased_at) if profile.erased_at else None,
        external_ids=external_ids,
    )


def session(listed: Session, current: UUID | None) -> user_pb2.Session:
    """A sign-in.

    Args:
        listed: The sign-in.
        current: The id of the one that asks.
    """
    refreshed_at = listed.refreshed_at
    return user_pb2.Session(
        id=str(listed.session_id),
        create_time=timestamp(listed.created_at),
        refresh_time=timestamp(refreshed_at) if refreshed_at else None,
        expire_time=timestamp(listed.expires_at),
        current=listed.session_id == current,
        second_factor=listed.second_factor,
    )
