"""A billion accounts on many servers of Postgres, simulated from what was measured of one.

Usage: python -m benchmarks shards [--accounts 1000000000] [--seed 1] [--cores 32]
           [--local-share 0] [--failures 1] [--figures FILE]

Draws transfers between accounts by Zipf's law, places accounts on shards by a hash, and loses each
server now and then for as long as a failover takes. Tells how many shards a rate needs, how uneven
they are, how many servers' time their one coordinator would take, what the busiest account has of
what one can take, and how many transfers wait for a failover. Nothing is measured: it takes
seconds, and its memory does not depend on the accounts.
"""

import argparse
import functools
import hashlib
import math
import random
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from balance_service.operations import figures
from benchmarks.zipf import Zipf

DRAWN = 200_000
SHARDS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
RATES = (10_000, 100_000, 300_000, 1_000_000)
SKEWS = (0.0, 0.8, 1.0)
# What a server may be busy with on average: there are peaks, and a failover leaves a backlog.
BUSY_SHARE_MAX = 0.7
YEAR_SECONDS = 365 * 86_400
# A single year of few servers says little.
YEARS = 200
FAILURES_MAX = 1000


@dataclass(frozen=True)
class World:
    """What is simulated.

    Args:
        accounts: How many there are.
        skew: Zipf's exponent.
        local_share: Of transfers, those between accounts that were placed together; 0 to 1.
        cores: Of a server.
        failures: Of a server in a year.
        known: What a transfer takes.
    """

    accounts: int
    skew: float
    local_share: float
    cores: int
    failures: float
    known: figures.Figures


@dataclass(frozen=True)
class Row:
    """What a rate of transfers needs.

    Args:
        rate: Transfers a second.
        skew: Zipf's exponent.
        shards: Servers that have rows; 0 if there are never enough.
        coordinators: How many servers' time their coordinator's work takes; there is one.
        across_share: Of transfers, those between two shards.
        unevenness: Work of the busiest shard beside the mean.
        hottest_share: Of what one account can take, what the busiest has.
        waiting_share: Of a year's transfers, those that wait for a failover.
        disturbed_seconds: Of a year, in which some server is being replaced.
    """

    rate: int
    skew: float
    shards: int
    coordinators: float
    across_share: float
    unevenness: float
    hottest_share: float
    waiting_share: float
    disturbed_seconds: float


class Transfers:
    """Transfers, by the hashes of their accounts.

    Args:
        world: What they are drawn from.
        rng: Draws them.
        count: How many are drawn.
    """

    def __init__(self, world: World, rng: random.Random, count: int) -> None:
        law = Zipf(world.accounts, world.skew)
        self._from, self._to = array("Q"), array("Q")
        for _ in range(count):
            sender = _place(law.draw(rng))
            is_local = rng.random() < world.local_share
            self._from.append(sender)
            self._to.append(sender if is_local else _place(law.draw(rng)))

    def spread(self, shards: int) -> "Spread":
        """How they fall on shards."""
        work, touched, across = [0.0] * shards, [0] * shards, 0
        for sender, receiver in zip(self._from, self._to, strict=True):
            first, second = sender % shards, receiver % shards
            work[first] += 0.5
            work[second] += 0.5
            touched[first] += 1
            if first != second:
                touched[second] += 1
                across += 1
        count = len(self._from)
        return Spread(
            across / count, [each / count for each in work], [each / count for each in touched]
        )


@dataclass(frozen=True)
class Spread:
    """How transfers fall on shards.

    Args:
        across_share: Those between two shards.
        work: By shard, its share of the work.
        touched: By shard, the share of transfers that need it.
    """

    across_share: float
    work: list[float]
    touched: list[float]


def simulate(world: World, rates: Sequence[int], seed: int, drawn: int = DRAWN) -> Iterator[Row]:
    """What each of some rates needs, in the fewest shards that are enough."""
    transfers = Transfers(world, random.Random(f"{seed} {world.skew}"), drawn)
    spread_on = functools.cache(transfers.spread)
    # Of both sides of a transfer, either may be the busiest account's.
    hottest = 2 * Zipf(world.accounts, world.skew).share(1)
    for rate in rates:
        enough = (
            shards for shards in SHARDS if _busy(world, spread_on(shards), rate) <= BUSY_SHARE_MAX
        )
        shards = next(enough, 0)
        spread = spread_on(shards or SHARDS[-1])
        waiting, disturbed = _lose_shards(world, spread, random.Random(f"{seed} {rate}"))
        limit = world.known.hot_movements_per_second.value
        yield Row(
            rate,
            world.skew,
            shards,
            _coordinators(world, rate) if shards != 1 else 0,
            spread.across_share,
            max(spread.work) * len(spread.work),
            rate * hottest / limit,
            waiting,
            disturbed,
        )


