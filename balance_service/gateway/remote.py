"""The upstream of a gateway alone: a gRPC server elsewhere, over a channel."""

from collections.abc import AsyncIterator

import grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import code_pb2, status_pb2

from balance_service.calls import channels
from balance_service.calls.call import Metadata
from balance_service.calls.dispatch import Answer
from balance_service.calls.endings import Refused
from balance_service.calls.health import channel_serves
from balance_service.calls.methods import Method
from balance_service.calls.refusals import DETAILS_KEY
from balance_service.calls.strangers import Strangers
from balance_service.config import Settings
from balance_service.domain import errors
from balance_service.domain.networks import parse_networks

KEEPALIVE_MILLISECONDS = 60_000


class RemoteUpstream:
    """A gRPC server elsewhere, as an Upstream.

    Args:
        settings: Say whether it is called by TLS, whom to trust and what to show.
        target: A gRPC target, such as `dns:///balance:50051`.

    Raises:
        ValueError: The certificates cannot be used.
    """

    def __init__(self, settings: Settings, target: str) -> None:
        options = [
            ("grpc.lb_policy_name", "round_robin"),
            ("grpc.keepalive_time_ms", KEEPALIVE_MILLISECONDS),
            # The server bounds its answers; gRPC's own 4 MiB would fail a call that it answered.
            ("grpc.max_receive_message_length", -1),
        ]
        proxies = parse_networks(settings.trusted_proxies)
        self._strangers = Strangers(settings.network_calls_per_second, proxies)
        self._channel = channels.open_channel(settings, target, options)
        self._callables: dict[str, grpc.aio.UnaryUnaryMultiCallable[Message, Message]] = {}

    async def admit(self, method: Method, metadata: Metadata) -> None:
        # Only that there is a token: to ask the server whether it is valid would cost each request
        # another round trip, and the server verifies it before it reads the message.
        if not method.public and not any(name == "authorization" for name, _ in metadata):
            raise errors.TokenMissing

    async def unary(
        self,
        method: Method,
        request: Message,
        metadata: Metadata,
        timeout_seconds: float | None,
        peer: str = "",
    ) -> Answer:
        make_call = self._callables.get(method.full_name)
        if make_call is None:
            make_call = self._channel.unary_unary(
                method.full_name,
                request_serializer=_serialize,
                response_deserializer=GetMessageClass(method.output).FromString,
            )
            self._callables[method.full_name] = make_call
        grpc_call = make_call(request, metadata=_forwarded(metadata, peer), timeout=timeout_seconds)
        try:
            message = await grpc_call
        except grpc.aio.AioRpcError as error:
            raise _to_refused(error) from None
        return Answer(message, _text_values(await grpc_call.trailing_metadata()))

    async def stream(
        self, method: Method, request: Message, metadata: Metadata
    ) -> AsyncIterator[Message]:
        make_call = self._channel.unary_stream(
            method.full_name,
            request_serializer=_serialize,
            response_deserializer=GetMessageClass(method.output).FromString,
        )
        try:
            async for message in make_call(request, metadata=metadata):
                yield message
        except grpc.aio.AioRpcError as error:
            raise _to_refused(error) from None

    def count_stranger(self, peer: str, forwarded_for: str, purpose: str = "") -> None:
        self._strangers.count(peer, forwarded_for, purpose)

    async def serves(self) -> bool:
        return await channel_serves(self._channel)

    async def close(self) -> None:
        """Closes the channel."""
        await self._channel.close()


def _forwarded(metadata: Metadata, peer: str) -> Metadata:
    """The metadata with the caller's address, which servers believe whose proxy this gateway is.

    One entry, for gRPC's server shows the last of several alone.
    """
    hops = [value for name, value in metadata if name == "x-forwarded-for"]
    rest = [(name, value) for name, value in metadata if name != "x-forwarded-for"]
    return [*rest, ("x-forwarded-for", ", ".join([*hops, peer]))]


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()


def _to_refused(error: grpc.aio.AioRpcError) -> Refused:
    trailers = error.trailing_metadata()
    for key, value in trailers:
        if key == DETAILS_KEY and isinstance(value, bytes):
            return Refused(status_pb2.Status.FromString(value), _text_values(trailers))
    # No servicer answered: the connection failed, or the server does not know the method.
    code = code_pb2.Code.Value(error.code().name)
    message = "The service cannot be reached." if code == code_pb2.UNAVAILABLE else "No answer."
    return Refused(status_pb2.Status(code=code, message=message), _text_values(trailers))


def _text_values(metadata: grpc.aio.Metadata) -> dict[str, str]:
    """The entries that HTTP headers can carry; those with bytes are gRPC's own."""
    return {key: value for key, value in metadata if isinstance(value, str)}
