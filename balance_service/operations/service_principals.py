"""What operators do with sibling services and their secrets; workers follow within seconds."""

import secrets as random_source
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from balance_service.auth.keys import prove
from balance_service.auth.settings import read_secrets
from balance_service.auth.tokens import client_secret_hash
from balance_service.config import Settings
from balance_service.database.pool import Connection, transaction
from balance_service.domain import ids
from balance_service.domain.audit import Action
from balance_service.operations.acts import act, connect, event
from balance_service.repositories import audit, client_certificates, principals
from balance_service.repositories.client_certificates import ListedCertificate
from balance_service.repositories.principals import ListedSecret, StoredPrincipal

# One that callers have, and one that takes its place.
LIVE_MAX = 2


class NewSecret(NamedTuple):
    """A secret, which is not kept and cannot be shown again, and the id that it is known by."""

    secret_id: UUID
    secret: str


class ShownPrincipal(NamedTuple):
    """A sibling service, its secrets and its certificates, the newest first."""

    principal: StoredPrincipal
    secrets: Sequence[ListedSecret]
    certificates: Sequence[ListedCertificate]


async def list_all(settings: Settings) -> list[StoredPrincipal]:
    """Every sibling service, by name."""
    async with connect(settings) as connections, connections.connection() as conn:
        return await principals.list_all(conn)


async def show(settings: Settings, client_id: str) -> ShownPrincipal:
    """A sibling service.

    Raises:
        ValueError: There is none of that name.
    """
    async with connect(settings) as connections, transaction(connections) as conn:
        named = [one for one in await principals.list_all(conn) if one.client_id == client_id]
        if not named:
            raise ValueError(f"there is no service {client_id}")
        await principals.lock(conn, client_id)
        return ShownPrincipal(
            named[0],
            await principals.secrets(conn, client_id),
            await client_certificates.list_all(conn, client_id),
        )


async def rotate(
    settings: Settings,
    client_id: str,
    *,
    life: timedelta | None = None,
    old_life: timedelta | None = None,
) -> NewSecret:
    """Gives a service another secret, beside the one that it has.

    Args:
        settings: Name the database and have the secret.
        client_id: The service.
        life: When the new secret expires; None for never.
        old_life: When the other one does; None for when it would otherwise.

    Raises:
        ValueError: There is no such service that may sign in, or it has two live secrets.
        WrongSecret: The settings' secret is not the service's.
    """
    secrets = read_secrets(settings)
    async with act(settings) as conn:
        await prove(conn, secrets)
        await _lock(conn, client_id)
        live = [secret for secret in await principals.secrets(conn, client_id) if secret.live]
        if len(live) >= LIVE_MAX:
            raise ValueError(f"{client_id} has {LIVE_MAX} live secrets: revoke one of them first")
        if old_life is not None:
            for secret in live:
                await principals.expire_secret(conn, client_id, secret.secret_id, old_life)
        new = NewSecret(ids.new_id(), random_source.token_urlsafe(32))
        secret_hash = client_secret_hash(secrets, client_id, new.secret)
        await principals.insert_secret(conn, client_id, new.secret_id, secret_hash, life)
        after = {"secret": str(new.secret_id)}
        await _record(conn, Action.PRINCIPAL_SECRET_ADDED, client_id, after=after)
    return new


async def revoke_secret(settings: Settings, client_id: str, secret_id: UUID) -> None:
    """Ends a secret of a service, and the tokens that were given for it.

    Raises:
        ValueError: There is no such secret that goes on.
    """
    async with act(settings) as conn:
        await _lock(conn, client_id)
        if not await principals.revoke_secret(conn, client_id, secret_id):
            raise ValueError(f"{client_id} has no secret {secret_id} that goes on")
        before = {"secret": str(secret_id)}
        await _record(conn, Action.PRINCIPAL_SECRET_REVOKED, client_id, before)


async def bind(settings: Settings, client_id: str, name: str) -> UUID:
    """Lets a service sign in by a certificate that it shows, without a secret.

    Args:
        settings: Name the database.
        client_id: The service.
        name: As `client_certificates.parse_name` reads it.

    Returns:
        The id that the binding is ended by.

    Raises:
        ValueError: There is no such service that may sign in, or it is bound to that already.
    """
    certificate_id = ids.new_id()
    async with act(settings) as conn:
        await _lock(conn, client_id)
        bound = await client_certificates.list_all(conn, client_id)
        if any(each.name == name and not each.revoked_at for each in bound):
            raise ValueError(f"{client_id} is bound to {name} already")
        await client_certificates.insert(conn, client_id, certificate_id, name)
        after = {"certificate": str(certificate_id), "name": name}
        await _record(conn, Action.PRINCIPAL_CERTIFICATE_BOUND, client_id, after=after)
    return certificate_id


async def unbind(settings: Settings, client_id: str, certificate_id: UUID) -> None:
    """Ends a binding to a certificate, and the tokens that were given for it.

    Raises:
        ValueError: There is no such binding that goes on.
    """
    async with act(settings) as conn:
        await _lock(conn, client_id)
        if not await client_certificates.revoke(conn, client_id, certificate_id):
            raise ValueError(f"{client_id} has no certificate {certificate_id} that goes on")
        before = {"certificate": str(certificate_id)}
        await _record(conn, Action.PRINCIPAL_CERTIFICATE_UNBOUND, client_id, before)


async def revoke(settings: Settings, client_id: str) -> None:
    """Stops a service from signing in, and ends its tokens.

    Raises:
        ValueError: There is none that may.
    """
    async with act(settings) as conn:
        await _lock(conn, client_id)
        await principals.revoke(conn, client_id)
        await client_certificates.revoke_all(conn, client_id)
        await _record(conn, Action.PRINCIPAL_REVOKED, client_id)


async def _lock(conn: Connection, client_id: str) -> None:
    if not await principals.lock(conn, client_id):
        raise ValueError(f"there is no service {client_id} that may sign in")


async def _record(
    conn: Connection,
    action: Action,
    client_id: str,
    before: Mapping[str, str] | None = None,
    after: Mapping[str, str] | None = None,
) -> None:
    await audit.record(conn, event(action, f"service:{client_id}", before, after))
