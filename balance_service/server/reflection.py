"""Reflection: what the service offers, told to grpcurl and its like, as version 1 and its alpha.

The library that answers reflection knows the alpha only, and finds no methods by their names.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias, TypeVar

import grpc
from google.protobuf import descriptor_pool, text_format
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection_pb2 import (
    ServerReflectionRequest,
    ServerReflectionResponse,
)

# Quoted: the class is generic in its stubs alone.
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Pool: TypeAlias = descriptor_pool.DescriptorPool
T = TypeVar("T")

ALPHA: Final = "grpc.reflection.v1alpha"
STABLE: Final = "grpc.reflection.v1"
# No name of ours is near as long; what is longer is not looked up, nor sent back.
NAME_LENGTH_MAX = 512
# A stream that asks nothing for that long is ended: nothing else bounds it, as it needs no token.
IDLE_SECONDS = 10.0


def _described() -> Pool:
    """What describes version 1: the alpha's file, under other names."""
    alpha = FileDescriptorProto.FromString(reflection_pb2.DESCRIPTOR.serialized_pb)
    text = text_format.MessageToString(alpha).replace(ALPHA, STABLE)
    stable = text_format.Parse(text, FileDescriptorProto())
    stable.name = "grpc/reflection/v1/reflection.proto"
    pool = Pool()
    pool.Add(stable)
    return pool


_STABLE_POOL = _described()
_NOT_FOUND = grpc.StatusCode.NOT_FOUND
_INVALID = grpc.StatusCode.INVALID_ARGUMENT


class Reflection:
    """Answers questions about services and the files that describe them.

    Args:
        services: The services' full names; those of reflection itself are added.
    """

    def __init__(self, services: Iterable[str]) -> None:
        self._names = sorted(
            {*services, *(f"{version}.ServerReflection" for version in (ALPHA, STABLE))}
        )

    def serve_on(self, server: grpc.aio.Server) -> None:
        """Has a gRPC server answer both versions, whose messages are the same."""
        handler = grpc.stream_stream_rpc_method_handler(
            self._stream,
            request_deserializer=_read,
            response_serializer=ServerReflectionResponse.SerializeToString,
        )
        for version in (ALPHA, STABLE):
            methods = {"ServerReflectionInfo": handler}
            service = grpc.method_handlers_generic_handler(f"{version}.ServerReflection", methods)
            server.add_generic_rpc_handlers((service,))

    async def _stream(self, _: object, context: Context) -> None:
        sent: set[str] = set()
        while True:
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    request = await context.read()
            except TimeoutError:
                return
            if request is grpc.aio.EOF:
                return
            if request is None:
                await context.abort(_INVALID, "not a request of reflection")
            await context.write(self.answer(request, sent))

    def answer(self, request: ServerReflectionRequest, sent: set[str]) -> ServerReflectionResponse:
        """Answers one question.

        Args:
            request: The question.
            sent: The files that the stream has told already, which are not told as another's
                dependencies again; this answer's are added.
        """
        kind = request.WhichOneof("message_request")
        wanted = request.file_containing_extension
        name = wanted.containing_type or (getattr(request, kind) if kind else "")
        if len(name) + len(request.host) > NAME_LENGTH_MAX:
            return _error(_INVALID, "the name is too long")
        answer = ServerReflectionResponse(valid_host=request.host, original_request=request)
        try:
            if kind == "list_services":
                for service in self._names:
                    answer.list_services_response.service.add(name=service)
            elif kind == "all_extension_numbers_of_type":
                answer.all_extension_numbers_response.base_type_name = name
                numbers = _known(lambda pool: _extension_numbers(pool, name))
                answer.all_extension_numbers_response.extension_number.extend(numbers)
            elif kind == "file_containing_extension":
                number = wanted.extension_number
                file = _known(lambda pool: _file_of_extension(pool, name, number))
                _tell(file, sent, answer)
            elif kind == "file_containing_symbol":
                _tell(_known(lambda pool: _file_of_symbol(pool, name)), sent, answer)
            elif kind == "file_by_filename":
                _tell(_known(lambda pool: pool.FindFileByName(name)), sent, answer)
            else:
                return _error(_INVALID, "nothing is asked for", request)
        except KeyError:
            return _error(_NOT_FOUND, f"{name} is not known", request)
        return answer


def _read(message: bytes) -> ServerReflectionRequest | None:
    try:
        return ServerReflectionRequest.FromString(message)
    except DecodeError:
        return None


def _error(
    code: grpc.StatusCode, message: str, request: ServerReflectionRequest | None = None
) -> ServerReflectionResponse:
    error = reflection_pb2.ErrorResponse(error_code=code.value[0], error_message=message)
    return ServerReflectionResponse(original_request=request, error_response=error)


def _tell(file: FileDescriptor, sent: set[str], answer: ServerReflectionResponse) -> None:
    """Adds a file, and those that it needs and the stream has not told yet."""
    # The file itself comes always, and first.
    sent.discard(file.name)
    told = answer.file_descriptor_response.file_descriptor_proto
    waiting = [file]
    while waiting:
        current = waiting.pop(0)
        if current.name not in sent:
            sent.add(current.name)
            told.append(current.serialized_pb)
            waiting += current.dependencies


def _known(find: Callable[[Pool], T]) -> T:
    """What is found among all that the program knows, or in what describes version 1."""
    try:
        return find(descriptor_pool.Default())
    except KeyError:
        return find(_STABLE_POOL)


def _file_of_symbol(pool: Pool, name: str) -> FileDescriptor:
    """The file of a message, field, enum, value, extension or service, or of a service's method."""
    with contextlib.suppress(KeyError):
        return pool.FindFileContainingSymbol(name)
    with contextlib.suppress(KeyError):
        return pool.FindMethodByName(name).containing_service.file
    # A value belongs to what its enum is in; some ask for it as if it were within the enum.
    parent, _, value = name.rpartition(".")
    enum = pool.FindEnumTypeByName(parent)
    return enum.values_by_name[value].type.file


def _file_of_extension(pool: Pool, name: str, number: int) -> FileDescriptor:
    extension = pool.FindExtensionByNumber(pool.FindMessageTypeByName(name), number)
    return pool.FindFileContainingSymbol(extension.full_name)


def _extension_numbers(pool: Pool, name: str) -> list[int]:
    extensions = pool.FindAllExtensions(pool.FindMessageTypeByName(name))
    return sorted(extension.number for extension in extensions)
