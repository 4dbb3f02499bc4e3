"""What operators do from the command line: straight on the database, while the service may run."""

import dataclasses
import getpass
import secrets as random_source
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime

from balance_service.auth.keys import KeySet, prove
from balance_service.auth.sealing import Secrets
from balance_service.auth.tokens import client_secret_hash
from balance_service.config import Settings
from balance_service.database import pool
from balance_service.database.pool import Connection, Pool, transaction
from balance_service.domain import errors
from balance_service.domain.addresses import parse_email
from balance_service.domain.audit import Action, Actor, AuditEvent
from balance_service.domain.principals import Scope, parse_client_id
from balance_service.domain.users import Role
from balance_service.messages import fields
from balance_service.repositories import audit, audit_seals, credentials, users, verification

# An act makes its few queries one after the other.
CONNECTIONS_MAX = 2
# Of a service principal, which the contract does not show.
DESCRIPTION_LENGTH_MAX = 200


def connect(settings: Settings) -> AbstractAsyncContextManager[Pool]:
    """Connections to the database that settings name, for one act.

    Raises:
        DatabaseUnavailable: Postgres is away.
    """
    return pool.opened(pool.create(settings.database_url.get_secret_value(), CONNECTIONS_MAX))


@asynccontextmanager
async def _act(settings: Settings) -> AsyncIterator[Connection]:
    """A transaction, after which what it recorded is sealed: the service need not be running."""
    async with connect(settings) as connections:
        async with transaction(connections) as conn:
            yield conn
        await _seal(connections)


async def _seal(connections: Pool) -> None:
    async with transaction(connections) as conn:
        await audit_seals.seal(conn)


async def create_admin(settings: Settings, email: str) -> str:
    """Makes the user of an address an admin, creating them if need be.

    Returns:
        The address as it is kept.

    Raises:
        InvalidFields: It is no e-mail address.
    """
    address = parse_email(email)
    now = datetime.now(UTC)
    async with _act(settings) as conn:
        await users.ensure(conn, address, now)
        user = await users.find_by_email(conn, address)
        assert user is not None, "just ensured"
        user = await users.lock(conn, user.user_id)
        if user.role != Role.ADMIN:
            admin = dataclasses.replace(
                user, role=Role.ADMIN, version=user.version + 1, updated_at=now
            )
            await users.update(conn, admin)
            # Their tokens carry the old role: they sign in again.
            await credentials.revoke_sessions_of_user(conn, user.user_id, now)
            target, before = f"user:{user.user_id}", {"role": user.role.name.lower()}
            after = {"role": admin.role.name.lower()}
            event = AuditEvent(Action.ROLE_CHANGED, _operator(), target, before, after)
            await audit.record(conn, event)
    return address


async def create_service_principal(
    settings: Settings, client_id: str, description: str, scopes: Sequence[Scope]
) -> str:
    """Adds a sibling service.

    Returns:
        Its secret, which is not kept and cannot be shown again.

    Raises:
        InvalidFields: The client id, the description or the scopes are not what the API takes.
        ValueError: The client id is taken.
        WrongSecret: The settings' secret is not the service's: what it hashes could not sign in.
    """
    checks = fields.Checks()
    checks(parse_client_id, client_id)
    checks(fields.limited_text, description, "description", DESCRIPTION_LENGTH_MAX)
    checks(_check_distinct, scopes)
    checks.finish()
    secret = random_source.token_urlsafe(32)
    secrets = _secrets(settings)
    async with _act(settings) as conn:
        await prove(conn, secrets)
        secret_hash = client_secret_hash(secrets, client_id, secret)
        now = datetime.now(UTC)
        if not await credentials.insert_principal(
            conn, client_id, secret_hash, description, scopes, now
        ):
            raise ValueError(f"{client_id} exists already")
        after = {"scopes": " ".join(sorted(scopes))}
        target = f"service:{client_id}"
        await audit.record(
            conn, AuditEvent(Action.PRINCIPAL_CREATED, _operator(), target, after=after)
        )
    return secret


async def revoke_service_principal(settings: Settings, client_id: str) -> bool:
    """Stops a sibling service from signing in; False if there is none that may."""
    async with _act(settings) as conn:
        revoked = await credentials.revoke_principal(conn, client_id, datetime.now(UTC))
        if revoked:
            event = AuditEvent(Action.PRINCIPAL_REVOKED, _operator(), f"service:{client_id}")
            await audit.record(conn, event)
    return revoked


async def prove_secret(settings: Settings) -> None:
    """Checks that the settings' secret is this database's, and binds a new database to it.

    Raises:
        WrongSecret: The database's keys were sealed with another secret.
    """
    async with connect(settings) as connections:
        await KeySet(connections, _secrets(settings)).load()


async def rotate_keys(settings: Settings) -> str:
    """Makes a new signing key.

    Returns:
        Its id.

    Raises:
        WrongSecret: The keys in use were sealed with another secret.
    """
    async with connect(settings) as connections:
        key_id = await KeySet(connections, _secrets(settings)).rotate(_operator())
        await _seal(connections)
    return key_id


async def verify(settings: Settings) -> verification.Report:
    """Recomputes the whole ledger from its entries, and reports where balances differ."""
    async with connect(settings) as connections, connections.connection() as conn:
        return await verification.verify(conn, settings.limits.calendar)


def _operator() -> Actor:
    """Who uses the command line, as far as the machine knows."""
    try:
        login = getpass.getuser()
    except (KeyError, OSError):
        # A container's user may have no name.
        login = "unknown"
    return Actor(f"operator:{login}")


def _check_distinct(scopes: Sequence[Scope]) -> None:
    twice = [scope for place, scope in enumerate(scopes) if scope in scopes[:place]]
    if twice:
        raise errors.invalid("scope", f"must not be given twice: {twice[0]}")


def _secrets(settings: Settings) -> Secrets:
    return Secrets(settings.secret.get_secret_value(), development=settings.development)
