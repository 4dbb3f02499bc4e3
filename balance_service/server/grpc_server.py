"""The gRPC server: grpc.aio in front of `calls`, with health and reflection."""

import functools
from collections.abc import AsyncIterator, Callable
from typing import Any, NoReturn, TypeAlias

import grpc
from google.protobuf.message import Message
from google.rpc import status_pb2
from grpc_health.v1 import health, health_pb2_grpc

from balance_service.calls.call import Metadata
from balance_service.calls.dispatch import Calls, Request
from balance_service.calls.endings import Refused
from balance_service.calls.methods import Method
from balance_service.calls.refusals import DETAILS_KEY
from balance_service.server.reflection import Reflection
from balance_service.server.strangers import count, read_peer
from balance_service.telemetry import metrics

# As much as an HTTP body may have: a thousand transfers with room for their descriptions.
MESSAGE_BYTES_MAX = 1 << 20
# Above this, a client queues calls itself; without the limit, the server would accept calls and
# then drop them.
STREAMS_MAX = 1000
HANDSHAKE_TIMEOUT_MS = 10_000
# Bytes that a stream may have sent and the service not read; gRPC would let them grow to megabytes.
WINDOW_BYTES = 1 << 18

_CODES = {code.value[0]: code for code in grpc.StatusCode}

# Quoted: the class is generic for type checkers alone, and cannot be subscripted at run time.
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
# A grpc.RpcMethodHandler, which type checkers would want subscripted as well.
Handler: TypeAlias = Any


def build(calls: Calls, health_servicer: health.aio.HealthServicer) -> grpc.aio.Server:
    """Builds a server, to which a port is to be added.

    Args:
        calls: Answers the calls, and names the services.
        health_servicer: Answers whether the service serves.
    """
    server = grpc.aio.server(
        options=[
            ("grpc.so_reuseport", 1),
            ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
            ("grpc.max_concurrent_streams", STREAMS_MAX),
            ("grpc.server_handshake_timeout_ms", HANDSHAKE_TIMEOUT_MS),
            # Probing for bandwidth is what would let a stream's window grow.
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
    add_library_services(calls, health_servicer, server)
    server.add_generic_rpc_handlers((_UnknownMethods(),))
    return server


def add_library_services(
    calls: Calls,
    health_servicer: health.aio.HealthServicer,
    server: Any,  # noqa: ANN401 - two classes without a common base
) -> None:
    """Adds health and reflection to a server.

    Args:
        calls: Names the services that reflection lists.
        health_servicer: Answers whether the service serves.
        server: A `grpc.aio.Server`, or the `wire.methods.LibraryMethods` that takes its place.
    """
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    names = [service.full_name for service in calls.services]
    admit = functools.partial(count, calls)
    Reflection((*names, health.SERVICE_NAME), admit).serve_on(server)


class _UnknownMethods(grpc.GenericRpcHandler):
    """Asked last: what comes here is of nobody's, and is only counted."""

    def service(self, handler_call_details: object) -> None:  # noqa: ARG002 - gRPC names it
        metrics.unknown_method_called()


def _handler(calls: Calls, method: Method) -> Handler:
    """What the server calls for a method.

    Requests come as bytes: they are parsed only once the caller is known.
    """

    async def unary(request: bytes, context: Context) -> Message:
        metadata, seconds = _metadata(context), context.time_remaining()
        try:
            answer = await calls.unary(
                method, request, metadata, seconds, read_peer(context.peer())
            )
        except Refused as refused:
            # `_abort` says why nothing may hold it.
            del request
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
    pairs = context.invocation_metadata() or ()
    return [(key, value) for key, value in pairs if isinstance(value, str)]


async def _abort(context: Context, refused: Refused) -> NoReturn:
    # gRPC keeps the exception that `abort` raises in a cycle with the call, until garbage is
    # collected. Its traceback refers to frames, and those to the request, which may be large.
    refused.__traceback__ = refused.__context__ = None
    status: status_pb2.Status = refused.status
    trailers = (*refused.trailers.items(), (DETAILS_KEY, status.SerializeToString()))
    await context.abort(_CODES[status.code], status.message, trailers)
