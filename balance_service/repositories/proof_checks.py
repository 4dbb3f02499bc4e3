"""What must be true of checkpoints: each follows from the one before, and all they cover is as it
was.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from psycopg import AsyncConnection

from balance_service.domain import merkle
from balance_service.domain.checkpoints import CHAIN_START, Signed
from balance_service.repositories import archives, checkpoints, leaves, queries
from balance_service.repositories.archives import Window
from balance_service.repositories.checkpoints import Part

SQL = queries.load(__file__)

SET_CHECKS = {
    "movement_is_covered": "every movement is covered by one checkpoint, or about to be",
}
PUBLISHED_CHECKS = {
    "checkpoint_is_as_published": "every checkpoint that was kept elsewhere is the ledger's",
}
CHAIN_CHECKS = {
    "checkpoints_follow_each_other": "every checkpoint is signed, and follows from the one before",
    "covered_movement_is_unchanged": "every movement is as its checkpoint covered it",
}
# Read at once: about 65,000 movements.
PART_CHECKPOINTS = 32

Fault: TypeAlias = tuple[str, object, object]


async def find_faults(
    conn: AsyncConnection,
    faults_max: int,
    numbers: range | None = None,
    window: Window | None = None,
) -> dict[str, list[Fault]]:
    """What is wrong with checkpoints, by check: what it is about, what is stored, what should be.

    Args:
        conn: Within a transaction with time zone UTC.
        faults_max: How many at most, of each check; the first are named.
        numbers: Of the checkpoints to look at; all by default.
        window: Whose entries are looked at; those in the database by default.
    """
    if numbers is None:
        numbers = range(1, (await checkpoints.head(conn)).checkpoint.number + 1)
    found: dict[str, list[Fault]] = {check: [] for check in CHAIN_CHECKS}
    window = window or await archives.window(conn)
    async for check, fault in _faults(conn, numbers, window):
        if len(found[check]) < faults_max:
            found[check].append(fault)
        elif all(len(faults) == faults_max for faults in found.values()):
            break
    return found


async def find_unpublished(
    conn: AsyncConnection, kept: Mapping[int, str]
) -> dict[str, list[Fault]]:
    """Checkpoints that are not those that were kept elsewhere.

    Args:
        conn: Any connection.
        kept: Their hashes in hexadecimal digits, by their numbers.
    """
    faults: list[Fault] = []
    for number, expected in kept.items():
        stored = await checkpoints.find(conn, number)
        found = stored.checkpoint.hash().hex() if stored else "not there"
        if found != expected:
            faults.append((f"checkpoint {number}", found, expected))
    return {"checkpoint_is_as_published": faults}


async def _faults(
    conn: AsyncConnection, numbers: range, window: Window
) -> AsyncIterator[tuple[str, Fault]]:
    cursor = await conn.execute(SQL["public_keys"])
    keys: dict[str, bytes] = dict(await cursor.fetchall())
    before = await checkpoints.find(conn, numbers.start - 1) if numbers.start > 1 else None
    last = (before.checkpoint.number, before.checkpoint.hash()) if before else (0, CHAIN_START)
    for start in numbers[::PART_CHECKPOINTS]:
        end = min(start + PART_CHECKPOINTS, numbers.stop) - 1
        now = await leaves.of_checkpoints(conn, start, end, window)
        for part in await checkpoints.part(conn, start, end):
            checkpoint = part.signed.checkpoint
            for fault in _broken_links(part, *last, keys):
                yield "checkpoints_follow_each_other", fault
            for fault in _changed(part, now.get(checkpoint.number, [])):
                yield "covered_movement_is_unchanged", fault
            # The next is judged by this one as it is stored, so that one edit is one fault.
            last = checkpoint.number, checkpoint.hash()


def _broken_links(
    part: Part, last_number: int, last_hash: bytes, keys: Mapping[str, bytes]
) -> Iterator[Fault]:
    checkpoint = part.signed.checkpoint
    subject, root = f"checkpoint {checkpoint.number}", merkle.root(part.leaves)
    if checkpoint.number != last_number + 1:
        yield subject, f"follows {last_number}", f"follows {checkpoint.number - 1}"
    if checkpoint.previous_hash != last_hash:
        yield subject, checkpoint.previous_hash.hex(), last_hash.hex()
    if checkpoint.root != root:
        yield subject, checkpoint.root.hex(), root.hex()
    if not checkpoint.size == len(part.leaves) == len(part.movement_ids):
        yield subject, checkpoint.size, len(part.leaves)
    if not _is_signed(part.signed, keys):
        yield subject, f"not signed by key {part.signed.key_id}", "signed"


def _is_signed(signed: Signed, keys: Mapping[str, bytes]) -> bool:
    try:
        key = Ed25519PublicKey.from_public_bytes(keys.get(signed.key_id, b""))
        key.verify(signed.signature, signed.checkpoint.text().encode())
    except (InvalidSignature, ValueError):
        return False
    return True


def _changed(part: Part, now: Sequence[bytes]) -> Iterator[Fault]:
    """Movements whose leaves are not those of their checkpoint."""
    if len(now) != len(part.leaves):
        subject = f"checkpoint {part.signed.checkpoint.number}"
        yield subject, f"{len(now)} movements", f"{len(part.leaves)} movements"
    for index, movement_id in enumerate(part.movement_ids):
        then, is_ = part.leaves[index : index + 1], now[index : index + 1]
        if then != is_:
            subject = f"{movement_id} of checkpoint {part.signed.checkpoint.number}"
            yield subject, _hex(is_), _hex(then)


def _hex(hashes: Sequence[bytes]) -> str:
    return hashes[0].hex() if hashes else "none"
