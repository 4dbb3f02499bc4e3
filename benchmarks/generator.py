"""A load in a process of its own, so that it takes no processor time of what starts it."""

import multiprocessing
import os
import random
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from benchmarks import http1, http2
from benchmarks.workloads import FLOODS, WORKLOADS

CONNECTIONS = 16
GRACE_SECONDS = 60


@dataclass(frozen=True)
class Job:
    """What to ask of whom.

    Args:
        name: The workload's.
        target: Host and port of the service.
        token: Sent with every call.
        accounts: That calls are about.
        service: A catalogue service's id.
        seconds: How long.
        in_flight: Calls kept under way.
        rate: Calls a second (open loop, gRPC only), or 0.
        source: The address to call from (gRPC only); empty for any.
        is_elsewhere: Whether it stands for another machine, and has of this one what nobody wants.
    """

    name: str
    target: str
    token: str
    accounts: list[str]
    service: str
    seconds: float
    in_flight: int
    rate: float
    source: str = ""
    is_elsewhere: bool = False


def run(job: Job) -> tuple[http2.Measured, float]:
    """What a load was answered, and the processor seconds it took.

    Raises:
        BrokenProcessPool: It died.
        TimeoutError: It did not end in time.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_load, job).result(job.seconds + GRACE_SECONDS)


def _load(job: Job) -> tuple[http2.Measured, float]:
    if job.is_elsewhere:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    workload = FLOODS.get(job.name) or WORKLOADS[job.name]
    calls = workload.calls(job.accounts, job.service, random.Random(time.time_ns()))
    protocol = workload.protocol
    before = sum(os.times()[:2])
    if protocol == "grpc":
        measured = http2.load(
            job.target,
            job.token,
            calls,
            seconds=job.seconds,
            in_flight=job.in_flight,
            connections=CONNECTIONS,
            rate=job.rate,
            source=job.source,
        )
    else:
        measured = http1.load(
            job.target,
            job.token,
            calls,
            protocol,
            seconds=job.seconds,
            in_flight=job.in_flight,
        )
    return measured, sum(os.times()[:2]) - before
