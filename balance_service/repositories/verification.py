"""Recomputes what must be true of the whole ledger, from its entries up, in one snapshot."""

from dataclasses import dataclass
from typing import NamedTuple

from psycopg import AsyncConnection

from balance_service.domain.accounts import SYSTEM_ACCOUNTS
from balance_service.repositories import queries

_SQL = queries.load(__file__)

CHECKS = {
    "balance_is_sum_of_entries": "every balance is the sum of its entries",
    "sequence_without_gaps": "every statement is numbered without gaps",
    "balance_after_follows": "every entry follows from the one before",
    "movement_sums_to_zero": "every movement sums to zero in each currency",
    "entry_has_movement": "every entry agrees with its movement",
    "system_entry_has_movement": "every system entry has its movement",
    "system_balance_is_sum_of_entries": "every system balance is the sum of its entries",
    "limit_respected": "no account is below its limit",
    "owner_has_account": "owners and numbers lead to their accounts",
    "purchase_has_movement": "purchases and references have their movements",
}
FAULTS_SHOWN_MAX = 10


class Fault(NamedTuple):
    """One row that breaks a rule: what it is about, what is stored, what it should be."""

    subject: str
    stored: int | None
    computed: int | None


class TrialBalance(NamedTuple):
    """All money in one currency, in minor units; the two sides sum to zero."""

    currency: str
    users_minor: int
    system_minor: int


@dataclass(frozen=True, slots=True)
class Report:
    """What was found.

    Args:
        totals: Rows looked at, by table.
        faults: By check, at most FAULTS_SHOWN_MAX each.
        balances: The trial balance.
    """

    totals: dict[str, int]
    faults: dict[str, list[Fault]]
    balances: list[TrialBalance]

    @property
    def clean(self) -> bool:
        return not any(self.faults.values()) and not any(
            balance.users_minor + balance.system_minor for balance in self.balances
        )


async def verify(conn: AsyncConnection) -> Report:
    """Checks everything in one snapshot, without locking anyone out.

    Args:
        conn: A connection outside any transaction.
    """
    parameters = {
        "limit": FAULTS_SHOWN_MAX,
        "system_ids": list(SYSTEM_ACCOUNTS),
        "system_currencies": [account.currency for account in SYSTEM_ACCOUNTS.values()],
    }
    async with conn.transaction():
        await conn.execute(_SQL["snapshot"])
        await conn.execute(_SQL["plan_for_whole_tables"])
        cursor = await conn.execute(_SQL["totals"])
        names = [column.name for column in cursor.description or ()]
        totals = dict(zip(names, await cursor.fetchone() or (), strict=True))
        faults = {}
        for check in CHECKS:
            cursor = await conn.execute(_SQL[check], parameters)
            faults[check] = [Fault(*row) for row in await cursor.fetchall()]
        cursor = await conn.execute(_SQL["balances"], parameters)
        balances = [TrialBalance(*row) for row in await cursor.fetchall()]
    return Report(totals, faults, balances)
