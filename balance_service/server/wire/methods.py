"""The methods that a gRPC door answers: those of `calls`, and those of gRPC's own library."""

import contextlib
import inspect
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn
from urllib.parse import quote

import grpc
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from balance_service.calls import methods, refusals
from balance_service.calls.call import Metadata
from balance_service.calls.dispatch import Calls, Request
from balance_service.calls.endings import Refused
from balance_service.domain import errors
from balance_service.server.wire import application
from balance_service.server.wire.application import Context, Write
from balance_service.server.wire.frames import Failure

Code = grpc.StatusCode


def map_methods(calls: Calls) -> Mapping[str, application.Method]:
    """The methods that are answered, by path."""
    answered = [
        CallsMethod(calls, methods.Method(descriptor))
        for service in calls.services
        for descriptor in service.methods
    ]
    return {method.path: method for method in answered}


class CallsMethod:
    """A method of the contract. Requests stay bytes; `calls` parses them once the caller is known.

    Args:
        calls: Answers the method.
        method: What the contract says of it.
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
                context.peer,
            )
        except Refused as refused:
            raise _to_failure(refused) from None
        context.trailers = answer.trailers
        return _serialize(answer.message, context.codec)

    async def stream(
        self, request: bytes | AsyncIterator[bytes], context: Context, write: Write
    ) -> None:
        read: Request | AsyncIterator[Request]
        if isinstance(request, bytes):
            read = self._read(request, context.codec)
        else:
            read = self._read_many(request, context.codec)
        answers = self._calls.stream(self._method, read, context.metadata, context.timeout_seconds)
        try:
            async with contextlib.aclosing(answers) as messages:  # type: ignore[type-var]
                async for message in messages:
                    await write(_serialize(message, context.codec))
        except Refused as refused:
            raise _to_failure(refused) from None

    def _read(self, request: bytes, codec: str) -> Request:
        """Decodes a request into what `calls` takes.

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


def _serialize(message: Message, codec: str) -> bytes:
    if codec == "json":
        return json_format.MessageToJson(message, indent=None).encode()
    return message.SerializeToString()


def _to_failure(refused: Refused) -> Failure:
    status = refused.status
    return Failure(status.code, status.message, status.SerializeToString(), refused.trailers)


class LibraryMethods:
    """The methods that libraries add to a server: those of health and reflection.

    It takes the place of a `grpc.aio.Server`, so that both doors serve the same servicers.
    """

    def __init__(self) -> None:
        self._handlers: list[grpc.GenericRpcHandler] = []
        self._methods: dict[str, LibraryMethod] = {}

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """As a `grpc.aio.Server` does."""
        self._handlers.extend(handlers)

    def add_registered_method_handlers(self, *_: object) -> None:
        """Does nothing: the generic handlers name the same methods."""

    def find(self, path: str) -> "LibraryMethod | None":
        """Finds the method of a path."""
        if path not in self._methods:
            for generic in self._handlers:
                handler = generic.service(_Details(path))  # type: ignore[arg-type] # it is only read
                if handler is not None:
                    self._methods[path] = LibraryMethod(handler)
                    break
        return self._methods.get(path)


class _Details(NamedTuple):
    """What a generic handler reads of a call."""

    method: str
    invocation_metadata: Metadata = ()


class LibraryMethod:
    """A method of a servicer that was written for `grpc.aio`.

    Args:
        handler: A `grpc.RpcMethodHandler`, which type checkers would want subscripted.
    """

    def __init__(self, handler: Any) -> None:  # noqa: ANN401 - as said above
        self.requests_many: bool = handler.request_streaming
        self.answers_many: bool = handler.response_streaming
        self._read: Callable[[bytes], Any] = handler.request_deserializer
        self._serialize_answer: Callable[[Any], bytes] = handler.response_serializer
        self._behaviour: Callable[..., Any] = (
            handler.unary_unary
            or handler.unary_stream
            or handler.stream_unary
            or handler.stream_stream
        )

    async def unary(self, request: bytes | AsyncIterator[bytes], context: Context) -> bytes:
        return self._serialize_answer(await self._call(request, context, None))

    async def stream(
        self, request: bytes | AsyncIterator[bytes], context: Context, write: Write
    ) -> None:
        async def write_message(message: object) -> None:
            await write(self._serialize_answer(message))

        answers = await self._call(request, context, write_message)
        # None of a servicer that reads and writes by its context.
        if answers is not None:
            async for message in answers:
                await write_message(message)

    async def _call(
        self,
        request: bytes | AsyncIterator[bytes],
        context: Context,
        write: Callable[[object], Any] | None,
    ) -> Any:  # noqa: ANN401 - a message, or an iterator of them
        if context.codec != "proto":
            raise Failure(Code.UNIMPLEMENTED, "Messages are written as proto.")
        try:
            read = self._read(request) if isinstance(request, bytes) else self._read_many(request)
            answer = self._behaviour(read, _LibraryContext(context, read, write))
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

    def __init__(
        self,
        context: Context,
        requests: Any,  # noqa: ANN401 - a message, or an iterator of them
        write: Callable[[object], Any] | None,
    ) -> None:
        self.write = write
        self._context = context
        self._requests = requests

    async def read(self) -> Any:  # noqa: ANN401 - a message, or `grpc.aio.EOF`
        return await anext(self._requests, grpc.aio.EOF)

    def invocation_metadata(self) -> Metadata:
        return self._context.metadata

    def time_remaining(self) -> float | None:
        return self._context.timeout_seconds

    def set_code(self, code: grpc.StatusCode) -> None:
        """Does nothing: only generated code calls it, before it raises NotImplementedError."""

    def set_details(self, details: str) -> None:
        """Does nothing, as `set_code`."""

    def peer(self) -> str:
        """The caller's address, as gRPC writes it."""
        return f"ip:{quote(f'[{self._context.peer}]')}:0"

    async def abort(
        self,
        code: grpc.StatusCode,
        details: str = "",
        trailing_metadata: Sequence[tuple[str, bytes]] = (),
    ) -> NoReturn:
        status = dict(trailing_metadata).get(refusals.DETAILS_KEY, b"")
        raise Failure(code, details, status)
