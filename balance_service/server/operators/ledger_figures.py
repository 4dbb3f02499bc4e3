"""What the database says of the ledger's checks and logs: asked when somebody asks for metrics."""

import asyncio
from collections.abc import Iterable

import structlog
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from balance_service.database.pool import Pool
from balance_service.repositories import monitoring
from balance_service.repositories.monitoring import Watched

_log = structlog.get_logger()

TIMEOUT_SECONDS = 2.0
UP = "balance_database_up"
UP_MEANING = "Whether Postgres answered the operators' process; if not, what it knows is left out."
# By name, what is watched and what it means.
FIGURES = {
    "balance_audit_unsealed_events": (
        "unsealed",
        "Events of the audit log that are not sealed yet, a thousand at most.",
    ),
    "balance_audit_oldest_unsealed_age_seconds": (
        "oldest_unsealed_seconds",
        "Age of the oldest of them; 0 if there is none.",
    ),
    "balance_audit_last_sealed_age_seconds": (
        "last_sealed_seconds",
        "Age of the newest event that is sealed.",
    ),
    "balance_events_unnumbered": (
        "unnumbered",
        "Commits and other changes whose events cannot be followed yet, a thousand at most.",
    ),
    "balance_events_oldest_unnumbered_age_seconds": (
        "oldest_unnumbered_seconds",
        "Age of the oldest of them; 0 if there is none.",
    ),
    "balance_receipts_waiting": (
        "waiting_receipts",
        "Receipts on sub-accounts that have no number yet, those of a thousand commits at most.",
    ),
    "balance_receipts_oldest_waiting_age_seconds": (
        "oldest_waiting_seconds",
        "Age of the oldest of them; 0 if there is none.",
    ),
    "balance_webhook_oldest_due_age_seconds": (
        "webhook_due_seconds",
        "How long the event has waited that an enabled webhook is to be sent for longest.",
    ),
    "balance_webhook_failing_age_seconds": (
        "webhook_failing_seconds",
        "How long the enabled webhook has failed that has for longest; 0 if none does.",
    ),
    "balance_webhook_dead_deliveries": (
        "webhook_dead",
        "Events that are not sent any more, for every attempt failed; a thousand at most.",
    ),
    "balance_totals_uncounted_events": (
        "uncounted",
        "Events that the totals of the ledger lack yet: a trial balance counts them by itself.",
    ),
    "balance_checkpoint_uncovered_events": (
        "uncovered",
        "Events that no checkpoint of the ledger covers yet.",
    ),
    "balance_checkpoint_oldest_uncovered_age_seconds": (
        "oldest_uncovered_seconds",
        "How long the oldest of them has waited; 0 if there is none.",
    ),
    "balance_checkpoint_age_seconds": (
        "checkpoint_seconds",
        "Age of the last checkpoint; nothing if there is none. None is made while nothing happens.",
    ),
    "balance_schedules_oldest_due_age_seconds": (
        "oldest_due_seconds",
        "Time for which the oldest schedule that is due waits for a worker; 0 if none is.",
    ),
    "balance_verify_last_run_age_seconds": (
        "verified_seconds",
        "Time since `balance-service verify` last ended; nothing if it never did.",
    ),
    "balance_verify_last_run_faults": ("verify_faults", "Faults that it found."),
    "balance_verify_last_run_duration_seconds": ("verify_took_seconds", "Time that it took."),
    "balance_partitions_due": (
        "partitions_due",
        "Tables of entries that have partitions, the last of which ends within thirty days.",
    ),
}


async def collect(pool: Pool) -> Iterable[Metric]:
    """Whether Postgres answers, when the ledger was verified, and what its logs wait for."""
    watched = None
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS), pool.connection() as conn:
            watched = await monitoring.watch(conn)
    except Exception as error:  # noqa: BLE001 - whatever it is, the figures are not to be had
        _log.warning("database_not_watched", cause=type(error).__name__)
    up = GaugeMetricFamily(UP, UP_MEANING, float(watched is not None))
    return [up, *(_describe(watched) if watched else ())]


def _describe(watched: Watched) -> Iterable[Metric]:
    for name, (field, meaning) in FIGURES.items():
        value = getattr(watched, field)
        if value is not None:
            yield GaugeMetricFamily(name, meaning, value)
