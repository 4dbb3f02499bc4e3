"""Checkpoints, and which movements they cover."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

from balance_service.domain.checkpoints import Checkpoint, Signed
from balance_service.repositories import cluster_history, leaves, queries
from balance_service.repositories.leaves import Covered

_SQL = queries.load(__file__)

COVERED_AT_ONCE_MAX = 2_048
# Each costs up to thirty look-ups to find its entries.
HISTORY_AT_ONCE_MAX = 512
_LOCK = 0x636865636B  # "check"
# More than any movement takes from its date to its event.
_EVENTS_FOLLOW_WITHIN = timedelta(hours=1)
# As many entries of one date may an account have: the commands of a commit, at most.
_COMMIT_ENTRIES_MAX = 10_000


class Head(NamedTuple):
    """Where the chain ends.

    Args:
        checkpoint: The last one.
        last_event: The number of the event up to which movements are covered.
        newest_event: The number of the newest event.
        waiting_since: Since when the first event that is not covered has its number; the time if
            there is none.
        now: Postgres's time.
    """

    checkpoint: Checkpoint
    last_event: int
    newest_event: int
    waiting_since: datetime
    now: datetime


class History(NamedTuple):
    """Movements that the log of events does not name, as far as they are not covered yet.

    Args:
        until: They are dated at or before this.
        after_id: Those with greater ids are left.
    """

    until: datetime
    after_id: UUID


class Part(NamedTuple):
    """A checkpoint with what it covers.

    Args:
        movement_ids: Of what it covers, in the order of the leaves.
        leaves: As they were.
    """

    signed: Signed
    movement_ids: Sequence[UUID]
    leaves: Sequence[bytes]


async def lock(conn: AsyncConnection) -> bool:
    """Whether this transaction makes checkpoints, and no other."""
    row = await (await conn.execute(_SQL["lock"], {"lock": _LOCK})).fetchone()
    return row is not None and bool(row[0])


async def head(conn: AsyncConnection) -> Head:
    row = await (await conn.execute(_SQL["head"])).fetchone()
    assert row is not None, "the beginning is never deleted"
    return Head(Checkpoint(*row[:6]), *row[6:])


async def told_by_events(conn: AsyncConnection, after: int, until: int) -> Covered:
    """The movements of the events after a number and up to another."""
    cursor = await conn.execute(_SQL["told_by_events"], {"after": after, "until": until})
    row = await cursor.fetchone()
    assert row is not None, "an aggregate always answers"
    return Covered(*row)


async def history(conn: AsyncConnection, last_event: int) -> History | None:
    """What is left of the history, if it is its turn.

    Args:
        conn: Any connection.
        last_event: The number of the event up to which movements are covered.
    """
    values = {"margin": _EVENTS_FOLLOW_WITHIN, "last_event": last_event}
    row = await (await conn.execute(_SQL["history"], values)).fetchone()
    return History(*row) if row else None


async def told_by_journal(conn: AsyncConnection, left: History) -> Covered | None:
    """A part of the history that is not covered; the next call goes on after it.

    Args:
        conn: Within a transaction that has the `lock`.
        left: What is left.

    Returns:
        None if all is covered, also in this part.
    """
    values = {
        **left._asdict(),
        "limit": HISTORY_AT_ONCE_MAX,
        "commit_entries_max": _COMMIT_ENTRIES_MAX,
    }
    if queries.is_of_cluster(conn):
        last_id, size, *arrays = await _told_on_cluster(conn, values)
    else:
        row = await (await conn.execute(_SQL["told_by_journal"], values)).fetchone()
        assert row is not None, "an aggregate always answers"
        last_id, size, *arrays = row
    went_on = {"until": left.until, "after_id": last_id, "done": last_id is None}
    await conn.execute(_SQL["went_on"], went_on)
    return Covered(*arrays) if size else None


async def _told_on_cluster(
    conn: AsyncConnection, values: Mapping[str, object]
) -> tuple[UUID | None, int, str, str, str]:
    """What `told_by_journal` selects."""
    last_id, missing = await cluster_history.part(conn, values)
    found = await cluster_history.sequences(conn, missing, _COMMIT_ENTRIES_MAX)
    return (
        last_id,
        len(missing),
        _array(m.movement_id for m in missing),
        _array(found.get((m.movement_id, m.from_account_id)) for m in missing),
        _array(found.get((m.movement_id, m.to_account_id)) for m in missing),
    )


def _array(values: Iterable[object]) -> str:
    """An array in Postgres's own text."""
    return "{" + ",".join("NULL" if value is None else str(value) for value in values) + "}"


async def insert(
    conn: AsyncConnection,
    signed: Signed,
    last_event: int,
    covered: Covered,
    salt_key: bytes,
    leaves_: Sequence[bytes],
) -> None:
    """Adds a checkpoint to the chain.

    Args:
        conn: Within a transaction that has the `lock`.
        signed: The checkpoint.
        last_event: The number of the event up to which movements are covered since.
        covered: What it covers.
        salt_key: What its leaves were made with.
        leaves_: The hashes of what it covers.
    """
    await conn.execute(
        _SQL["insert"],
        {
            **signed.checkpoint._asdict(),
            **covered._asdict(),
            "key_id": signed.key_id,
            "signature": signed.signature,
            "last_event": last_event,
            "salt_key": salt_key,
            "leaves": b"".join(leaves_),
        },
    )
    values = {"number": signed.checkpoint.number, "movement_ids": covered.movement_ids}
    if queries.is_of_cluster(conn):
        await conn.execute(_SQL.on_cluster["write_to_covered"], values)
    await conn.execute(_SQL["cover"], values)


async def find(conn: AsyncConnection, number: int | None = None) -> Signed | None:
    """A checkpoint by its number, or the last one; None if there is none."""
    row = await (await conn.execute(_SQL["signed"], {"number": number})).fetchone()
    return _signed(row) if row else None


async def page(
    conn: AsyncConnection, after: int | None, limit: int, skip: int, *, oldest_first: bool
) -> list[Signed]:
    """Checkpoints by their numbers.

    Args:
        conn: Any connection.
        after: The number of the checkpoint after which the page starts; None for the first page.
        limit: How many at most.
        skip: How many to leave out before them.
        oldest_first: Whether the numbers ascend.
    """
    name = "page_from_oldest" if oldest_first else "page"
    values = {"after": after, "limit": limit, "skip": skip}
    return [_signed(row) for row in await (await conn.execute(_SQL[name], values)).fetchall()]


async def part(conn: AsyncConnection, first: int, last: int) -> list[Part]:
    """Checkpoints from a number to another that there are, with what they cover."""
    cursor = await conn.execute(_SQL["part"], {"first": first, "last": last})
    return [
        Part(_signed(signed), movement_ids, leaves.split(hashes))
        for movement_ids, hashes, *signed in await cursor.fetchall()
    ]


def _signed(row: Sequence[Any]) -> Signed:
    *fields, key_id, signature = row
    return Signed(Checkpoint(*fields), key_id, signature)
