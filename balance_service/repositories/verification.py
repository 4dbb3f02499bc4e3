"""Recomputes what must be true of the whole ledger, from its entries up, in one snapshot."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from psycopg import AsyncConnection

from balance_service.domain.accounts import SYSTEM_ACCOUNTS
from balance_service.domain.days import Calendar, Day
from balance_service.domain.holds import HoldStatus
from balance_service.domain.money import DECIMALS, MINOR_MAX
from balance_service.domain.movements import Kind
from balance_service.domain.quotes import Rounding
from balance_service.repositories import (
    audit_seals,
    event_checks,
    follow_up_checks,
    lookup_checks,
    partition_checks,
    queries,
)

_SQL = {
    **queries.load(__file__),
    **follow_up_checks.SQL,
    **lookup_checks.SQL,
    **event_checks.SQL,
}

CHECKS = {
    "balance_is_sum_of_entries": "every balance is the sum of its entries",
    "sequence_without_gaps": "every statement is numbered without gaps",
    "balance_after_follows": "every entry follows from the one before",
    "account_is_dated": "every account was last changed by its last entry",
    "limit_respected": "no account is below its limit",
    "spent_is_counted": "every account changed today counts what was debited today",
    "rules_are_as_last_changed": "every account's rules are those of its last change",
    "owner_has_account": "owners lead to their accounts",
    "number_has_account": "numbers lead to their accounts, and check themselves",
    "movement_sums_to_zero": "every movement sums to zero in each currency",
    "entries_are_of_movements": "every movement has its entries, and they agree",
    "system_entries_are_of_movements": "every movement has its system entries, and they agree",
    "system_balance_is_sum_of_entries": "every system balance is the sum of its entries",
    "system_account_is_named": "every system account has the id of its name",
    "movement_is_of_its_kind": "every movement is what its kind says",
    "movement_in_its_accounts_currency": "every movement is in its accounts' currency",
    "movement_id_is_derived": "every movement's id follows from its request",
    "amount_follows_from_rate": "every converted amount follows from its rate",
    **follow_up_checks.CHECKS,
    "quote_follows_from_rate": "every quote's amounts follow from its rate",
    "movement_is_as_quoted": "every movement by quote is as it was quoted",
    "quote_is_used_once": "quotes that were used and their movements agree",
    "exchange_stays_with_its_owner": "every exchange is between accounts of one owner",
    "purchase_has_movement": "purchases and their movements agree",
    "reference_has_movement": "references and their movements agree",
    **lookup_checks.CHECKS,
    **event_checks.CHECKS,
    **partition_checks.CHECKS,
    **audit_seals.CHECKS,
}
FAULTS_SHOWN_MAX = 10


class Fault(NamedTuple):
    """One row that breaks a rule: what it is about, what is stored, what it should be."""

    subject: str
    stored: object
    computed: object


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


async def verify(
    conn: AsyncConnection,
    calendar: Calendar | None = None,
    report_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Report:
    """Checks everything in one snapshot, without locking anyone out.

    Args:
        conn: A connection outside any transaction.
        calendar: The days on which debits count; those of UTC by default.
        report_progress: Is told how many checks are done, of how many.
    """
    async with conn.transaction():
        await conn.execute(_SQL["snapshot"])
        await conn.execute(_SQL["plan_for_whole_tables"])
        clock = await (await conn.execute(_SQL["read_clock"])).fetchone()
        assert clock is not None, "a clock always answers"
        parameters = _parameters((calendar or Calendar()).day(clock[0]))
        cursor = await conn.execute(_SQL["totals"])
        names = [column.name for column in cursor.description or ()]
        totals = dict(zip(names, await cursor.fetchone() or (), strict=True))
        faults: dict[str, list[Fault]] = {}
        for check in CHECKS.keys() & _SQL.keys():
            report_progress(len(faults), len(CHECKS))
            cursor = await conn.execute(_SQL[check], parameters)
            faults[check] = [Fault(*row) for row in await cursor.fetchall()]
        report_progress(len(faults), len(CHECKS))
        for module in (partition_checks, audit_seals):
            for check, found in (await module.find_faults(conn, FAULTS_SHOWN_MAX)).items():
                faults[check] = [Fault(*fault) for fault in found]
        cursor = await conn.execute(_SQL["balances"], parameters)
        balances = [TrialBalance(*row) for row in await cursor.fetchall()]
    return Report(totals, faults, balances)


def _parameters(day: Day) -> dict[str, object]:
    """What the checks take.

    Args:
        day: Today.
    """
    return {
        "limit": FAULTS_SHOWN_MAX,
        "system_ids": list(SYSTEM_ACCOUNTS),
        "system_roles": [str(account.role) for account in SYSTEM_ACCOUNTS.values()],
        "system_names": [account.name for account in SYSTEM_ACCOUNTS.values()],
        "system_currencies": [account.currency for account in SYSTEM_ACCOUNTS.values()],
        "currencies": list(DECIMALS),
        "units": [10**decimals for decimals in DECIMALS.values()],
        "minor_max": MINOR_MAX,
        "day_start": day.start,
        "day_end": day.end,
        **{kind.name.lower(): int(kind) for kind in Kind},
        **{status.name.lower(): int(status) for status in HoldStatus},
        **{f"rounding_{mode.name.lower()}": int(mode) for mode in Rounding},
    }
