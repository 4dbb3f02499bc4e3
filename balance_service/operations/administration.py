"""What operators do from the command line: straight on the database, while the service may run."""

import dataclasses
import secrets as random_source
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from uuid import UUID

from balance_service.auth.keys import KeySet, prove
from balance_service.auth.settings import read_secrets
from balance_service.auth.tokens import client_secret_hash
from balance_service.config import Settings
from balance_service.domain import errors, ids
from balance_service.domain.addresses import parse_email
from balance_service.domain.audit import Action
from balance_service.domain.principals import Scope, parse_client_id
from balance_service.domain.searches import parse_keys
from balance_service.domain.users import Role
from balance_service.messages import fields
from balance_service.operations import archives as archive_operations
from balance_service.operations.acts import act, connect, event
from balance_service.repositories import (
    audit,
    credentials,
    monitoring,
    movement_searches,
    principals,
    users,
    verification,
)
from balance_service.repositories.verification_steps import Step

# Of a service principal, which the contract does not show.
DESCRIPTION_LENGTH_MAX = 200
# Read and labelled in one statement, in well under a second.
PART_MOVEMENTS = 5000


async def create_admin(settings: Settings, email: str) -> str:
    """Makes the user of an address an admin, creating them if need be.

    Returns:
        The address as it is kept.

    Raises:
        InvalidFields: It is no e-mail address.
    """
    address = parse_email(email)
    now = datetime.now(UTC)
    async with act(settings) as conn:
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
            await audit.record(conn, event(Action.ROLE_CHANGED, target, before, after))
    return address


async def index_metadata(settings: Settings) -> int:
    """Has movements from before a key was searchable found by it, too; safe to repeat.

    Returns:
        How many parts of the journal were read.
    """
    keys, parts, after = parse_keys(settings.searchable_metadata), 0, UUID(int=0)
    async with connect(settings) as connections, connections.connection() as conn:
        while last := await movement_searches.label_part(conn, keys, after, PART_MOVEMENTS):
            parts, after = parts + 1, last
    return parts


async def create_service_principal(
    settings: Settings,
    client_id: str,
    description: str,
    scopes: Sequence[Scope],
    life: timedelta | None = None,
) -> str:
    """Adds a sibling service.

    Args:
        settings: Name the database and have the secret.
        client_id: Its name.
        description: What it is.
        scopes: What it may do.
        life: When its secret expires; None for never.

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
    secrets = read_secrets(settings)
    async with act(settings) as conn:
        await prove(conn, secrets)
        if not await principals.insert(conn, client_id, description, scopes, datetime.now(UTC)):
            raise ValueError(f"{client_id} exists already")
        secret_hash = client_secret_hash(secrets, client_id, secret)
        await principals.insert_secret(conn, client_id, ids.new_id(), secret_hash, life)
        after = {"scopes": " ".join(sorted(scopes))}
        await audit.record(
            conn, event(Action.PRINCIPAL_CREATED, f"service:{client_id}", after=after)
        )
    return secret


async def prove_secret(settings: Settings) -> None:
    """Checks that the settings' secret is this database's, and binds a new database to it.

    Raises:
        WrongSecret: The database's keys were sealed with another secret.
    """
    async with connect(settings) as connections:
        await KeySet(connections, read_secrets(settings)).load()


async def verify(
    settings: Settings,
    report_progress: Callable[[int, int], None] = lambda _done, _total: None,
    kept: Mapping[int, str] = MappingProxyType({}),
    *,
    incremental: bool = False,
    archives: Path | None = None,
) -> verification.Report:
    """Recomputes the whole ledger from its entries, and reports where balances differ.

    That it was done, and what it found, is recorded in the audit log, but not on a standby.

    Args:
        settings: Name the database, and the days on which debits count.
        report_progress: Is told how many checks are done, of how many.
        kept: Hashes of checkpoints that were kept elsewhere, by their numbers.
        incremental: Whether only what is new is looked at, and a part of what is old.
        archives: The folder of archives, whose files are looked at, too.
    """
    began = time.monotonic()

    def report_step(step: Step) -> None:
        report_progress(step.done, step.total)

    async with connect(settings) as connections, connections.connection() as conn:
        if incremental:
            report = await verification.verify_new(conn, report_step, kept)
        else:
            calendar = settings.limits.calendar
            report = await verification.verify(conn, calendar, report_step, kept)
        read_only = await monitoring.is_read_only(conn)
    if archives:
        report = report.with_faults(await archive_operations.find_faults(settings, archives))
    if not read_only:
        found = report.audited(time.monotonic() - began)
        async with act(settings) as recording:
            await audit.record(recording, event(Action.LEDGER_VERIFIED, "ledger", after=found))
    return report


def _check_distinct(scopes: Sequence[Scope]) -> None:
    twice = [scope for place, scope in enumerate(scopes) if scope in scopes[:place]]
    if twice:
        raise errors.invalid("scope", f"must not be given twice: {twice[0]}")
