"""gRPC reflection: describes the service to grpcurl and similar tools, as version 1 and v1alpha.

The library `grpcio-reflection` answers v1alpha only, and does not find methods by name.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
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

# Quoted: the class is generic for type checkers alone, and cannot be subscripted at run time.
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Pool: TypeAlias = descriptor_pool.DescriptorPool
T = TypeVar("T")

ALPHA: Final = "grpc.reflection.v1alpha"
STABLE: Final = "grpc.reflection.v1"
# Longer names are neither looked up nor sent back; none of the service's is near as long.
NAME_LENGTH_MAX = 512
# A stream that asks nothing for this long is ended: it needs no token, so nothing else bounds it.
IDLE_SECONDS = 10.0


def _describe_stable() -> Pool:
    """A pool with the description of version 1: that of v1alpha, under other names."""
    alpha = FileDescriptorProto.FromString(reflection_pb2.DESCRIPTOR.serialized_pb)
    text = text_format.MessageToString(alpha).replace(ALPHA, STABLE)
    stable = text_format.Parse(text, FileDescriptorProto())
    stable.name = "grpc/reflection/v1/reflection.proto"
    pool = Pool()
    pool.Add(stable)
    return pool


_STABLE_POOL = _describe_stable()
_NOT_FOUND = grpc.StatusCode.NOT_FOUND
_INVALID = grpc.StatusCode.INVALID_ARGUMENT


class Reflection:
    """Answers questions about services and the files that describe them.

    Args:
        services: Full names of the services to list; those of reflection itself are added.
        admit: Counts a caller, and ends the call if their network has had too many.
    """

    def __init__(
        self, services: Iterable[str], admit: Callable[[Context], Awaitable[None]]
    ) -> None:
        self._admit = admit
        self._names = sorted(
            {*services, *(f"{version}.ServerReflection" for version in (ALPHA, STABLE))}
        )

    def serve_on(self, server: Any) -> None:  # noqa: ANN401 - see below
        """Adds both versions to a server: their messages are the same on the wire.

        Args:
            server: A `grpc.aio.Server`, or the `wire.methods.LibraryMethods` that takes its place.
        """
        handler = grpc.stream_stream_rpc_method_handler(
            self._stream,
            request_deserializer=_parse,
            response_serializer=ServerReflectionResponse.SerializeToString,
        )
        for version in (ALPHA, STABLE):
            methods = {"ServerReflectionInfo": handler}
            service = grpc.method_handlers_generic_handler(f"{version}.ServerReflection", methods)
            server.add_generic_rpc_handlers((service,))

    async def _stream(self, _: object, context: Context) -> None:
        await self._admit(context)
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
            sent: Names of the files that the stream was sent already, which are not sent as a
                dependency again; this answer's are added.
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
                numbers = _find(lambda pool: _extension_numbers(pool, name))
                answer.all_extension_numbers_response.extension_number.extend(numbers)
            elif kind == "file_containing_extension":
                number = wanted.extension_number
                file = _find(lambda pool: _file_of_extension(pool, name, number))
                _add_files(file, sent, answer)
            elif kind == "file_containing_symbol":
                _add_files(_find(lambda pool: _file_of_symbol(pool, name)), sent, answer)
            elif kind == "file_by_filename":
                _add_files(_find(lambda pool: pool.FindFileByName(name)), sent, answer)
            else:
                return _error(_INVALID, "nothing is asked for", request)
        except KeyError:
            return _error(_NOT_FOUND, f"{name} is not known", request)
        return answer


def _parse(message: bytes) -> ServerReflectionRequest | None:
    try:
        return ServerReflectionRequest.FromString(message)
    except DecodeError:
        return None


def _error(
    code: grpc.StatusCode, message: str, request: ServerReflectionRequest | None = None
) -> ServerReflectionResponse:
    error = reflection_pb2.ErrorResponse(error_code=code.value[0], error_message=message)
    return ServerReflectionResponse(original_request=request, error_response=error)


def _add_files(file: FileDescriptor, sent: set[str], answer: ServerReflectionResponse) -> None:
    """Adds a file to an answer, and those of its dependencies that the stream was not sent yet.

    What was asked for is always sent, and comes first; every file comes before those it needs.
    """
    sent.discard(file.name)
    found: list[bytes] = []
    _collect(file, sent, found)
    answer.file_descriptor_response.file_descriptor_proto.extend(reversed(found))


def _collect(file: FileDescriptor, sent: set[str], found: list[bytes]) -> None:
    """Finds a file after those that it needs."""
    if file.name not in sent:
        sent.add(file.name)
        for needed in file.dependencies:
            _collect(needed, sent, found)
        found.append(file.serialized_pb)


def _find(look_up: Callable[[Pool], T]) -> T:
    """Looks in the pool of everything the program has loaded, then in that of version 1.

    Raises:
        KeyError: It is in neither.
    """
    try:
        return look_up(descriptor_pool.Default())
    except KeyError:
        return look_up(_STABLE_POOL)


def _file_of_symbol(pool: Pool, name: str) -> FileDescriptor:
    """The file that has a message, field, enum, enum value, extension, service or method."""
    with contextlib.suppress(KeyError):
        return pool.FindFileContainingSymbol(name)
    with contextlib.suppress(KeyError):
        return pool.FindMethodByName(name).containing_service.file
    # A value's name stands beside its enum's, not within it; some tools ask as if it were within.
    parent, _, value = name.rpartition(".")
    enum = pool.FindEnumTypeByName(parent)
    return enum.values_by_name[value].type.file


def _file_of_extension(pool: Pool, name: str, number: int) -> FileDescriptor:
    extension = pool.FindExtensionByNumber(pool.FindMessageTypeByName(name), number)
    return pool.FindFileContainingSymbol(extension.full_name)


def _extension_numbers(pool: Pool, name: str) -> list[int]:
    extensions = pool.FindAllExtensions(pool.FindMessageTypeByName(name))
    return sorted(extension.number for extension in extensions)
