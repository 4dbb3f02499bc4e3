"""Ways to lose the leader of a cluster that Patroni keeps, and what is seen meanwhile."""

import asyncio
import contextlib
import itertools
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import psycopg

from rehearsals import history
from rehearsals.cluster import TTL_SECONDS, Cluster, Node, commits

SECONDS_MAX = 120
# What a loss may take: the old leader's lease, and twice that for a busy machine to promote.
WITHOUT_COMMITS_SECONDS_MAX = 3 * TTL_SECONDS
BEYOND_SECONDS_MAX = 10


@dataclass
class World:
    """What is lost, and who looks on.

    Args:
        cluster: The servers.
        clients: Who moves money meanwhile.
        anomalies: What was acknowledged that must not be.
    """

    cluster: Cluster
    clients: list[history.Client]
    anomalies: list[str]

    def judge(self, gap: "Gap") -> None:
        """Notes a time without commits that is too long."""
        if gap.seconds > WITHOUT_COMMITS_SECONDS_MAX or gap.beyond_seconds > BEYOND_SECONDS_MAX:
            self.anomalies.append(f"{gap.way}: that is too long")


@dataclass(frozen=True)
class Gap:
    """A time without commits.

    Args:
        way: How the leader was lost.
        seconds: From the last acknowledgement by the old leader to the first by the new one.
        beyond_seconds: How much later that was than the first commit that the new leader took
            directly.
        taken_over: When that was (the loop's time).
        fenced: Says when an old leader that was alive gave up its place, and when another had it.
    """

    way: str
    seconds: float
    beyond_seconds: float
    taken_over: float
    fenced: str = ""

    def told(self) -> str:
        return (
            f"{self.way:<18}{self.seconds:>6.2f} s without commits, of these"
            f" {self.beyond_seconds:.2f} s beyond the cluster's own{self.fenced}"
        )


@dataclass
class Watch:
    """What an old leader did once it was lost.

    Args:
        acknowledged: When it acknowledged commits (the loop's time).
        gave_up: When it refused them, or went down.
    """

    acknowledged: list[float] = field(default_factory=list)
    gave_up: float = 0


async def host_lost(world: World, leader: Node) -> Gap:
    """Kill -9 of Postgres and Patroni, and every connection reset."""
    leader.service.refusing = True
    leader.service.cut()
    leader.vanish()
    gap = await _wait_for_commits(world, "host lost", leader)
    leader.service.refusing = False
    leader.start()
    return gap


async def postgres_killed(world: World, leader: Node) -> Gap:
    """Kill -9 of Postgres alone, which Patroni starts again or replaces."""
    leader.send_postgres(signal.SIGKILL)
    return await _wait_for_commits(world, "postgres killed", None)


async def frozen(world: World, leader: Node) -> Gap:
    """Postgres and Patroni stand still, and go on when another server has taken over."""
    leader.send(signal.SIGSTOP)
    gap = await _wait_for_commits(world, "frozen", leader)
    leader.send(signal.SIGCONT)
    expect_nothing(world, leader, await _watch(leader), 0)
    return gap


async def cut_off(world: World, leader: Node) -> Gap:
    """The leader loses etcd and the other servers; the service still reaches it."""
    leader.cut_off()
    return await _lose_alive(world, "cut off", leader, since=0)


async def lease_lost(world: World, leader: Node) -> Gap:
    """The leader loses etcd alone: its standby follows it still, and the service reaches it."""
    leader.etcd.stand_still()
    return await _lose_alive(world, "lease lost", leader, since=None)


async def _lose_alive(world: World, way: str, leader: Node, since: float | None) -> Gap:
    """Waits until an old leader that is alive gives up its place, and another has it.

    Args:
        world: What is lost, and who looks on.
        way: How it is lost, just now.
        leader: The old leader.
        since: From when it may acknowledge nothing (the loop's time); None for as soon as another
            has its place.
    """
    began = asyncio.get_running_loop().time()
    watching = asyncio.create_task(_watch(leader))
    gap = await _wait_for_commits(world, way, leader)
    watch = await watching
    expect_nothing(world, leader, watch, gap.taken_over if since is None else since)
    if watch.gave_up > gap.taken_over:
        world.anomalies.append(f"{leader.name} gave up its place after another had it")
    leader.join()
    fenced = (
        f"; the old leader gave up after {watch.gave_up - began:.2f} s, and another took over after"
        f" {gap.taken_over - began:.2f} s"
    )
    return replace(gap, fenced=fenced)


async def switched_over(world: World, leader: Node) -> Gap:
    """The leader hands over to its standby, as for maintenance."""
    ask = asyncio.create_task(asyncio.to_thread(leader.ask, "/switchover", {"leader": leader.name}))
    gap = await _wait_for_commits(world, "switched over", leader)
    await ask
    return gap


WAYS: dict[str, Callable[[World, Node], Awaitable[Gap]]] = {
    "switched over": switched_over,
    "postgres killed": postgres_killed,
    "host lost": host_lost,
    "frozen": frozen,
    "cut off": cut_off,
    "lease lost": lease_lost,
}


async def _wait_for_commits(world: World, way: str, lost: Node | None) -> Gap:
    """Waits until the cluster, and the service, commit again.

    Args:
        world: What is lost, and who looks on.
        way: How it is lost, just now.
        lost: The node that must not be the one; None if it may.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    nodes = [node for node in world.cluster.nodes if node is not lost]
    probes = [asyncio.create_task(_first_commit(node)) for node in nodes]
    async with asyncio.timeout(SECONDS_MAX):
        await asyncio.wait(probes, return_when=asyncio.FIRST_COMPLETED)
        back = loop.time()
        for probe in probes:
            probe.cancel()
        while (times := _acknowledged(world.clients, began - 1))[-1] < back:
            await asyncio.sleep(0.02)
    last, first = max(itertools.pairwise(times), key=lambda pair: pair[1] - pair[0])
    return Gap(way, first - last, max(first - back, 0), back)


async def _first_commit(node: Node) -> None:
    """Returns once a node takes a commit and its standby has it."""
    while True:
        with contextlib.suppress(psycopg.Error):
            if await commits(node):
                return
        await asyncio.sleep(0.05)


def _acknowledged(clients: list[history.Client], since: float) -> list[float]:
    """When movements were acknowledged since then, in order; the first is that time itself."""
    times = (
        operation.returned
        for client in clients
        for operation in client.operations
        if operation.outcome == "ok" and not operation.is_read
    )
    return [since, *sorted(time for time in times if time > since)]


async def _watch(old: Node) -> Watch:
    """Sends commits to an old leader until it refuses them or goes down."""
    watch, now = Watch(), asyncio.get_running_loop().time
    async with asyncio.timeout(SECONDS_MAX):
        while True:
            try:
                if await commits(old):
                    watch.acknowledged.append(now())
            except psycopg.errors.ConnectionTimeout:
                continue  # A busy machine, and no answer.
            except psycopg.Error:
                watch.gave_up = now()
                return watch
            await asyncio.sleep(0.05)


def expect_nothing(world: World, old: Node, watch: Watch, since: float) -> None:
    """Notes every commit that an old leader acknowledged since some time."""
    for moment in watch.acknowledged:
        if moment > since:
            world.anomalies.append(f"{old.name} acknowledged a commit after it was lost")
