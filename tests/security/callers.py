"""Callers of every kind, and calls of every method by them, without the client library."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import code_pb2, error_details_pb2, status_pb2

from balance_client import v1
from balance_service.calls.methods import Method
from balance_service.domain.principals import Scope
from balance_service.operations import administration
from tests.authenticators import ask_again
from tests.service import Person, Service
from tests.write_races import answer_said


@dataclass(frozen=True)
class Callers:
    """Access tokens by kind of caller; `owner` owns all that requests are about."""

    tokens: Mapping[str, str]
    scoped: Mapping[Scope, str]


async def sign_in_service(service: Service, *scopes: Scope) -> str:
    """The access token of a new sibling service."""
    client_id = f"s-{'-'.join(scope.replace(':', '-') for scope in scopes) or 'unscoped'}"
    secret = await administration.create_service_principal(service.settings, client_id, "", scopes)
    request = v1.CreateTokenRequest(client_id=client_id, client_secret=secret)
    return (await service.client().auth.CreateToken(request)).token


async def all_callers(service: Service, owner_email: str, owner_id: str) -> Callers:
    """A caller of every kind.

    Args:
        service: What they call.
        owner_email: Of the admin who made the world. They are made a plain user here.
        owner_id: Their user id.
    """
    admin, moderator, stranger, disabled = (
        await service.admin(),
        await service.person(),
        await service.person(),
        await service.person(),
    )
    for user_id, role in ((owner_id, v1.ROLE_USER), (moderator.user_id, v1.ROLE_MODERATOR)):
        change = v1.UpdateUserRequest(id=user_id, user=v1.User(role=role))
        change.update_mask.paths.append("role")
        await admin.client.users.UpdateUser(change)
    await admin.client.users.DisableUser(v1.DisableUserRequest(user=disabled.user_id))
    await _wait_until_ended(disabled)
    return Callers(
        {
            "nobody": "",
            "forged": "forged",
            "disabled": disabled.token.token,
            "stranger": stranger.token.token,
            "owner": await _sign_in_again(service, owner_email),
            "moderator": await _sign_in_again(service, moderator.email),
            "admin": admin.token.token,
            "service": await sign_in_service(service),
        },
        {scope: await sign_in_service(service, scope) for scope in Scope},
    )


async def _wait_until_ended(person: Person) -> None:
    """Returns once workers have learnt that a sign-in is over, which takes them two seconds."""
    async with asyncio.timeout(30):
        while (await person.http("GET", "/api/v1/users/me")).status != 401:
            await asyncio.sleep(0.05)


async def _sign_in_again(service: Service, email: str) -> str:
    url = service.settings.database_url.get_secret_value()
    request = await ask_again(service, email, url)
    return (await service.client().auth.CreateToken(request)).token


class Grpc:
    """Calls methods over one channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    async def reason(self, method: Method, request: Message | bytes, token: str) -> str:
        """The reason that a call is refused for; empty if it is answered.

        Of a batch or a stream, that of its first item, if the call itself is answered.
        """
        status = await self.status(method, request, token)
        return reason_of(status) if status.code else ""

    async def status(
        self, method: Method, request: Message | bytes, token: str
    ) -> status_pb2.Status:
        """The status of a call, or of the first item of a batch or a stream."""
        descriptor = method.descriptor
        shape = f"{'stream' if descriptor.client_streaming else 'unary'}"
        shape += f"_{'stream' if descriptor.server_streaming else 'unary'}"
        call: Any = getattr(self._channel, shape)(
            method.full_name,
            request_serializer=lambda sent: (
                sent if isinstance(sent, bytes) else sent.SerializeToString()
            ),
            response_deserializer=GetMessageClass(method.output).FromString,
        )
        metadata = [("authorization", f"Bearer {token}")] if token else []

        async def ask() -> Message:
            sent = iter([request]) if descriptor.client_streaming else request
            begun = call(sent, metadata=metadata, timeout=20)
            first: Message = await (anext(aiter(begun)) if descriptor.server_streaming else begun)
            return first

        try:
            return _status_of_item(await answer_said(ask))
        except grpc.aio.AioRpcError as error:
            return status_of(error)


@asynccontextmanager
async def over_one_channel(service: Service) -> AsyncIterator[Grpc]:
    """A channel to a service."""
    async with grpc.aio.insecure_channel(service.target) as channel:
        yield Grpc(channel)


def status_of(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    """The status of a refusal; its code alone where nothing of ours came with it."""
    for key, value in error.trailing_metadata():
        if key == "grpc-status-details-bin":
            return status_pb2.Status.FromString(value)
    return status_pb2.Status(code=error.code().value[0], message=error.details() or "")


def reason_of(status: status_pb2.Status) -> str:
    """The reason that a status tells; the code's name where it has none."""
    info = error_details_pb2.ErrorInfo()
    if status.details and status.details[0].Unpack(info):
        return str(info.reason)
    return str(code_pb2.Code.Name(status.code))


def _status_of_item(answer: Message) -> status_pb2.Status:
    outcomes = getattr(answer, "outcomes", [answer])
    found: status_pb2.Status | None = getattr(outcomes[0], "error", None) if outcomes else None
    return found or status_pb2.Status()
