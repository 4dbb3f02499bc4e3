"""People who own accounts."""

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from balance_service.domain.external_ids import ExternalId


class Role(enum.IntEnum):
    """What a user may do; the numbers are stored and those of the contract."""

    USER = 1
    MODERATOR = 2
    ADMIN = 3


class UserFilter(NamedTuple):
    """Which users a list keeps; what is empty or None does not limit.

    Args:
        search: The username contains it, regardless of case, as are the others.
        email: The address contains it.
        name: The first name, a space and the last name contain it.
        external_id: What a source calls them.
        role: Their role.
        disabled: Whether they may not sign in.
    """

    search: str = ""
    email: str = ""
    name: str = ""
    external_id: ExternalId | None = None
    role: Role | None = None
    disabled: bool | None = None


@dataclass(frozen=True, slots=True)
class User:
    """A person who owns accounts.

    Args:
        email: In lower case; empty for a user whom a service made without one.
        username: Unique regardless of case.
        version: Counts changes.
        second_factor: Whether they sign in with a second factor.
        disabled_at: Since when they may not sign in; None if they may.
        erased_at: Since when nothing personal is kept of them; None of others.
    """

    user_id: UUID
    email: str
    username: str
    first_name: str
    last_name: str
    bio: str
    role: Role
    version: int
    created_at: datetime
    updated_at: datetime
    second_factor: bool
    disabled_at: datetime | None
    erased_at: datetime | None
