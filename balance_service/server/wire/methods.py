"""The methods that a gRPC door answers: those of `calls`, and those of gRPC's own library."""

import contextlib
import inspect
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import grpc
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from balance_service.calls import methods, refusals
from balance_service.calls.call import Metadata
from balance_service.calls.dispatch import Calls, Refused, Request
from balance_service.domain import errors
from balance_service.server.wire import application
from balance_service.server.wire.application import Context, Write
from balance_service.server.wire.frames import Failure

Code = grpc.StatusCode


def of_calls(calls: Calls) -> Mapping[str, application.Method]:
    """A method for each that is answered, by its path."""
    found = [
        CallsMethod(calls, methods.Method(descriptor))
        for service in calls.services
        for descriptor in service.methods
    ]
    return {method.path: method for method in found}


class CallsMethod:
    """A method of the contract. Requests stay bytes, which are read once the caller is known.

    Args:
        calls: What answers.
        method: Which one.
    """

    def __init__(self, calls: Calls, method: methods.Method) -> None:
        self._calls = calls
        self._method = method
        self.path = method.full_name
        self.requests_many = method.descriptor.client_streaming
        self.answers_many = method.descriptor.server_streaming

    async def unary(self, request: bytes, context: Context) -> bytes:
        try:
            answer = await self._calls.unary(
                self._method,
                self._read(request, context.codec),
                context.metadata,
                context.timeout_seconds,
            )
        except Refused as refused:
            raise _failure(refused) from None
        context.trailers = answer.trailers
        return _written(answer.message, context.codec)

    async def stream(
        self, request: bytes | AsyncIterator[bytes], context: Context, write: Write
    ) -> None:
        asked: Request | AsyncIterator[Request]
        if isinstance(request, bytes):
            asked = self._read(request, context.codec)
        else:
            asked = self._read_many(request, context.codec)
        answering = self._calls.stream(
            self._method, asked, context.metadata, context.timeout_seconds
        )
        try:
            async with contextlib.aclosing(answering) as messages:  # type: ignore[type-var]
                async for message in messages:
                    await write(_written(message, context.codec))
        except Refused as refused:
            raise _failure(refused) from None

    def _read(self, request: bytes, codec: str) -> Request:
        """A request as `calls` takes it.

        Raises:
            Failure: It is no message in its codec.
        """
        if codec == "proto":
            return request
        if codec != "json":
            raise Failure(Code.UNIMPLEMENTED, "Messages are written as proto or json.")
        empty: Message = GetMessageClass(self._method.input)()
        try:
            return json_format.Parse(request, empty)
        except (json_format.ParseError, UnicodeDecodeError, RecursionError):
            status = refusals.status(errors.MalformedRequest())
            raise Failure(status.code, status.message, status.SerializeToString()) from None

    async def _read_many(
        self, requests: AsyncIterator[bytes], codec: str
    ) -> AsyncIterator[Request]:
        async for request in requests:
            yield self._read(request, codec)


def _written(message: Message, codec: str) -> bytes:
    if codec == "json":
        return json_format.MessageToJson(message, indent=None).encode()
    return message.SerializeToString()


def _failure(refused: Refused) -> Failure:
    status = refused.status
    return Failure(status.code, status.message, status.SerializeToString(), refused.trailers)


class Registered:
    """What gRPC's generated code adds to a server: health, reflection.

    It takes the place of a `grpc.aio.Server` there, so that both doors serve the same servicers.
    """

    def __init__(self) -> None:
        self._handlers: list[grpc.GenericRpcHandler] = []
        self._found: dict[str, LibraryMethod] = {}

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """As of `grpc.aio.Server`."""
        self._handlers.extend(handlers)

    def add_registered_method_handlers(self, *_: object) -> None:
        """As of `grpc.aio.Server`; the generic handlers tell the same."""

    def find(self, path: str) -> "LibraryMethod | None":
        """The method of a path."""
        if path not in self._found:
            for generic in self._handlers:
                handler = generic.service(_Details(path))  # type: ignore[arg-type] # it is only read
                if handler is not None:
                    self._found[path] = LibraryMethod(handler)
                    break
        return self._found.get(path)


class _Details(NamedTuple):
    """What a generic handler asks."""

    method: str
    invocation_metadata: Metadata = ()


class LibraryMethod:
    """A method of a servicer that was written for `grpc.aio`.

    Args:
        handler: What generated code made of it; its type is generic in its stubs alone.
    """

    def __init__(self, handler: Any) -> None:  # noqa: ANN401 - as said
        self.requests_many: bool = handler.request_streaming
        self.answers_many: bool = handler.response_streaming
        self._read: Callable[[bytes], Any] = handler.request_deserializer
        self._serialize: Callable[[Any], bytes] = handler.response_serializer
        self._behaviour: Callable[..., Any] = (
            handler.unary_unary
            or handler.unary_stream
            or handler.stream_unary
            or handler.stream_stream
        )

    async def unary(self, request: bytes | AsyncIterator[bytes], context: Context) -> bytes:
        told = _LibraryContext(context, None)
        return self._serialize(await self._answered(request, told))

    async def stream(
        self, request: bytes | AsyncIterator[bytes], context: Context, write: Write
    ) -> None:
        async def write_message(message: object) -> None:
            await write(self._serialize(message))

        told = _LibraryContext(context, write_message)
        answering = await self._answered(request, told)
        if answering is not None:
            async for message in answering:
                await write_message(message)

    async def _answered(
        self, request: bytes | AsyncIterator[bytes], context: "_LibraryContext"
    ) -> Any:  # noqa: ANN401 - a message, or an iterator of them
        if context.codec != "proto":
            raise Failure(Code.UNIMPLEMENTED, "Messages are written as proto.")
        try:
            asked = self._read(request) if isinstance(request, bytes) else self._read_many(request)
            answer = self._behaviour(asked, context)
            return await answer if inspect.isawaitable(answer) else answer
        except NotImplementedError:
            raise Failure(Code.UNIMPLEMENTED, "Method not implemented!") from None
        except DecodeError:
            raise Failure(Code.INTERNAL, "Exception deserializing request!") from None

    async def _read_many(self, requests: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        async for request in requests:
            yield self._read(request)


class _LibraryContext:
    """As much of a `grpc.aio.ServicerContext` as these servicers use."""

    def __init__(self, context: Context, write: Callable[[object], Any] | None) -> None:
        self.codec = context.codec
        self.write = write
        self._context = context

    def invocation_metadata(self) -> Metadata:
        return self._context.metadata

    def time_remaining(self) -> float | None:
        return self._context.timeout_seconds

    def set_code(self, code: grpc.StatusCode) -> None:
        """Only generated code says this, before it raises NotImplementedError."""

    def set_details(self, details: str) -> None:
        """As `set_code`."""

    async def abort(self, code: grpc.StatusCode, details: str = "", *_: object) -> NoReturn:
        raise Failure(code, details)
