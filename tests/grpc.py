"""gRPC in tests: calls without the client library, which see statuses and trailers as sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import status_pb2

from balance_service.gateway.routes import Binding
from tests.http import Answer
from tests.service import Service


@dataclass(frozen=True)
class OverGrpc:
    """An answer, or a refusal, over gRPC."""

    answer: Message | None
    status: status_pb2.Status = field(default_factory=status_pb2.Status)
    trailers: Mapping[str, Any] = field(default_factory=dict)


async def over_grpc(
    service: Service,
    binding: Binding,
    request: Message | bytes,
    token: str,
    language: str = "en",
    timeout_seconds: float | None = None,
) -> OverGrpc:
    """Makes a call without the client library.

    Args:
        service: The service that is called.
        binding: Its method.
        request: What is sent; bytes need not be a message of the method.
        token: The access token; empty for none.
        language: The languages that are preferred, as Accept-Language has them.
        timeout_seconds: The call's deadline; None for none.
    """
    metadata = [("accept-language", language)]
    if token:
        metadata.append(("authorization", f"Bearer {token}"))
    method = binding.method
    kinds: dict[str, Any] = {
        "request_serializer": _to_bytes,
        "response_deserializer": GetMessageClass(method.output).FromString,
    }
    async with grpc.aio.insecure_channel(service.target) as channel:
        try:
            if method.descriptor.server_streaming:
                stream: Any = channel.unary_stream(method.full_name, **kinds)
                return OverGrpc(
                    await anext(aiter(stream(request, metadata=metadata, timeout=timeout_seconds)))
                )
            unary: Any = channel.unary_unary(method.full_name, **kinds)
            call = unary(request, metadata=metadata, timeout=timeout_seconds)
            return OverGrpc(await call, trailers=dict(await call.trailing_metadata()))
        except grpc.aio.AioRpcError as error:
            trailers = dict(error.trailing_metadata())
            status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
            assert (status.code, status.message) == (error.code().value[0], error.details())
            return OverGrpc(None, status, trailers)


def _to_bytes(request: Message | bytes) -> bytes:
    return request if isinstance(request, bytes) else request.SerializeToString()


def assert_same_refusal(refused: OverGrpc, answer: Answer) -> None:
    """A refusal over gRPC and one over HTTP say the same, detail by detail."""
    assert refused.answer is None
    assert answer.status >= 400
    told = json_format.MessageToDict(refused.status, preserving_proto_field_name=True)
    assert (told["code"], told["details"]) == (answer.json["code"], answer.json["details"])
    assert answer.json["message"] == answer.detail("LocalizedMessage")["message"]
