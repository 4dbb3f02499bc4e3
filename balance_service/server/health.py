"""Asks a service whether it serves. Container health checks run this every few seconds."""

import contextlib

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

TIMEOUT_SECONDS = 2


async def serves(target: str) -> bool:
    """Whether the service at a target says that it serves."""
    async with grpc.aio.insecure_channel(target) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        with contextlib.suppress(grpc.aio.AioRpcError):
            request = health_pb2.HealthCheckRequest()
            answer = await stub.Check(request, timeout=TIMEOUT_SECONDS)  # type: ignore[attr-defined]
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
    return False
