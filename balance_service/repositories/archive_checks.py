"""What must be true of entries in files, beyond what must be of those in tables.

The queries read the tables that stand for the journal's while a period is looked at.
"""

from psycopg import AsyncConnection

from balance_service.repositories import proof_checks, queries
from balance_service.repositories.archives import Window
from balance_service.repositories.proof_checks import Fault

SQL = queries.load(__file__)

SET_CHECKS = {
    "archived_entry_is_of_period": "every entry in a file is of the file's period",
    "archived_movement_is_covered": "every movement whose entries are in files is covered",
}
CHECKS = {
    "archive_is_as_written": "every file of entries is there, and as it was written",
    **SET_CHECKS,
    "files_lead_to_brought_forward": "files lead to what accounts brought forward",
}


async def find_faults(
    conn: AsyncConnection, faults_max: int, window: Window
) -> dict[str, list[Fault]]:
    """What is wrong with the entries of a period, by check.

    Args:
        conn: Within a transaction with time zone UTC.
        faults_max: How many at most, of each check.
        window: The period.
    """
    values = {**window._asdict(), "limit": faults_max}
    found: dict[str, list[Fault]] = {}
    for check in SET_CHECKS:
        found[check] = await (await conn.execute(SQL[check], values)).fetchall()
    covering = await (await conn.execute(SQL["covering"], window._asdict())).fetchone()
    assert covering is not None, "an aggregate always answers"
    numbers = range(covering[0], covering[1] + 1)
    return found | await proof_checks.find_faults(conn, faults_max, numbers, window)