def simulate_all(
    known: figures.Figures,
    accounts: int = 10**9,
    cores: int = 32,
    local_share: float = 0,
    failures: float = 1,
    seed: int = 1,
) -> Iterator[Row]:
    """Every rate at every skew.

    Args:
        known: What a transfer takes.
        accounts: As of a world, and so are the others.
        cores: Of a server.
        local_share: Of transfers, those between accounts that were placed together; 0 to 1.
        failures: Of a server in a year.
        seed: Decides all chance.
    """
    for skew in SKEWS:
        world = World(accounts, skew, local_share, cores, failures, known)
        yield from simulate(world, RATES, seed)


def _busy(world: World, spread: Spread, rate: int) -> float:
    """How busy the busiest shard's processors are."""
    ratio = world.known.sharded_work_ratio.value if len(spread.work) > 1 else 1
    seconds = world.known.transfer_postgres_ms.value / 1000 * ratio
    return rate * max(spread.work) * seconds / world.cores


def _coordinators(world: World, rate: int) -> float:
    """How many servers' time it takes to plan and to commit on the others."""
    ratio = world.known.coordinator_work_ratio.value
    seconds = world.known.transfer_postgres_ms.value / 1000 * ratio
    return rate * seconds / world.cores / BUSY_SHARE_MAX


def _lose_shards(world: World, spread: Spread, rng: random.Random) -> tuple[float, float]:
    """Of a year, the share of transfers that wait, and seconds with a shard away."""
    lasting, end = world.known.failover_seconds.value, YEARS * YEAR_SECONDS
    waiting, lost = 0.0, []
    # A coordinator takes part in every transfer.
    coordinator = [1.0] if len(spread.touched) > 1 else []
    for touched in spread.touched + coordinator:
        moment = _until_failure(world, rng)
        while moment < end:
            waiting += touched * lasting
            lost.append(moment)
            moment += lasting + _until_failure(world, rng)
    disturbed, until = 0.0, 0.0
    for moment in sorted(lost):
        disturbed += moment + lasting - max(moment, until)
        until = moment + lasting
    return waiting / end, disturbed / YEARS


def _until_failure(world: World, rng: random.Random) -> float:
    """Seconds."""
    return rng.expovariate(world.failures / YEAR_SECONDS) if world.failures else math.inf


def _place(rank: int) -> int:
    """Where an account lies: its hash, of which shards take the remainder."""
    return int.from_bytes(hashlib.blake2b(rank.to_bytes(8), digest_size=8).digest())


def write(rows: Sequence[Row]) -> Iterator[str]:
    """The rows as a table of Markdown."""
    yield (
        "| transfers a second | Zipf | shards | coordinators | across shards "
        "| busiest shard beside the mean | busiest account, of its limit "
        "| wait for a failover, of a million | seconds a year with a server away |"
    )
    yield "|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    for row in rows:
        cells = [
            f"{row.rate:,}",
            f"{row.skew:g}",
            str(row.shards) if row.shards else f"more than {SHARDS[-1]}",
            f"{row.coordinators:.1f}" if row.coordinators else "",
            f"{row.across_share:.0%}",
            f"{row.unevenness:.2f}",
            f"{row.hottest_share:.0%}" if row.hottest_share >= 0.005 else "0%",
            f"{row.waiting_share * 1e6:.1f}",
            f"{row.disturbed_seconds:,.0f}",
        ]
        yield f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--accounts", type=int, default=10**9)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cores", type=int, default=32, help="of a server of Postgres")
    parser.add_argument("--local-share", type=float, default=0)
    parser.add_argument("--failures", type=float, default=1, help="of a server, in a year")
    parser.add_argument("--figures", type=Path, default=figures.SHIPPED)
    options = parser.parse_args(arguments)
    if not 0 <= options.local_share <= 1 or not 0 <= options.failures <= FAILURES_MAX:
        parser.error(f"a share is 0 to 1, and failures of a server are 0 to {FAILURES_MAX} a year")
    if options.accounts < 2 or options.cores < 1:
        parser.error("there are two accounts and one core at least")
    rows = simulate_all(
        figures.read(options.figures),
        options.accounts,
        options.cores,
        options.local_share,
        options.failures,
        options.seed,
    )
    print("\n".join(write(list(rows))))
