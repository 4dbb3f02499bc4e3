"""What the gateway calls: the servicers of its own process, or a gRPC server elsewhere."""

from collections.abc import AsyncIterator
from typing import Protocol

import grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import code_pb2, status_pb2

from balance_service.calls.call import Metadata
from balance_service.calls.dispatch import Answer, Refused
from balance_service.calls.health import channel_serves
from balance_service.calls.methods import Method
from balance_service.domain import errors

DETAILS_KEY = "grpc-status-details-bin"


class Upstream(Protocol):
    """Answers calls."""

    async def admit(self, method: Method, metadata: Metadata) -> None:
        """Judges who calls, before more of a request is read than its head.

        Raises:
            Refused, Refusal: The method needs a token and there is none, or it is no good.
        """

    async def unary(
        self, method: Method, request: Message, metadata: Metadata, timeout_seconds: float | None
    ) -> Answer:
        """Makes a call.

        Raises:
            Refused: It was refused.
        """

    def stream(
        self, method: Method, request: Message, metadata: Metadata
    ) -> AsyncIterator[Message]:
        """Makes a call that answers many messages; raises as `unary`."""

    async def serves(self) -> bool:
        """Whether it can answer."""


class RemoteUpstream:
    """A gRPC server elsewhere.

    Args:
        target: A gRPC target, such as `dns:///balance:50051`.
    """

    def __init__(self, target: str) -> None:
        options = [
            ("grpc.lb_policy_name", "round_robin"),
            ("grpc.keepalive_time_ms", 60_000),
            ("grpc.max_receive_message_length", -1),
        ]
        self._channel = grpc.aio.insecure_channel(target, options)
        self._calls: dict[str, grpc.aio.UnaryUnaryMultiCallable[Message, Message]] = {}

    async def admit(self, method: Method, metadata: Metadata) -> None:
        # Whether the token is good, the server says, which reads it before the message.
        if not method.public and not any(name == "authorization" for name, _ in metadata):
            raise errors.TokenMissing

    async def unary(
        self, method: Method, request: Message, metadata: Metadata, timeout_seconds: float | None
    ) -> Answer:
        call = self._calls.get(method.full_name)
        if call is None:
            call = self._channel.unary_unary(
                method.full_name,
                request_serializer=_serialized,
                response_deserializer=GetMessageClass(method.output).FromString,
            )
            self._calls[method.full_name] = call
        answering = call(request, metadata=metadata, timeout=timeout_seconds)
        try:
            message = await answering
        except grpc.aio.AioRpcError as error:
            raise _refused(error) from None
        return Answer(message, _text(await answering.trailing_metadata()))

    async def stream(
        self, method: Method, request: Message, metadata: Metadata
    ) -> AsyncIterator[Message]:
        call = self._channel.unary_stream(
            method.full_name,
            request_serializer=_serialized,
            response_deserializer=GetMessageClass(method.output).FromString,
        )
        try:
            async for message in call(request, metadata=metadata):
                yield message
        except grpc.aio.AioRpcError as error:
            raise _refused(error) from None

    async def serves(self) -> bool:
        return await channel_serves(self._channel)

    async def close(self) -> None:
        """Closes the connection."""
        await self._channel.close()


def _serialized(message: Message) -> bytes:
    return message.SerializeToString()


def _refused(error: grpc.aio.AioRpcError) -> Refused:
    trailers = error.trailing_metadata()
    for key, value in trailers:
        if key == DETAILS_KEY and isinstance(value, bytes):
            return Refused(status_pb2.Status.FromString(value), _text(trailers))
    # No servicer answered: the connection failed, or the call was not understood at all.
    code = code_pb2.Code.Value(error.code().name)
    message = "The service cannot be reached." if code == code_pb2.UNAVAILABLE else "No answer."
    return Refused(status_pb2.Status(code=code, message=message), _text(trailers))


def _text(metadata: grpc.aio.Metadata) -> dict[str, str]:
    return {key: value for key, value in metadata if isinstance(value, str)}
