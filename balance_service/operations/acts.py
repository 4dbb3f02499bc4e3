"""How the command line acts on a database: in one transaction, with an event in the audit log."""

import getpass
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from balance_service.config import Settings
from balance_service.database import pool
from balance_service.database.pool import Connection, Pool, transaction
from balance_service.domain.audit import Action, Actor, AuditEvent
from balance_service.domain.principals import OPERATOR
from balance_service.repositories import audit_seals

# An act makes its few queries one after the other.
CONNECTIONS_MAX = 2


def connect(settings: Settings) -> AbstractAsyncContextManager[Pool]:
    """Connections to the database that settings name, for one act.

    Raises:
        DatabaseUnavailable: Postgres is away.
    """
    return pool.opened(pool.create(settings.database_url.get_secret_value(), CONNECTIONS_MAX))


@asynccontextmanager
async def act(settings: Settings) -> AsyncIterator[Connection]:
    """A transaction, after which what it recorded is sealed: the service need not be running."""
    async with connect(settings) as connections:
        async with transaction(connections) as conn:
            yield conn
        async with transaction(connections) as conn:
            await audit_seals.seal(conn)


def event(
    action: Action,
    target: str,
    before: Mapping[str, str] | None = None,
    after: Mapping[str, str] | None = None,
) -> AuditEvent:
    """An event of whoever uses the command line."""
    return AuditEvent(action, Actor(operator_name()), target, before or {}, after or {})


def operator_name() -> str:
    """Whoever uses the command line, as far as the machine knows them: `operator:<login>`."""
    try:
        login = getpass.getuser()
    except (KeyError, OSError):
        # A container's user may have no name.
        login = "unknown"
    return f"{OPERATOR}:{login}"
