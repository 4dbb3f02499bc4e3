"""What must be true of the log of events: it tells what the journal has, once and in its order."""

from collections.abc import Mapping
from uuid import UUID

from psycopg import AsyncConnection

from balance_service.repositories import queries

SQL = queries.load(__file__)

CHECKS = {
    "event_is_numbered": "events are numbered without gaps",
    "movement_has_event": "every movement has one event, and every event its movement",
    "event_has_entries": "every event of a movement names its entries",
    "events_follow_each_other": "the events of every account come in the order of its entries",
}

# Events that are read at once, or those of one commit.
_PART_EVENTS = 20_000
# How many accounts' last entries are kept in memory, of those that were told last.
_ACCOUNTS_KEPT = 250_000
_FOUND_MAX = 1_000


async def find_out_of_order(
    conn: AsyncConnection, _parameters: Mapping[str, object]
) -> list[tuple[str, object, object]]:
    """What events_follow_each_other finds, on a cluster: the log is read from its beginning.

    Of an account, events are compared that are no more than 250,000 other accounts apart.

    Args:
        conn: Within a view.
    """
    statements = SQL.on_cluster
    row = await (await conn.execute(statements["log_begins"])).fetchone()
    assert row is not None, "an aggregate always answers"
    values = {"after": row[0], "reach": _PART_EVENTS}
    found: list[tuple[str, object, object]] = []
    last: dict[UUID, int] = {}
    while part := await (await conn.execute(statements["told_sides"], values)).fetchall():
        for _, account_id, sequence in part:
            if account_id is None:
                continue
            before = last.pop(account_id, 0)
            last[account_id] = sequence
            if before >= sequence and len(found) < _FOUND_MAX:
                found.append((f"{account_id} #{sequence}", before, sequence))
            if len(last) > _ACCOUNTS_KEPT:
                del last[next(iter(last))]
        values["after"] = part[-1][0]
    return found
