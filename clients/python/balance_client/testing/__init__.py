"""For the tests of a service that calls the balance service: a real one, one in memory, refusals.

The fixtures of pytest are in `balance_client.testing.plugin`.
"""

from balance_client.testing.ephemeral import EphemeralService, find_command, start
from balance_client.testing.memory import InMemoryService, in_memory
from balance_client.testing.refusals import RefusedCall, refusal, refused_call
from balance_client.testing.service import NotInstalled, Service, User

__all__ = [
    "EphemeralService",
    "InMemoryService",
    "NotInstalled",
    "RefusedCall",
    "Service",
    "User",
    "find_command",
    "in_memory",
    "refusal",
    "refused_call",
    "start",
]
