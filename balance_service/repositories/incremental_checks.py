"""Verifies what is new since the last run, and each time another part of what is old."""

from collections.abc import Iterator
from typing import NamedTuple

from psycopg import AsyncConnection

from balance_service.domain.audit import Action
from balance_service.repositories import proof_checks, queries
from balance_service.repositories.proof_checks import PART_CHECKPOINTS, Fault

SQL = queries.load(__file__)

SET_CHECKS = {
    "entry_follows": "every entry that was looked at follows from the one before",
    "account_ends_with_entries": "every account of theirs is as its last entry and holds leave it",
}
CHECKS = {**proof_checks.CHAIN_CHECKS, **SET_CHECKS}
# After so many runs, all that is old was looked at again.
RUNS_FOR_ALL = 30


class Run(NamedTuple):
    """How far a run got, for the next one to go on.

    Args:
        checkpoint: The number of the last checkpoint that was new to it.
        hash: Its hash, in hexadecimal digits.
        rechecked: The number of the last old checkpoint that it looked at again.
    """

    checkpoint: int = 0
    hash: str = ""
    rechecked: int = 0


async def last_run(conn: AsyncConnection) -> Run:
    """The last run that found nothing, as the audit log has it."""
    values = {"verified": Action.LEDGER_VERIFIED}
    row = await (await conn.execute(SQL["last_run"], values)).fetchone()
    return Run(*row) if row else Run()


def plan(since: Run, newest: int) -> tuple[range, range]:
    """The numbers of the old checkpoints that a run looks at again, and of the new ones.

    Args:
        since: The run before.
        newest: The number of the newest checkpoint.
    """
    old = min(since.checkpoint, newest)
    begin = since.rechecked % old + 1 if old else 1
    share = -(-old // RUNS_FOR_ALL)
    return range(begin, min(begin + share, old + 1)), range(old + 1, newest + 1)


async def find_faults(
    conn: AsyncConnection, faults_max: int, numbers: range
) -> dict[str, list[Fault]]:
    """What is wrong with checkpoints, the entries that they cover, and the accounts of these.

    Args:
        conn: Within a transaction with time zone UTC.
        faults_max: How many at most, of each check.
        numbers: Of the checkpoints.
    """
    found = await proof_checks.find_faults(conn, faults_max, numbers)
    for check in SET_CHECKS:
        found[check] = []
        for first, last in _parts(numbers):
            values = {"first": first, "last": last, "limit": faults_max - len(found[check])}
            found[check] += await (await conn.execute(SQL.of(conn)[check], values)).fetchall()
    return found


def _parts(numbers: range) -> Iterator[tuple[int, int]]:
    for first in numbers[::PART_CHECKPOINTS]:
        yield first, min(first + PART_CHECKPOINTS, numbers.stop) - 1
