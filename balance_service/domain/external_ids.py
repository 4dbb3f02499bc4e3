"""What other systems call our users and accounts."""

import enum
from typing import NamedTuple


class Subject(enum.IntEnum):
    """Whom or what an external id is for; the numbers are stored."""

    USER = 1
    ACCOUNT = 2


class ExternalId(NamedTuple):
    """What one system calls a user or an account.

    Args:
        source: The system: the name of a service's principal.
        text: The id that it uses.
    """

    source: str
    text: str
