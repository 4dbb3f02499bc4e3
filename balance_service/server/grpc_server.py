"""The gRPC server: grpc.aio in front of `calls`, with health and reflection."""

from collections.abc import AsyncIterator, Callable
from typing import Any, NoReturn, TypeAlias

import grpc
from google.protobuf.message import Message
from google.rpc import status_pb2
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from balance_service.calls.call import Metadata
from balance_service.calls.dispatch import Calls, Refused, Request
from balance_service.calls.methods import Method

DETAILS_KEY = "grpc-status-details-bin"
# As much as a body over HTTP: a full batch with room for descriptions.
MESSAGE_BYTES_MAX = 1 << 20
# Above this, a client queues calls itself; without it, the server would accept calls and drop them.
STREAMS_MAX = 1000
HANDSHAKE_TIMEOUT_MS = 10_000
# What a stream may have sent that was not read yet; gRPC would let it grow to megabytes.
WINDOW_BYTES = 1 << 18

_CODES = {code.value[0]: code for code in grpc.StatusCode}

# Quoted: the class is generic in its stubs alone.
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
# What grpc's own functions make; generic in its stubs alone, too.
Handler: TypeAlias = Any


def build(calls: Calls, checks: health.aio.HealthServicer) -> grpc.aio.Server:
    """A server without a port.

    Args:
        calls: What answers.
        checks: The health service.
    """
    server = grpc.aio.server(
        options=[
            ("grpc.so_reuseport", 1),
            ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
            ("grpc.max_concurrent_streams", STREAMS_MAX),
            ("grpc.server_handshake_timeout_ms", HANDSHAKE_TIMEOUT_MS),
            ("grpc.http2.bdp_probe", 0),
            ("grpc.http2.lookahead_bytes", WINDOW_BYTES),
            ("grpc.keepalive_time_ms", 60_000),
            ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
            ("grpc.keepalive_permit_without_calls", 1),
        ],
    )
    for service in calls.services:
        handlers = {
            descriptor.name: _handler(calls, Method(descriptor)) for descriptor in service.methods
        }
        generic = grpc.method_handlers_generic_handler(service.full_name, handlers)
        server.add_generic_rpc_handlers((generic,))
    add_library_services(calls, checks, server)
    return server


def add_library_services(
    calls: Calls,
    checks: health.aio.HealthServicer,
    server: Any,  # noqa: ANN401 - said below
) -> None:
    """Adds health and reflection to a `grpc.aio.Server`, or to what takes its place."""
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    names = [service.full_name for service in calls.services]
    reflecting = reflection.aio.ReflectionServicer(
        (*names, health.SERVICE_NAME, reflection.SERVICE_NAME)
    )
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(reflecting, server)  # type: ignore[no-untyped-call]


def _handler(calls: Calls, method: Method) -> Handler:
    """What the server calls; requests come as bytes, which are read once the caller is known."""

    async def unary(request: bytes, context: Context) -> Message:
        metadata, seconds = _metadata(context), context.time_remaining()
        try:
            answer = await calls.unary(method, request, metadata, seconds)
        except Refused as refused:
            del request  # As `_abort` says.
            await _abort(context, refused)
        context.set_trailing_metadata(tuple(answer.trailers.items()))
        return answer.message

    async def stream(
        request: Request | AsyncIterator[Request], context: Context
    ) -> AsyncIterator[Message]:
        metadata, seconds = _metadata(context), context.time_remaining()
        try:
            async for message in calls.stream(method, request, metadata, seconds):
                yield message
        except Refused as refused:
            await _abort(context, refused)

    make: Callable[..., Handler] = grpc.unary_unary_rpc_method_handler
    if method.descriptor.server_streaming:
        make = (
            grpc.stream_stream_rpc_method_handler
            if method.descriptor.client_streaming
            else grpc.unary_stream_rpc_method_handler
        )
    return make(
        stream if method.descriptor.server_streaming else unary, response_serializer=_serialize
    )


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()


def _metadata(context: Context) -> Metadata:
    found = context.invocation_metadata() or ()
    return [(key, value) for key, value in found if isinstance(value, str)]


async def _abort(context: Context, refused: Refused) -> NoReturn:
    # gRPC keeps what `abort` raises in a cycle with the call, until garbage is collected: a large
    # request must not hang on it by the frames that it passed.
    refused.__traceback__ = refused.__context__ = None
    answer: status_pb2.Status = refused.status
    trailers = (*refused.trailers.items(), (DETAILS_KEY, answer.SerializeToString()))
    await context.abort(_CODES[answer.code], answer.message, trailers)
