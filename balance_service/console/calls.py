"""Calls of the service's own contract: the only way by which the console reads or does anything."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from balance_service._generated.balance.v1 import (
    account_pb2_grpc,
    approval_pb2_grpc,
    audit_pb2_grpc,
    auth_pb2_grpc,
    deposit_pb2_grpc,
    exchange_pb2_grpc,
    hold_pb2_grpc,
    ledger_pb2_grpc,
    movement_pb2_grpc,
    purchase_pb2_grpc,
    reversal_pb2_grpc,
    schedule_pb2_grpc,
    statement_pb2_grpc,
    transfer_pb2_grpc,
    user_pb2_grpc,
    webhook_pb2_grpc,
    withdrawal_pb2_grpc,
)

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)
Detail = TypeVar("Detail", bound=Message)
Value = TypeVar("Value")

TIMEOUT_SECONDS = 15
_DETAILS = "grpc-status-details-bin"


@dataclass(eq=False)
class Refused(Exception):  # noqa: N818 - the service's word for it
    """The service refused a call, or could not be asked.

    Args:
        code: The status code.
        reason: An ErrorReason without its prefix; empty if the service gave none.
        message: For people, in the language that was asked for.
        metadata: The reason's facts.
        violations: What is wrong with the request, by field.
        retry_seconds: How long to wait, where the service says so.
    """

    code: grpc.StatusCode
    reason: str = ""
    message: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    violations: Sequence[tuple[str, str]] = ()
    retry_seconds: int = 0

    @property
    def is_lost_token(self) -> bool:
        """Whether the sign-in has ended."""
        return self.code is grpc.StatusCode.UNAUTHENTICATED and self.reason in {
            "TOKEN_MISSING",
            "TOKEN_INVALID",
            "TOKEN_EXPIRED",
            "REFRESH_TOKEN_INVALID",
        }

    @property
    def is_absence(self) -> bool:
        """Whether there is no such thing, as far as the caller may know."""
        return self.code in {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.PERMISSION_DENIED}

    @property
    def is_archived(self) -> bool:
        """Whether the answer would need entries that are archived."""
        return self.reason == "PERIOD_ARCHIVED"


class Service:
    """The service's RPCs, over a channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.accounts = account_pb2_grpc.AccountServiceStub(channel)
        self.approvals = approval_pb2_grpc.ApprovalServiceStub(channel)
        self.audits = audit_pb2_grpc.AuditServiceStub(channel)
        self.auth = auth_pb2_grpc.AuthServiceStub(channel)
        self.deposits = deposit_pb2_grpc.DepositServiceStub(channel)
        self.exchanges = exchange_pb2_grpc.ExchangeServiceStub(channel)
        self.holds = hold_pb2_grpc.HoldServiceStub(channel)
        self.ledger = ledger_pb2_grpc.LedgerServiceStub(channel)
        self.movements = movement_pb2_grpc.MovementServiceStub(channel)
        self.purchases = purchase_pb2_grpc.PurchaseServiceStub(channel)
        self.reversals = reversal_pb2_grpc.ReversalServiceStub(channel)
        self.schedules = schedule_pb2_grpc.ScheduleServiceStub(channel)
        self.statements = statement_pb2_grpc.StatementServiceStub(channel)
        self.transfers = transfer_pb2_grpc.TransferServiceStub(channel)
        self.users = user_pb2_grpc.UserServiceStub(channel)
        self.webhooks = webhook_pb2_grpc.WebhookServiceStub(channel)
        self.withdrawals = withdrawal_pb2_grpc.WithdrawalServiceStub(channel)


class LazyService:
    """The service, connected when it is first asked for: a channel belongs to an event loop.

    Args:
        connect: Opens a channel.
    """

    def __init__(self, connect: Callable[[], grpc.aio.Channel]) -> None:
        self._connect = connect
        self._channel: grpc.aio.Channel | None = None
        self._service: Service | None = None

    def __call__(self) -> Service:
        if self._service is None:
            self._channel = self._connect()
            self._service = Service(self._channel)
        return self._service

    async def close(self) -> None:
        """Closes the channel."""
        if self._channel is not None:
            await self._channel.close()
            self._channel = self._service = None


async def send(
    method: "grpc.aio.UnaryUnaryMultiCallable[Request, Response]",
    request: Request,
    metadata: Sequence[tuple[str, str]],
) -> Response:
    """Makes a call.

    Raises:
        Refused: It was refused, or failed.
    """
    try:
        return await method(request, metadata=tuple(metadata), timeout=TIMEOUT_SECONDS)
    except grpc.aio.AioRpcError as error:
        raise _refused(error) from None


async def receive(
    method: "grpc.aio.UnaryStreamMultiCallable[Request, Response]",
    request: Request,
    metadata: Sequence[tuple[str, str]],
) -> AsyncIterator[Response]:
    """Makes a call with many answers; raises as `send` does."""
    try:
        async for answer in method(request, metadata=tuple(metadata)):
            yield answer
    except grpc.aio.AioRpcError as error:
        raise _refused(error) from None


async def found(call: Awaitable[Value]) -> Value | None:
    """What a call answers; None if there is no such thing, as far as the caller may know."""
    try:
        return await call
    except Refused as refusal:
        if refusal.is_absence:
            return None
        raise


async def gather(*calls: Awaitable[Value]) -> list[Value]:
    """What several calls answer, made at once. The first that is refused ends the others."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()


def _refused(error: grpc.aio.AioRpcError) -> Refused:
    status = status_pb2.Status()
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS and isinstance(value, bytes):
            status = status_pb2.Status.FromString(value)
    info = _detail(status, error_details_pb2.ErrorInfo)
    localized = _detail(status, error_details_pb2.LocalizedMessage)
    bad = _detail(status, error_details_pb2.BadRequest)
    retry = _detail(status, error_details_pb2.RetryInfo)
    # Where no servicer answered, the text is gRPC's own, for its developers.
    message = localized.message or (status.message if info.reason else "")
    return Refused(
        error.code(),
        info.reason,
        message,
        dict(info.metadata),
        [(violation.field, violation.description) for violation in bad.field_violations],
        retry.retry_delay.seconds + bool(retry.retry_delay.nanos),
    )


def _detail(status: status_pb2.Status, kind: type[Detail]) -> Detail:
    """The first detail of a kind; an empty one if there is none."""
    for packed in status.details:
        if packed.Is(kind.DESCRIPTOR):
            try:
                return kind.FromString(packed.value)
            except DecodeError:
                break
    return kind()
