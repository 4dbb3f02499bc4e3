"""Reflection, in both versions: what grpcurl, ghz and their like ask."""

from collections.abc import Callable, Sequence
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.reflection_pb2 import (
    ExtensionRequest,
    ServerReflectionRequest,
    ServerReflectionResponse,
)

from balance_service.server import reflection
from tests.contract import SERVICE_NAMES
from tests.service import Service

VERSIONS = ("grpc.reflection.v1", "grpc.reflection.v1alpha")
ACCOUNT = "balance/v1/account.proto"

Ask = Callable[..., Any]


def method(channel: grpc.aio.Channel, version: str, serialize: Any) -> Any:
    return channel.stream_stream(
        f"/{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=serialize,
        response_deserializer=ServerReflectionResponse.FromString,
    )


@pytest.fixture(params=VERSIONS)
def ask(service: Service, request: pytest.FixtureRequest) -> Ask:
    """Asks on one stream."""

    async def asked(*questions: ServerReflectionRequest) -> Sequence[ServerReflectionResponse]:
        async with grpc.aio.insecure_channel(service.target) as channel:
            serialize = ServerReflectionRequest.SerializeToString
            answers = method(channel, request.param, serialize)(iter(questions), timeout=30)
            return [answer async for answer in answers]

    return asked


def files(answer: ServerReflectionResponse) -> list[str]:
    told = answer.file_descriptor_response.file_descriptor_proto
    return [FileDescriptorProto.FromString(text).name for text in told]


@pytest.mark.parametrize(
    ("symbol", "file"),
    {
        "balance.v1.AccountService": ACCOUNT,
        "balance.v1.AccountService.CreateAccount": ACCOUNT,
        "balance.v1.AccountService.WatchAccount": ACCOUNT,
        "balance.v1.Account": ACCOUNT,
        "balance.v1.Account.balance": ACCOUNT,
        "balance.v1.AccountStatus": ACCOUNT,
        "balance.v1.ACCOUNT_STATUS_ACTIVE": ACCOUNT,
        "balance.v1.AccountStatus.ACCOUNT_STATUS_ACTIVE": ACCOUNT,
        "balance.v1.Deposit.MetadataEntry": "balance/v1/deposit.proto",
        "google.api.http": "google/api/annotations.proto",
        "grpc.health.v1.Health.Check": "grpc/health/v1/health.proto",
        "grpc.reflection.v1.ServerReflection.ServerReflectionInfo": (
            "grpc/reflection/v1/reflection.proto"
        ),
    }.items(),
)
async def test_symbol_leads_to_its_file(ask: Ask, symbol: str, file: str) -> None:
    (answer,) = await ask(ServerReflectionRequest(file_containing_symbol=symbol))
    assert files(answer)[0].endswith(file.removeprefix("grpc/health/v1/"))
    assert answer.original_request.file_containing_symbol == symbol
    # With all that it needs: whoever asked can build it.
    pool = DescriptorPool()
    for text in reversed(answer.file_descriptor_response.file_descriptor_proto):
        pool.AddSerializedFile(text)


async def test_every_method_of_every_listed_service_is_found(ask: Ask) -> None:
    (answer,) = await ask(ServerReflectionRequest(list_services=""))
    listed = [service.name for service in answer.list_services_response.service]
    assert {*SERVICE_NAMES, *(f"{version}.ServerReflection" for version in VERSIONS)} < set(listed)
    for name in listed:
        (answer,) = await ask(ServerReflectionRequest(file_containing_symbol=name))
        text = answer.file_descriptor_response.file_descriptor_proto[0]
        for service in FileDescriptorProto.FromString(text).service:
            questions = [
                ServerReflectionRequest(file_containing_symbol=f"{name}.{each.name}")
                for each in service.method
            ]
            assert questions
            for answer in await ask(*questions):
                assert answer.file_descriptor_response.file_descriptor_proto[0] == text


async def test_extensions_are_told_by_number(ask: Ask) -> None:
    options, http = "google.protobuf.MethodOptions", 72295728
    numbers, file = await ask(
        ServerReflectionRequest(all_extension_numbers_of_type=options),
        ServerReflectionRequest(
            file_containing_extension=ExtensionRequest(
                containing_type=options, extension_number=http
            )
        ),
    )
    assert http in numbers.all_extension_numbers_response.extension_number
    assert files(file)[0] == "google/api/annotations.proto"


async def test_stream_is_told_a_dependency_once(ask: Ask) -> None:
    account, again = await ask(*[ServerReflectionRequest(file_by_filename=ACCOUNT)] * 2)
    assert len(files(account)) == len(set(files(account))) > 1
    assert files(again) == [ACCOUNT]


@pytest.mark.parametrize(
    "question",
    [
        ServerReflectionRequest(file_containing_symbol="balance.v1.AccountService.Nothing"),
        ServerReflectionRequest(file_containing_symbol="balance.v1.AccountStatus.NOTHING"),
        ServerReflectionRequest(file_containing_symbol="balance.v1"),
        ServerReflectionRequest(file_containing_symbol=""),
        ServerReflectionRequest(file_containing_symbol="\x00é.."),
        ServerReflectionRequest(file_by_filename="../../etc/passwd"),
        ServerReflectionRequest(all_extension_numbers_of_type="balance.v1.Nothing"),
        ServerReflectionRequest(
            file_containing_extension=ExtensionRequest(
                containing_type="google.protobuf.MethodOptions", extension_number=-1
            )
        ),
    ],
)
async def test_what_is_not_known_is_not_found(ask: Ask, question: ServerReflectionRequest) -> None:
    (answer,) = await ask(question)
    assert answer.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]
    assert answer.original_request == question


async def test_nonsense_is_refused_in_few_bytes(ask: Ask) -> None:
    long = "x" * 1_000_000
    for question in (
        ServerReflectionRequest(),
        ServerReflectionRequest(file_containing_symbol=long),
        ServerReflectionRequest(file_by_filename=long),
        ServerReflectionRequest(host=long, list_services=""),
        ServerReflectionRequest(list_services=long),
        ServerReflectionRequest(file_containing_extension=ExtensionRequest(containing_type=long)),
    ):
        (answer,) = await ask(question)
        assert answer.error_response.error_code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
        assert answer.ByteSize() < 200


async def test_bytes_that_are_no_request_are_refused(service: Service) -> None:
    async with grpc.aio.insecure_channel(service.target) as channel:
        call = method(channel, VERSIONS[0], bytes)(iter([b"\xff\xff"]), timeout=30)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call.read()
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_stream_that_asks_nothing_is_ended(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reflection, "IDLE_SECONDS", 0.1)
    async with grpc.aio.insecure_channel(service.target) as channel:
        call = method(channel, VERSIONS[0], ServerReflectionRequest.SerializeToString)(timeout=30)
        await call.write(ServerReflectionRequest(list_services=""))
        assert (await call.read()).list_services_response.service
        assert await call.read() is grpc.aio.EOF
