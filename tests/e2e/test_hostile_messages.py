"""Messages over gRPC that nobody means well: no fault of ours, and small answers."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2

from balance_client import v1
from tests.contract import METHODS
from tests.service import Person, Service

TEXTS = ("\0", "a\0b", "\ud7ff\ufffe", "' OR 1=1 --", "%" * 50, "{missing}", "٥", "x" * 900_000)
NUMBERS = (-1, -(1 << 31), (1 << 31) - 1)
# What most clients take in trailers.
TRAILERS_BYTES_MAX = 8192


def hostile(descriptor: Descriptor) -> Iterator[Message]:
    """Messages with one hostile value each, wherever one fits."""
    kind = GetMessageClass(descriptor)
    for field in descriptor.fields:
        inner = field.message_type
        if inner is not None and inner.GetOptions().map_entry:
            for text in TEXTS:
                yield kind(**{field.name: {text: "x"}})
                yield kind(**{field.name: {"k": text}})
            yield kind(**{field.name: {f"k{n}": "" for n in range(20_000)}})
        elif inner is not None and inner.full_name == "google.protobuf.FieldMask":
            yield kind(**{field.name: {"paths": [f"p{n}" for n in range(50_000)]}})
            yield kind(**{field.name: {"paths": ["x" * 900_000, "*"]}})
        elif inner is not None and inner.full_name == "google.protobuf.Timestamp":
            yield kind(**{field.name: {"seconds": 1 << 62, "nanos": -1}})
            yield kind(**{field.name: {"seconds": -62_135_596_800}})
        elif inner is not None:
            many = list(hostile(inner))
            yield from (kind(**{field.name: [m] if field.is_repeated else m}) for m in many)
        elif field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
            yield from (kind(**{field.name: text}) for text in TEXTS)
        elif field.cpp_type in (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_ENUM):
            yield from (kind(**{field.name: number}) for number in NUMBERS)


async def answer(call: Any, request: bytes, token: str) -> grpc.aio.AioRpcError | None:
    try:
        answering = call(request, metadata=[("authorization", f"Bearer {token}")], timeout=20)
        if hasattr(answering, "__aiter__"):
            async for _ in answering:
                break
        else:
            await answering
    except grpc.aio.AioRpcError as error:
        return error
    return None


@pytest.fixture
async def admin(service: Service) -> Person:
    found = await service.admin()
    await found.open()
    return found


async def test_no_value_is_a_fault_and_no_refusal_is_large(service: Service, admin: Person) -> None:
    tried = 0
    async with grpc.aio.insecure_channel(service.target) as channel:
        for method in METHODS:
            if method.descriptor.client_streaming:
                continue
            streams = method.descriptor.server_streaming
            kind: Any = channel.unary_stream if streams else channel.unary_unary
            call = kind(method.full_name)
            for message in hostile(method.input):
                request = message.SerializeToString()
                error = await answer(call, request, admin.token.token)
                if error is None:
                    continue
                tried += 1
                assert error.code() not in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN), (
                    method.full_name,
                    str(message)[:200],
                )
                trailers = error.trailing_metadata()
                size = sum(len(key) + len(value) * 4 // 3 for key, value in trailers)
                assert size + 3 * len(error.details() or "") < TRAILERS_BYTES_MAX
    assert tried > 500


async def test_batch_tells_each_refusal_shortly(admin: Person) -> None:
    item = v1.CreateTransferRequest(
        from_account="x" * 100, to_account="y", amount="z", currency="q", request_id="r" * 300
    )
    request = v1.BatchCreateTransfersRequest(requests=[item] * 1000)
    found = await admin.client.transfers.BatchCreateTransfers(request)
    assert len(found.outcomes) == 1000
    status: status_pb2.Status = found.outcomes[0].error
    bad = error_details_pb2.BadRequest()
    assert status.details[1].Unpack(bad)
    assert len(bad.field_violations) == 5
    assert len(status.SerializeToString()) < 1500


async def test_compressed_message_is_not_inflated_beyond_its_bound(
    service: Service, admin: Person
) -> None:
    async with grpc.aio.insecure_channel(service.target) as channel:
        call: Any = channel.unary_unary("/balance.v1.DepositService/CreateDeposit")
        message = v1.CreateDepositRequest(description="x" * 50_000_000).SerializeToString()
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call(
                message,
                metadata=[("authorization", f"Bearer {admin.token.token}")],
                compression=grpc.Compression.Gzip,
                timeout=20,
            )
    assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
