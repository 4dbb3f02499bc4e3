"""Asks over gRPC whether a service serves."""

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

TIMEOUT_SECONDS = 2.0


async def channel_serves(channel: grpc.aio.Channel) -> bool:
    """Whether the service behind a channel says within `TIMEOUT_SECONDS` that it serves."""
    stub = health_pb2_grpc.HealthStub(channel)
    request = health_pb2.HealthCheckRequest()
    try:
        answer = await stub.Check(request, timeout=TIMEOUT_SECONDS)  # type: ignore[attr-defined]
    except grpc.aio.AioRpcError:
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
