"""The instruments that measure a worker; `metrics` uses them, and nobody else.

A worker that has a supervisor writes its figures into files, which the operators' process reads and
adds up (prometheus_client's multiprocess mode): a worker that is stuck, or was killed, is counted
still. Names follow OpenTelemetry's semantic conventions where these have one. No label holds what a
caller sent: methods and reasons are those of the contract.
"""

from collections.abc import Sequence
from typing import Literal

from prometheus_client import Counter, Gauge, Histogram, values

if values.ValueClass is not values.MutexValue:
    # The folder is of one worker and those that take its place. They go on in its files, so that
    # counters go on, and a worker that dies every minute does not fill the disk.
    values.ValueClass = values.MultiProcessValue(  # type: ignore[no-untyped-call]
        process_identifier=lambda: "worker"
    )

# The convention's buckets for seconds, with finer ones below: a commit takes a millisecond or two.
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
COMMANDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
# The convention's label for whatever is not of the contract.
OTHER = "_OTHER"

# Of which the page of metrics is made.
INSTRUMENTS: list[Counter | Gauge | Histogram] = []


def _counter(name: str, meaning: str, *labels: str) -> Counter:
    made = Counter(name, meaning, labels)
    INSTRUMENTS.append(made)
    return made


def _histogram(
    name: str, meaning: str, *labels: str, buckets: Sequence[float] = SECONDS
) -> Histogram:
    made = Histogram(name, meaning, labels, buckets=buckets)
    INSTRUMENTS.append(made)
    return made


def _gauge(
    name: str, meaning: str, *labels: str, mode: Literal["livesum", "livemax"] = "livesum"
) -> Gauge:
    """A gauge that tells the sum, or the highest, of those of the workers that live."""
    made = Gauge(name, meaning, labels, multiprocess_mode=mode)
    INSTRUMENTS.append(made)
    return made


