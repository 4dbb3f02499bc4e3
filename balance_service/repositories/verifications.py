"""Codes that were sent, from where mailboxes were signed in to, and the quotas of both.

Only keyed hashes are kept of codes, ids, networks and of what is limited.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from psycopg import AsyncConnection

from balance_service.domain.quotas import Quota
from balance_service.repositories import queries

_SQL = queries.load(__file__)


class NewVerification(NamedTuple):
    """A code that was sent.

    Args:
        verification_hash: Of the id, which is told to whoever asked.
        asker: A hash of the mailbox and the network that asked.
        asker_known: Whether the mailbox was signed in to from there before.
    """

    verification_hash: bytes
    email: str
    code_hash: bytes
    asker: bytes
    asker_known: bool
    created_at: datetime
    expires_at: datetime


class Guess(NamedTuple):
    """A guess that was counted: what it has to match, whose it is, and the how many-eth."""

    verification_hash: bytes
    email: str
    code_hash: bytes
    asker: bytes
    asker_known: bool
    guesses: int


class Limit(NamedTuple):
    """A quota and the key that it is kept by."""

    key: bytes
    quota: Quota


class State(NamedTuple):
    """When a quota will be full, and what time it is."""

    full_at: datetime
    now: datetime


async def insert(conn: AsyncConnection, verification: NewVerification) -> None:
    await conn.execute(_SQL["insert_verification"], verification._asdict())


async def count_guess(
    conn: AsyncConnection, verification_hashes: Sequence[bytes], guesses_max: int
) -> Guess | None:
    """Uses up one guess; None where there is no such verification, or no guess left.

    Args:
        conn: A transaction.
        verification_hashes: Of the id, by each of the service's secrets.
        guesses_max: How many there are of each code.
    """
    values = {"verification_hashes": list(verification_hashes), "guesses_max": guesses_max}
    row = await (await conn.execute(_SQL["count_guess"], values)).fetchone()
    return Guess(*row) if row else None


async def uncount_guess(conn: AsyncConnection, verification_hash: bytes) -> None:
    """Gives a guess back that was right."""
    await conn.execute(_SQL["uncount_guess"], {"verification_hash": verification_hash})


async def spend(conn: AsyncConnection, verification_hash: bytes) -> bool:
    """Ends a verification; False if somebody else was first."""
    cursor = await conn.execute(_SQL["spend"], {"verification_hash": verification_hash})
    return cursor.rowcount == 1


async def find_by_code(
    conn: AsyncConnection, email: str, code_hashes: Sequence[bytes]
) -> bytes | None:
    """The verification of an address that has a code with one of some hashes, if any."""
    values = {"email": email, "code_hashes": list(code_hashes)}
    row = await (await conn.execute(_SQL["find_by_code"], values)).fetchone()
    return bytes(row[0]) if row else None


async def find_email(conn: AsyncConnection, hashes: Sequence[bytes]) -> str | None:
    """The address of a verification, by any hash of its id, if there is one."""
    values = {"verification_hashes": list(hashes)}
    row = await (await conn.execute(_SQL["find_email"], values)).fetchone()
    return str(row[0]) if row else None


async def is_known(conn: AsyncConnection, askers: Sequence[bytes], known_for: timedelta) -> bool:
    """Whether a mailbox was signed in to from a network, by any hash, within some time."""
    values = {"askers": list(askers), "known_for": known_for}
    return await (await conn.execute(_SQL["is_known"], values)).fetchone() is not None


async def remember(conn: AsyncConnection, asker: bytes, mailbox: bytes) -> None:
    """Notes that a mailbox was signed in to from a network."""
    await conn.execute(_SQL["remember"], {"asker": asker, "mailbox": mailbox})


async def forget(conn: AsyncConnection, email: str, mailboxes: Sequence[bytes]) -> None:
    """Forgets codes that were sent to an address, and the networks of its mailbox."""
    await conn.execute(_SQL["forget_codes"], {"email": email})
    await conn.execute(_SQL["forget_code_of_earlier_versions"], {"email": email})
    await conn.execute(_SQL["forget_networks"], {"mailboxes": list(mailboxes)})


async def lock_quotas(conn: AsyncConnection, limits: Sequence[Limit]) -> list[State]:
    """How full quotas are, in their order, locked until the transaction ends."""
    values = {"keys": [limit.key for limit in limits]}
    rows = await (await conn.execute(_SQL["lock_quotas"], values)).fetchall()
    states = {bytes(key): State(full_at, now) for key, full_at, now in rows}
    return [states[limit.key] for limit in limits]


async def put_quotas(
    conn: AsyncConnection, limits: Sequence[Limit], full_at: Sequence[datetime]
) -> None:
    """Writes when locked quotas will be full."""
    values = {"keys": [limit.key for limit in limits], "full_at": list(full_at)}
    await conn.execute(_SQL["put_quotas"], values)
