"""People who own accounts."""

import enum
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


class Role(enum.IntEnum):
    """What a user may do; the numbers are stored and those of the contract."""

    USER = 1
    MODERATOR = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class User:
    """A person who owns accounts.

    Args:
        email: In lower case.
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
