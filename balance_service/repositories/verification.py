"""Recomputes what must be true of the whole ledger, from its entries up, in one snapshot.

On a cluster, which has none across its servers, what checks find is looked at again:
cluster_checks.py.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

import psycopg
from psycopg import AsyncConnection

from balance_service.domain import errors, retry_after
from balance_service.domain.accounts import SYSTEM_ACCOUNTS
from balance_service.domain.days import Calendar, Day
from balance_service.domain.events import EventType
from balance_service.domain.holds import HoldStatus
from balance_service.domain.money import DECIMALS, MINOR_MAX
from balance_service.domain.movements import Kind
from balance_service.domain.quotes import Rounding
from balance_service.repositories import (
    archive_checks,
    archives,
    audit_seals,
    checkpoints,
    cluster_checks,
    event_checks,
    follow_up_checks,
    incremental_checks,
    lookup_checks,
    partition_checks,
    proof_checks,
    queries,
    schedule_checks,
    sub_account_checks,
    totals_checks,
)
from balance_service.repositories.archives import Window
from balance_service.repositories.cluster_view import Views
from balance_service.repositories.incremental_checks import Run
from balance_service.repositories.verification_steps import Fault, Findings, Found, Progress

_PARTS = (
    queries.load(__file__),
    follow_up_checks.SQL,
    lookup_checks.SQL,
    event_checks.SQL,
    totals_checks.SQL,
    proof_checks.SQL,
    schedule_checks.SQL,
    sub_account_checks.SQL,
)
_SQL = queries.Statements(
    {name: text for part in _PARTS for name, text in part.items()},
    {name: text for part in _PARTS for name, text in part.on_cluster.items()},
)

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
    "brought_forward_is_of_movements": "balances brought forward are the sums of movements before",
    "system_brought_forward_is_of_movements": "and those of system accounts are, too",
    "archive_is_of_movements": "every period in files has what its movements say",
    "archives_add_up": "periods in files add up to what was brought forward",
    "entry_is_after_horizon": "no entry is from a time whose entries are in files",
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
    **sub_account_checks.CHECKS,
    **partition_checks.CHECKS,
    **audit_seals.CHECKS,
}
# What is checked of the entries of one period alone, wherever they are.
PERIOD_CHECKS = (
    "balance_after_follows",
    "movement_sums_to_zero",
    "entries_are_of_movements",
    "system_entries_are_of_movements",
    "hold_shows_balance",
    "totals_are_of_entries",
)
FAULTS_SHOWN_MAX = 10

_LOCK = 0x766572696679  # "verify"


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

    @property
    def fault_count(self) -> int:
        return sum(len(faults) for faults in self.faults.values())

    def with_faults(self, more: Mapping[str, list[Fault]]) -> "Report":
        """It with what was found elsewhere, by checks of its own or others."""
        faults = {
            check: [*self.faults.get(check, ()), *found][:FAULTS_SHOWN_MAX]
            for check, found in more.items()
        }
        return replace(self, faults=self.faults | faults)

    def audited(self, seconds: float) -> dict[str, str]:
        """What the audit log has of it, for the next run to go on from.

        Args:
            seconds: How long it took.
        """
        return {
            "faults": str(self.fault_count),
            "seconds": f"{seconds:.1f}",
            "checkpoint": str(self.run.checkpoint),
            "checkpoint_hash": self.run.hash,
            "rechecked": str(self.run.rechecked),
        }


async def verify(
    conn: AsyncConnection,
    calendar: Calendar | None = None,
    report_progress: Progress = lambda _step: None,
    kept: Mapping[int, str] = MappingProxyType({}),
    *,
    alone: bool = False,
) -> Report:
    """Checks everything in one snapshot, without locking anyone out.

    Args:
        conn: A connection outside any transaction.
        calendar: The days on which debits count; those of UTC by default.
        report_progress: Is told of every step.
        kept: Hashes of checkpoints that were kept elsewhere, by their numbers.
        alone: Whether it is refused while another run is under way that asked for this.

    Raises:
        VerificationRunning: Another run is under way.
    """
    async with _run(conn, alone=alone) as (now, views):
        day = (calendar or Calendar()).day(now)
        parameters = _parameters(day, await archives.window(conn))
        cursor = await conn.execute(_SQL["totals"])
        names = [column.name for column in cursor.description or ()]
        totals = dict(zip(names, await cursor.fetchone() or (), strict=True))
        findings = Findings(report_progress, len(CHECKS))
        for checks in _made_together(views):
            findings.progress(len(findings.faults), len(CHECKS))
            await findings.make(checks, _find(conn, views, checks, parameters))
        findings.progress(len(findings.faults), len(CHECKS))
        chain = proof_checks.find_faults(conn, FAULTS_SHOWN_MAX)
        await findings.make(proof_checks.CHAIN_CHECKS, chain)
        elsewhere = partition_checks.find_faults(conn, FAULTS_SHOWN_MAX)
        await findings.make(partition_checks.CHECKS, elsewhere)
        await findings.make(audit_seals.CHECKS, audit_seals.find_faults(conn, FAULTS_SHOWN_MAX))
        await findings.make(proof_checks.PUBLISHED_CHECKS, _find_unpublished(conn, kept))
        balances = await _balances(conn, views, parameters)
        newest = (await checkpoints.head(conn)).checkpoint
    return Report(totals, findings.faults, balances, Run(newest.number, newest.hash().hex()))


async def verify_period(conn: AsyncConnection, window: Window) -> dict[str, list[Fault]]:
    """Makes the checks of entries of a period, whose tables have the entries of that alone.

    Args:
        conn: Within a transaction.
        window: The period.

    Returns:
        What was found, by check, at most FAULTS_SHOWN_MAX each.
    """
    await conn.execute(_SQL["plan_for_whole_tables"])
    now = await (await conn.execute(_SQL["read_clock"])).fetchone()
    assert now is not None, "a clock always answers"
    parameters = _parameters(Calendar().day(now[0]), window)
    found: dict[str, list[tuple[str, object, object]]] = {}
    for check in PERIOD_CHECKS:
        found |= {check: await (await conn.execute(_SQL[check], parameters)).fetchall()}
    found |= await archive_checks.find_faults(conn, FAULTS_SHOWN_MAX, window)
    return {check: [Fault(*each) for each in faults] for check, faults in found.items()}


async def verify_new(
    conn: AsyncConnection,
    report_progress: Progress = lambda _step: None,
    kept: Mapping[int, str] = MappingProxyType({}),
    *,
    alone: bool = False,
) -> Report:
    """Checks what is new since the last run that found nothing, and a part of what is old.

    Args, Raises:
        As of `verify`.
    """
    async with _run(conn, alone=alone):
        since = await incremental_checks.last_run(conn)
        newest = (await checkpoints.head(conn)).checkpoint
        again, new = incremental_checks.plan(since, newest.number)
        findings = Findings(report_progress, len(CHECKS))
        finding = _find_in_two(conn, findings.progress, again, new)
        await findings.make(incremental_checks.CHECKS, finding)
        known = {since.checkpoint: since.hash} if since.checkpoint else {}
        unpublished = _find_unpublished(conn, {**known, **kept})
        await findings.make(proof_checks.PUBLISHED_CHECKS, unpublished)
    rechecked = again[-1] if again else 0
    looked_at = {"new_checkpoints": len(new), "old_checkpoints": len(again)}
    return Report(
        looked_at, findings.faults, [], Run(newest.number, newest.hash().hex(), rechecked)
    )


async def _begin(conn: AsyncConnection, *, alone: bool) -> datetime:
    """Takes one view of everything; when."""
    await conn.execute(_SQL["snapshot"])
    await conn.execute(_SQL["keep_partitions"])
    await conn.execute(_SQL["plan_for_whole_tables"])
    if alone:
        await _lock(conn, "lock")
    clock = await (await conn.execute(_SQL["read_clock"])).fetchone()
    assert clock is not None, "a clock always answers"
    moment: datetime = clock[0]
    return moment


@asynccontextmanager
async def _run(
    conn: AsyncConnection, *, alone: bool
) -> AsyncGenerator[tuple[datetime, Views | None], None]:
    """When a run begins, within the view that it has of everything; and on a cluster its views."""
    if not queries.is_of_cluster(conn):
        async with conn.transaction():
            yield await _begin(conn, alone=alone), None
        return
    if alone:
        await _lock(conn, "lock_for_long")
    try:
        async with Views(conn) as views:
            yield await views.current(), views
    finally:
        if alone:
            # It ends with its connection as well.
            with suppress(psycopg.Error):
                await conn.execute(_SQL["unlock"], {"lock": _LOCK})


async def _lock(conn: AsyncConnection, statement: str) -> None:
    locked = await (await conn.execute(_SQL[statement], {"lock": _LOCK})).fetchone()
    if locked is None or not locked[0]:
        raise errors.VerificationRunning(retry_after.VERIFICATION_RUNNING_SECONDS)


def _made_together(views: Views | None) -> Iterator[Sequence[str]]:
    """The checks by statement: on a cluster, those together that read the same."""
    made: set[str] = set()
    for check in CHECKS:
        if check in _SQL and check not in made:
            checks = cluster_checks.together(check) if views else [check]
            made |= set(checks)
            yield checks


async def _find(
    conn: AsyncConnection,
    views: Views | None,
    checks: Sequence[str],
    parameters: Mapping[str, object],
) -> Found:
    if views:
        return await cluster_checks.find(conn, views, checks, _SQL.on_cluster, parameters)
    return {
        check: await (await conn.execute(_SQL[check], parameters)).fetchall() for check in checks
    }


async def _balances(
    conn: AsyncConnection, views: Views | None, parameters: Mapping[str, object]
) -> list[TrialBalance]:
    """The trial balance. One that is wrong is looked at again on a cluster."""
    for pause in (0.0, *cluster_checks.PAUSES_SECONDS):
        await asyncio.sleep(pause)
        if views:
            horizon = await (views.renew() if pause else views.current())
            parameters = {**parameters, "horizon": horizon}
        cursor = await conn.execute(_SQL.of(conn)["balances"], parameters)
        balances = [TrialBalance(*row) for row in await cursor.fetchall()]
        if views is None or not any(b.users_minor + b.system_minor for b in balances):
            break
    return balances


async def _find_unpublished(conn: AsyncConnection, kept: Mapping[int, str]) -> Found:
    found = await proof_checks.find_unpublished(conn, kept)
    return {check: faults[:FAULTS_SHOWN_MAX] for check, faults in found.items()}


async def _find_in_two(
    conn: AsyncConnection, progress: Callable[[int, int], None], again: range, new: range
) -> Found:
    """What is wrong with old checkpoints, and then with new ones."""
    faults: dict[str, list[tuple[str, object, object]]] = {}
    for done, numbers in ((0, again), (len(again), new)):
        progress(done, len(again) + len(new))
        found = await incremental_checks.find_faults(conn, FAULTS_SHOWN_MAX, numbers)
        for check, more in found.items():
            faults[check] = [*faults.get(check, ()), *more][:FAULTS_SHOWN_MAX]
    return faults


def _parameters(day: Day, window: Window) -> dict[str, object]:
    """What the checks take.

    Args:
        day: Today.
        window: The times of booking whose entries are looked at.
    """
    return {
        **window._asdict(),
        "limit": FAULTS_SHOWN_MAX,
        "account_opened": int(EventType.ACCOUNT_OPENED),
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
