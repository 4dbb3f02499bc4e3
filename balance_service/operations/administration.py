"""What operators do from the command line, straight on the database."""

import dataclasses
import secrets as random_source
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime

from balance_service.auth.keys import KeySet, prove
from balance_service.auth.sealing import Secrets
from balance_service.auth.tokens import client_secret_hash
from balance_service.config import Settings
from balance_service.database import pool
from balance_service.database.pool import Pool, transaction
from balance_service.domain import errors, ids
from balance_service.domain.addresses import parse_email
from balance_service.domain.catalogue import Service
from balance_service.domain.money import Money
from balance_service.domain.principals import Scope, parse_client_id
from balance_service.domain.users import Role
from balance_service.messages import fields
from balance_service.repositories import catalogue, credentials, users, verification

DEMO_ADMIN = "admin@example.com"
DEMO_USER = "demo@example.com"
# Of a service principal, which the contract does not show.
DESCRIPTION_LENGTH_MAX = 200
# As the table's constraint has it.
_DEMO_CATALOGUE = (
    ("Coffee subscription", "A month of coffee", Money(49900, "RUB")),
    ("Cloud storage", "100 GB for a year", Money(1999, "USD")),
    ("City card", "Museums and trams for three days", Money(2450, "EUR")),
)


def _pool(settings: Settings) -> AbstractAsyncContextManager[Pool]:
    return pool.opened(pool.create(settings.database_url.get_secret_value(), 2))


async def create_admin(settings: Settings, email: str) -> str:
    """Makes the user of an address an admin, creating them if need be.

    Returns:
        The address as it is kept.

    Raises:
        InvalidFields: It is no e-mail address.
    """
    address = parse_email(email)
    now = datetime.now(UTC)
    async with _pool(settings) as connections, transaction(connections) as conn:
        await users.ensure(conn, address, now)
        found = await users.find_by_email(conn, address)
        assert found is not None, "just ensured"
        found = await users.lock(conn, found.user_id)
        if found.role != Role.ADMIN:
            version = found.version + 1
            await users.update(
                conn, dataclasses.replace(found, role=Role.ADMIN, version=version, updated_at=now)
            )
            await credentials.revoke_sessions_of_user(conn, found.user_id, now)
    return email


async def create_service_principal(
    settings: Settings, client_id: str, description: str, scopes: Sequence[Scope]
) -> str:
    """Adds a sibling service.

    Returns:
        Its secret, which is not kept and cannot be shown again.

    Raises:
        InvalidFields: The client id, the description or the scopes are not what the API takes.
        ValueError: The client id is taken.
        WrongSecret: The service's secret is another; what it would hash could not sign in.
    """
    checks = fields.Checks()
    checks(parse_client_id, client_id)
    checks(fields.limited_text, description, "description", DESCRIPTION_LENGTH_MAX)
    checks(_each_once, scopes)
    checks.finish()
    secret = random_source.token_urlsafe(32)
    secrets = _secrets(settings)
    async with _pool(settings) as connections, transaction(connections) as conn:
        await prove(conn, secrets)
        stored = client_secret_hash(secrets, client_id, secret)
        now = datetime.now(UTC)
        if not await credentials.insert_principal(
            conn, client_id, stored, description, scopes, now
        ):
            raise ValueError(f"{client_id} exists already")
    return secret


async def revoke_service_principal(settings: Settings, client_id: str) -> bool:
    """Stops a sibling service from signing in; False if there is none that may."""
    async with _pool(settings) as connections, connections.connection() as conn:
        return await credentials.revoke_principal(conn, client_id, datetime.now(UTC))


async def prove_secret(settings: Settings) -> None:
    """Insists that the secret is the service's, and binds a new database to it.

    Raises:
        WrongSecret: It is another.
    """
    async with _pool(settings) as connections:
        await KeySet(connections, _secrets(settings)).load()


async def rotate_keys(settings: Settings) -> str:
    """Makes a new signing key.

    Returns:
        Its id.

    Raises:
        WrongSecret: The keys in use were sealed with another secret.
    """
    async with _pool(settings) as connections:
        return await KeySet(connections, _secrets(settings)).rotate()


async def verify(settings: Settings) -> verification.Report:
    """Recomputes the whole ledger from its entries."""
    async with _pool(settings) as connections, connections.connection() as conn:
        return await verification.verify(conn)


async def load_demo_data(settings: Settings) -> None:
    """A demo admin, a demo user and a small catalogue; once."""
    await create_admin(settings, DEMO_ADMIN)
    now = datetime.now(UTC)
    async with _pool(settings) as connections, transaction(connections) as conn:
        await users.ensure(conn, DEMO_USER, now)
        if not await catalogue.page(conn, "", None, 1):
            for name, description, price in _DEMO_CATALOGUE:
                service = Service(ids.new_id(), name, description, price, 1, now, now)
                await catalogue.insert(conn, service)


def _each_once(scopes: Sequence[Scope]) -> None:
    twice = [scope for place, scope in enumerate(scopes) if scope in scopes[:place]]
    if twice:
        raise errors.invalid("scope", f"must not be given twice: {twice[0]}")


def _secrets(settings: Settings) -> Secrets:
    return Secrets(settings.secret.get_secret_value(), development=settings.development)
