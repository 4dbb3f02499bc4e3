"""What a stream saves: transfers through StreamTransfers beside CreateTransfer, in one run.

Usage: python -m benchmarks streams [--seconds 4] [--rounds 3] [--workers 1] [--in-flight 512]

Both are loaded by the same client library from one process, which is slower than the service; so
what tells is the service's processor time for a movement, not the rate.
"""

import argparse
import asyncio
import random
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc

from balance_client import v1
from balance_client.policy import new_request_id
from balance_service._generated.balance.v1 import transfer_pb2_grpc
from benchmarks import stack

STREAMS = 8


def _transfer(running: stack.Stack) -> v1.CreateTransferRequest:
    sender, receiver = random.sample(running.accounts, 2)
    return v1.CreateTransferRequest(
        from_account=sender,
        to_account=receiver,
        amount="0.01",
        request_id=str(new_request_id()),
    )


async def unary(running: stack.Stack, stub: Any, metadata: Any, options: Any) -> int:
    """Calls in a closed loop; how many were answered."""
    ending = time.monotonic() + options.seconds

    async def one() -> int:
        done = 0
        while time.monotonic() < ending:
            await stub.CreateTransfer(_transfer(running), metadata=metadata)
            done += 1
        return done

    return sum(await asyncio.gather(*[one() for _ in range(options.in_flight)]))


async def streamed(running: stack.Stack, stub: Any, metadata: Any, options: Any) -> int:
    """Streams with as many in flight together; how many were answered."""
    ending = time.monotonic() + options.seconds

    async def one() -> int:
        room = asyncio.Semaphore(options.in_flight // STREAMS)

        async def requests() -> AsyncIterator[v1.CreateTransferRequest]:
            while time.monotonic() < ending:
                await room.acquire()
                yield _transfer(running)

        done = 0
        async for outcome in stub.StreamTransfers(requests(), metadata=metadata):
            assert outcome.HasField("transfer"), outcome
            room.release()
            done += 1
        return done

    return sum(await asyncio.gather(*[one() for _ in range(STREAMS)]))


async def _measure(running: stack.Stack, way: Any, options: Any) -> tuple[float, float]:
    """Movements a second, and microseconds of the service's processor time for each."""
    metadata = (("authorization", f"Bearer {running.token}"),)
    async with grpc.aio.insecure_channel(running.target) as channel:
        stub = transfer_pb2_grpc.TransferServiceStub(channel)
        before, began = running.cpu_seconds()["service"], time.monotonic()
        done = await way(running, stub, metadata, options)
        spent = running.cpu_seconds()["service"] - before
        return done / (time.monotonic() - began), spent / done * 1e6


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--in-flight", type=int, default=512)
    options = parser.parse_args(arguments)
    measured: dict[str, list[tuple[float, float]]] = {}
    with stack.running(options.workers) as running:
        for _ in range(options.rounds):
            for way in (unary, streamed):
                one = asyncio.run(_measure(running, way, options))
                measured.setdefault(way.__name__, []).append(one)
    print(f"{'':<12}{'a second':>10}{'service, us each':>20}")
    for name, found in measured.items():
        rates, costs = zip(*found, strict=True)
        print(f"{name:<12}{statistics.median(rates):>10,.0f}{statistics.median(costs):>20.0f}")
