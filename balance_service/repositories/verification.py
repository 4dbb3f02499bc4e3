"""Recomputes what must be true of the whole ledger, from its entries up, in one snapshot."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from psycopg import AsyncConnection

from balance_service.domain.accounts import SYSTEM_ACCOUNTS
from balance_service.domain.days import Calendar, Day
from balance_service.domain.holds import HoldStatus
from balance_service.domain.money import DECIMALS, MINOR_MAX
from balance_service.domain.movements import Kind
from balance_service.domain.quotes import Rounding
from balance_service.repositories import (
    audit_seals,
    checkpoints,
    event_checks,
    follow_up_checks,
    incremental_checks,
    lookup_checks,
    partition_checks,
    proof_checks,
    queries,
    schedule_checks,
    totals_checks,
)
from balance_service.repositories.incremental_checks import Run

_SQL = {
    **queries.load(__file__),
    **follow_up_checks.SQL,
    **lookup_checks.SQL,
    **event_checks.SQL,
    **totals_checks.SQL,
    **proof_checks.SQL,
    **schedule_checks.SQL,
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
    **totals_checks.CHECKS,
    **proof_checks.SET_CHECKS,
    **proof_checks.CHAIN_CHECKS,
    **proof_checks.PUBLISHED_CHECKS,
    **schedule_checks.CHECKS,
    **partition_checks.CHECKS,
    **audit_seals.CHECKS,
}
# Those that more than one statement makes.
_READ_IN_PARTS = (
    proof_checks.CHAIN_CHECKS.keys()
    | proof_checks.PUBLISHED_CHECKS.keys()
    | audit_seals.CHECKS.keys()
)
FAULTS_SHOWN_MAX = 10

Progress: TypeAlias = Callable[[int, int], None]


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
        balances: The trial balance; none of a run over what is new.
        run: How far it got.
    """

    totals: dict[str, int]
    faults: dict[str, list[Fault]]
    balances: list[TrialBalance]
    run: Run

    @property
    def clean(self) -> bool:
        return not any(self.faults.values()) and not any(
            balance.users_minor + balance.system_minor for balance in self.balances
        )


async def verify(
    conn: AsyncConnection,
    calendar: Calendar | None = None,
    report_progress: Progress = lambda _done, _total: None,
    kept: Mapping[int, str] = MappingProxyType({}),
) -> Report:
    """Checks everything in one snapshot, without locking anyone out.

    Args:
        conn: A connection outside any transaction.
        calendar: The days on which debits count; those of UTC by default.
        report_progress: Is told how many checks are done, of how many.
        kept: Hashes of checkpoints that were kept elsewhere, by their numbers.
    """
    async with conn.transaction():
        now = await _begin(conn)
        parameters = _parameters((calendar or Calendar()).day(now))
        cursor = await conn.execute(_SQL["totals"])
        names = [column.name for column in cursor.description or ()]
        totals = dict(zip(names, await cursor.fetchone() or (), strict=True))
        faults: dict[str, list[Fault]] = {}
        for check in CHECKS.keys() & _SQL.keys():
            report_progress(len(faults), len(CHECKS))
            cursor = await conn.execute(_SQL[check], parameters)
            faults[check] = [Fault(*row) for row in await cursor.fetchall()]
        report_progress(len(faults), len(CHECKS))
        for module in (proof_checks, partition_checks, audit_seals):
            _add(faults, await module.find_faults(conn, FAULTS_SHOWN_MAX))
        _add(faults, await proof_checks.find_unpublished(conn, kept))
        cursor = await conn.execute(_SQL["balances"], parameters)
        balances = [TrialBalance(*row) for row in await cursor.fetchall()]
        newest = (await checkpoints.head(conn)).checkpoint
    return Report(totals, faults, balances, Run(newest.number, newest.hash().hex()))


async def verify_new(
    conn: AsyncConnection,
    report_progress: Progress = lambda _done, _total: None,
    kept: Mapping[int, str] = MappingProxyType({}),
) -> Report:
    """Checks what is new since the last run that found nothing, and a part of what is old.

    Args:
        conn: A connection outside any transaction.
        report_progress: Is told how many checkpoints are done, of how many.
        kept: As of `verify`.
    """
    async with conn.transaction():
        await _begin(conn)
        since = await incremental_checks.last_run(conn)
        newest = (await checkpoints.head(conn)).checkpoint
        again, new = incremental_checks.plan(since, newest.number)
        faults: dict[str, list[Fault]] = {check: [] for check in incremental_checks.CHECKS}
        for done, numbers in ((0, again), (len(again), new)):
            report_progress(done, len(again) + len(new))
            found = await incremental_checks.find_faults(conn, FAULTS_SHOWN_MAX, numbers)
            _add(faults, found)
        known = {since.checkpoint: since.hash} if since.checkpoint else {}
        _add(faults, await proof_checks.find_unpublished(conn, {**known, **kept}))
    rechecked = again[-1] if again else 0
    looked_at = {"new_checkpoints": len(new), "old_checkpoints": len(again)}
    return Report(looked_at, faults, [], Run(newest.number, newest.hash().hex(), rechecked))


async def _begin(conn: AsyncConnection) -> datetime:
    """Takes one view of everything; when."""
    await conn.execute(_SQL["snapshot"])
    await conn.execute(_SQL["plan_for_whole_tables"])
    clock = await (await conn.execute(_SQL["read_clock"])).fetchone()
    assert clock is not None, "a clock always answers"
    moment: datetime = clock[0]
    return moment


def _add(
    faults: dict[str, list[Fault]], found: Mapping[str, Sequence[tuple[str, object, object]]]
) -> None:
    for check, more in found.items():
        all_found = [*faults.get(check, ()), *(Fault(*fault) for fault in more)]
        faults[check] = all_found[:FAULTS_SHOWN_MAX]


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