CALL_SECONDS = _histogram(
    "rpc_server_call_duration_seconds",
    "Time from when a call was read to its end, over gRPC and HTTP; of a stream, its life.",
    "rpc_system_name",
    "rpc_method",
    "rpc_response_status_code",
)
REFUSED_CALLS = _counter(
    "balance_refused_calls",
    "Calls that were refused or failed, by the reason that their callers were told.",
    "rpc_method",
    "reason",
)
DOOR_REFUSED = _counter(
    "balance_door_refused_requests",
    "Requests that Envoy's door refused before they were calls: `crowded`, or a network's `quota`.",
    "cause",
)
CALLS_UNDER_WAY = _gauge("balance_calls_under_way", "Unary calls under way.")
OPEN_STREAMS = _gauge("balance_open_streams", "Streams that are open.")
QUEUED = _gauge("balance_queue_commands", "Commands that wait for a commit.")
QUEUE_WAIT = _histogram(
    "balance_queue_wait_seconds",
    "Time from a request's entering the queue to the start of the commit that took it.",
)
COMMITS_UNDER_WAY = _gauge("balance_commits_under_way", "Commits under way.")
COMMIT_SECONDS = _histogram(
    "balance_commit_duration_seconds", "Time that a commit took, repeated attempts included."
)
COMMIT_COMMANDS = _histogram(
    "balance_commit_commands", "Commands that shared a commit.", buckets=COMMANDS
)
LOCK_WAIT = _histogram(
    "balance_commit_lock_wait_seconds",
    "Time until a commit's accounts were locked and read: a round trip, and the wait for others.",
)
WRITE_WAIT = _histogram(
    "balance_commit_write_wait_seconds",
    "Time that Postgres took to write a commit and make it durable, a round trip included.",
)
COMMIT_RETRIES = _counter(
    "balance_commit_retries", "Attempts of commits that failed for a passing cause."
)
COMMIT_FAILURES = _counter(
    "balance_commit_failures", "Commits that failed for good; their callers were told so."
)
MOVEMENTS = _counter(
    "balance_movements", "Movements of money that were committed, by kind.", "kind"
)
REPLAYS = _counter(
    "balance_replayed_commands", "Commands that were answered with what was done before."
)
SCHEDULE_RUNS = _counter(
    "balance_schedule_runs",
    "Occurrences of schedules that were `done`, `skipped` or `failed`; tries that lacked funds and "
    "are `retried`; and tries that ended in a `fault`.",
    "outcome",
)
CONNECTIONS = _gauge(
    "db_client_connection_count",
    "Postgres connections that are `used` or `idle`, of the pools `calls` and `commits`.",
    "db_client_connection_pool_name",
    "db_client_connection_state",
)
CONNECTIONS_MAX = _gauge(
    "db_client_connection_max",
    "Postgres connections that the pools may have.",
    "db_client_connection_pool_name",
)
CONNECTIONS_WAITED_FOR = _gauge(
    "db_client_connection_pending_requests",
    "Waits for a Postgres connection that are under way.",
    "db_client_connection_pool_name",
)
CONNECTION_TIMEOUTS = _counter(
    "db_client_connection_timeouts",
    "Times that a Postgres connection was waited for in vain.",
    "db_client_connection_pool_name",
)
CONNECTION_WAIT = _counter(
    "balance_connection_wait_seconds",
    "Time waited for Postgres connections, all waits added up.",
    "db_client_connection_pool_name",
)
WEBHOOK_ATTEMPTS = _counter(
    "balance_webhook_attempts",
    "Attempts to send an event to an endpoint: `delivered`, `failed` (and tried again) or `dead`.",
    "outcome",
)
SERVING = _gauge("balance_workers_serving", "Workers that say SERVING.")
STARTS = _counter("balance_worker_starts", "Times that a worker began to serve.")
CPU_SECONDS = _counter("balance_worker_cpu_seconds", "Processor time of the workers.")
MEMORY = _gauge("balance_worker_resident_memory_bytes", "Resident memory of the workers.")
LOOP_DELAY = _histogram(
    "balance_event_loop_delay_seconds",
    "How late a timer of a worker's event loop ran; looked at once a second.",
)
LINES_LEFT_OUT = _counter(
    "balance_log_lines_left_out", "Lines that were left out of the log, for too many were alike."
)
RATES_PUBLISHED = _gauge(
    "balance_exchange_rates_published_timestamp_seconds",
    "The time of the exchange rates in force; nothing where rates are static.",
    "source",
    mode="livemax",
)
RATES_STALE = _gauge(
    "balance_exchange_rates_stale_timestamp_seconds",
    "When the exchange rates in force are too old to be charged by; nothing where static.",
    "source",
    mode="livemax",
)
READS = _counter(
    "balance_bounded_reads",
    "Answers to callers who say how stale they may be, by who was read from: `standby`, `primary`.",
    "server",
)
STANDBY_FALLBACKS = _counter(
    "balance_standby_fallbacks",
    "Reads that a standby might have answered and the primary did: none was `stale` little enough, "
    "it was `behind` what the caller has seen, too `early` for a moment of the past, `loaded`, "
    "`slow`, it `failed`, or it `refused` what the primary may know better.",
    "cause",
)
READ_STALENESS = _histogram(
    "balance_read_staleness_seconds",
    "How old what a standby showed was at most, when it was read.",
)
STANDBY_AGE = _gauge(
    "balance_standby_age_seconds",
    "How old what a standby shows is at most; infinite while it cannot be read from.",
    "standby",
    mode="livemax",
)

# There from the start: a counter that appears when it has counted shows no increase.
for _outcome in ("done", "skipped", "failed", "retried", "fault"):
    SCHEDULE_RUNS.labels(_outcome)
for _cause in ("crowded", "quota"):
    DOOR_REFUSED.labels(_cause)
for _outcome in ("delivered", "failed", "dead"):
    WEBHOOK_ATTEMPTS.labels(_outcome)
for _server in ("standby", "primary"):
    READS.labels(_server)
for _cause in ("stale", "behind", "early", "loaded", "slow", "failed", "refused"):
    STANDBY_FALLBACKS.labels(_cause)
