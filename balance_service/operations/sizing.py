"""How much machinery a load needs, computed from what was measured of a call."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from balance_service.config import Settings
from balance_service.domain import errors
from balance_service.operations.figures import Figures
from balance_service.operations.load import Load, check

# Of a processor, where no latency is asked for: half of the peak, where latency was measured.
BUSY_SHARE = 0.5
# However long an answer may take, a load has peaks within a second.
BUSY_SHARE_MAX = 0.7
BUSY_SHARE_MIN = 0.02
# Above this share of what one account can take, its callers queue.
HOT_SHARE_MAX = 0.7
# A commit waits for a standby, and one is left after a failover (docs/operating/standby.md).
STANDBYS = 2
WORKERS_MIN = MACHINES_MIN = 2
# A rolling restart has old and new workers side by side.
RESTART_FACTOR = 2
DAYS_A_MONTH, DAYS_A_YEAR = 30, 365
MIB, GB = 2**20, 10**9
# Entries of an account are added where its last one is.
PAGE_BYTES = 8192
# What Postgres and the system take besides pages of tables. Assumed, not measured.
SYSTEM_GB = 1.0


@dataclass(frozen=True)
class Need:
    """Something that a load needs.

    Args:
        name: What.
        amount: How much of it.
        unit: In what.
        how: The reckoning.
        figures: The measured figures in it, by name.
        advice: What to do about it; empty if nothing is to be done.
    """

    name: str
    amount: float
    unit: str
    how: str
    figures: tuple[str, ...] = ()
    advice: str = ""

    def told(self) -> dict[str, object]:
        """As a line of a table."""
        digits = 0 if self.amount >= 100 or self.amount == int(self.amount) else 2
        amount = f"{self.amount:,.{digits}f} {self.unit}".strip()
        return {"need": self.name, "amount": amount, "reckoning": self.how}

    def facts(self, figures: Figures) -> dict[str, object]:
        """As an object of JSON."""
        return {
            "need": self.name,
            "amount": round(self.amount, 6),
            "unit": self.unit,
            "reckoning": self.how,
            "measured": [figures.get(name).facts(name) for name in self.figures],
            "advice": self.advice,
        }


def size(load: Load, figures: Figures, settings: Settings) -> list[Need]:
    """What a load needs.

    Args:
        load: The load.
        figures: What is reckoned with.
        settings: Of the service: the pool's size, the largest commit, how long events are kept.

    Raises:
        InvalidFields: A number is out of its bounds, or nothing answers as soon as is asked.
    """
    check(load)
    busy = _busy_share(load, figures)
    service = _cores("service", load, figures, busy)
    postgres = _cores("postgres", load, figures, busy)
    needs = [_latency(load, figures, busy), service, postgres]
    needs += _machines(load, figures, settings, service, postgres)
    needs += _disk(load, figures, settings)
    return [*needs, _hottest(load, figures, settings)]


def _busy_share(load: Load, figures: Figures) -> float:
    """How busy processors may be: the p99 grows by u / (1 - u), as a queue does.

    Raises:
        InvalidFields: Nothing answers as soon as is asked.
    """
    if not load.latency_ms:
        return BUSY_SHARE
    least = _p99(load, figures, BUSY_SHARE_MIN)
    if load.latency_ms < least:
        told = f"must be {least:.3g} at least, which calls take where hardly anything is asked"
        raise errors.InvalidFields((errors.Violation("latency_ms", told),))
    left = load.latency_ms - figures.alone_p99_ms.value - load.round_trip_ms
    return min(left / (left + _queueing_ms(figures)), BUSY_SHARE_MAX)


def _p99(load: Load, figures: Figures, busy: float) -> float:
    """Milliseconds that 99 of 100 calls take, with processors so busy."""
    queueing = _queueing_ms(figures) * busy / (1 - busy)
    return figures.alone_p99_ms.value + load.round_trip_ms + queueing


def _queueing_ms(figures: Figures) -> float:
    """What the p99 grows by when processors are half busy."""
    return max(figures.half_peak_p99_ms.value - figures.alone_p99_ms.value, 0.1)


def _latency(load: Load, figures: Figures, busy: float) -> Need:
    alone = figures.alone_p99_ms.value
    return Need(
        "latency (p99)",
        _p99(load, figures, busy),
        "ms",
        f"{alone:g} ms alone + {load.round_trip_ms:g} ms to the standby + "
        f"{_queueing_ms(figures):g} ms x {busy:.2f} / {1 - busy:.2f} with processors {busy:.0%} "
        "busy",
        ("alone_p99_ms", "half_peak_p99_ms"),
    )


def _cores(where: str, load: Load, figures: Figures, busy: float) -> Need:
    """Cores of the service, or of Postgres."""

    def cost(kind: str) -> float:
        return figures.get(f"{kind}_{where}_ms").value

    # What a batch costs once is shared by its items.
    batched = cost("batched")
    item = batched + max(cost("transfer") - batched, 0) / load.batch_size
    single = 1 - load.batched_share
    parts = [
        ("transfers", load.transfers_per_second * single, cost("transfer"), "transfer"),
        ("deposits", load.deposits_per_second * single, cost("deposit"), "deposit"),
        ("purchases", load.purchases_per_second, cost("purchase"), "purchase"),
        ("in batches", load.batched, item, "batched"),
        ("reads", load.reads_per_second, cost("read"), "read"),
    ]
    taken = [part for part in parts if part[1]]
    told = " + ".join(f"{rate:,.0f} {name} x {ms:.3g} ms" for name, rate, ms, _ in taken)
    return Need(
        f"cores of {'the service' if where == 'service' else 'Postgres'}",
        sum(rate * ms for _, rate, ms, _ in taken) / 1000 / busy,
        "cores",
        f"({told or 'nothing'}) a second, {busy:.0%} busy",
        tuple(f"{kind}_{where}_ms" for *_, kind in taken),
        _advise_cores(load, where, sum(rate * ms for _, rate, ms, _ in taken) / 1000 / busy),
    )


def _advise_cores(load: Load, where: str, cores: float) -> str:
    if where == "service" or cores <= load.machine_cores:
        return ""
    return (
        f"One server of Postgres takes all commits: it needs a machine of {math.ceil(cores)} cores,"
        " or calls in batches. See docs/operating/scaling.md for what comes after the largest."
    )


def _machines(
    load: Load, figures: Figures, settings: Settings, service: Need, postgres: Need
) -> Iterator[Need]:
    workers = max(math.ceil(service.amount), WORKERS_MIN)
    yield Need("workers", workers, "", "one a core, and two at least")
    machines = max(math.ceil(workers / load.machine_cores) + 1, MACHINES_MIN)
    told = f"{workers} workers on {load.machine_cores} cores each, and one that may be away"
    yield Need("machines of the service", machines, "", told)
    each = figures.worker_mib.value
    amount = workers * each * MIB / GB
    told = f"{workers} workers x {each:.0f} MiB"
    yield Need("memory of the service", amount, "GB", told, ("worker_mib",))
    yield Need(
        "servers of Postgres",
        1 + STANDBYS,
        "",
        f"a primary (cores: {math.ceil(max(postgres.amount, 1))}), a standby that commits wait "
        "for, and one that is left after a failover",
    )
    away = figures.failover_seconds.value
    yield Need(
        "longest failover",
        away,
        "s",
        "without commits, when the primary is lost with its host",
        ("failover_seconds",),
    )
    yield Need(
        "read replicas",
        0,
        "",
        "the primary answers all reads: they are in its cores above",
    )
    yield _postgres_memory(load, figures)
    pool = settings.pool_size
    yield Need(
        "connections",
        workers * pool * RESTART_FACTOR,
        "",
        f"{workers} workers x BALANCE_POOL_SIZE {pool}, twice that while restarting",
        advice=""
        if workers * pool * RESTART_FACTOR <= 500
        else "Put a pooler in between (docs/operating/running.md, Poolers).",
    )


def _postgres_memory(load: Load, figures: Figures) -> Need:
    """Accounts, and the pages of the index of entries that new entries go to."""
    key, account = figures.entries_key_bytes.value, figures.account_disk_bytes.value
    month = load.daily * DAYS_A_MONTH
    pages = min(month * key, load.accounts * PAGE_BYTES)
    told = (
        f"{month:,.0f} movements a month x {key:.0f} bytes of key, or {PAGE_BYTES} bytes of it an "
        f"account if that is less, + {load.accounts:,} accounts x {account:.0f} bytes + "
        f"{SYSTEM_GB:g} GB (assumed) for itself"
    )
    amount = SYSTEM_GB + (pages + load.accounts * account) / GB
    used = ("entries_key_bytes", "account_disk_bytes")
    return Need("memory of Postgres", amount, "GB each", told, used)


def _disk(load: Load, figures: Figures, settings: Settings) -> Iterator[Need]:
    single, batched = load.movements - load.batched, load.batched
    each, in_batch = figures.transfer_log_bytes.value, figures.batched_log_bytes.value
    item = in_batch + max(each - in_batch, 0) / load.batch_size
    log = ("transfer_log_bytes", "batched_log_bytes")
    told = f"{single:,.0f} a second x {each:,.0f} bytes + {batched:,.0f} in batches x {item:,.0f}"
    yield Need("log (WAL)", (single * each + batched * item) / 10**6, "MB/s", told, log)
    mean = (single * each + batched * item) / load.movements if load.movements else each
    told = f"{load.daily:,.0f} movements a day x {mean:,.0f} bytes x {DAYS_A_MONTH}"
    amount = load.daily * mean * DAYS_A_MONTH / GB
    yield Need("archive of the log", amount, "GB a month", told, log)
    share = figures.transfers_a_flush.value
    told = f"{single:,.0f} a second / {share:.3g} a flush + one a batch of {load.batch_size}"
    flushes = single / share + batched / load.batch_size
    yield Need("flushes of the log", flushes, "a second", told, ("transfers_a_flush",))
    movement = figures.movement_disk_bytes.value
    year = load.daily * DAYS_A_YEAR * movement / GB
    told = f"{load.daily:,.0f} movements a day x {DAYS_A_YEAR} x {movement:.0f} bytes"
    yield Need("disk", year, "GB a year", told, ("movement_disk_bytes",))
    days, event = settings.events_retention_days, figures.event_disk_bytes.value
    account = figures.account_disk_bytes.value
    kept = load.daily * days * event / GB
    told = (
        f"{load.years:g} years of that + {load.accounts:,} accounts x {account:.0f} bytes + "
        f"{days} days of events x {event:.0f} bytes"
    )
    figures_ = ("movement_disk_bytes", "account_disk_bytes", "event_disk_bytes")
    total = load.years * year + load.accounts * account / GB + kept
    yield Need("disk at the end", total, "GB each", told, figures_)


def _hottest(load: Load, figures: Figures, settings: Settings) -> Need:
    """Commits of one account follow each other, and each waits for its standby."""
    rate = load.movements * load.hottest_share
    commit, measured = settings.commit_commands_max, figures.hot_movements_per_second.value
    limit = commit / (commit / measured + load.round_trip_ms / 1000)
    share = rate / limit
    advice = ""
    if share > HOT_SHARE_MAX:
        accounts = math.ceil(rate / (limit * HOT_SHARE_MAX))
        advice = (
            f"One account {'cannot take that' if share > 1 else 'hardly takes that'}, on whatever "
            f"machines: let its owner have {accounts} accounts, choose one of them by a hash of "
            "the payer, and gather what they have by transfers in batches."
        )
    return Need(
        "hottest account",
        share * 100,
        "% of its limit",
        f"{rate:,.0f} a second of {limit:,.0f}: {commit:,} in a commit, one after the other, at "
        f"{measured:,.0f} a second, and {load.round_trip_ms:g} ms to the standby each",
        ("hot_movements_per_second",),
        advice,
    )
