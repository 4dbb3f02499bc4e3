"""The ways to send a request: typed stubs, a stream of transfers, and JSON to the gateway."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import aiohttp
import grpc
from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from balance_client import AsyncClient, BalanceError, RetryPolicy, v1
from tests.http import BY_METHOD, Http

CALL_SECONDS = 8
ANSWERS: dict[str, type[Message]] = {
    "/balance.v1.TransferService/CreateTransfer": v1.Transfer,
    "/balance.v1.DepositService/CreateDeposit": v1.Deposit,
    "/balance.v1.WithdrawalService/CreateWithdrawal": v1.Withdrawal,
    "/balance.v1.ExchangeService/CreateQuote": v1.Quote,
    "/balance.v1.ExchangeService/CreateExchange": v1.Exchange,
    "/balance.v1.AccountService/GetAccount": v1.Account,
    "/balance.v1.AccountService/ListEntries": v1.ListEntriesResponse,
    "/balance.v1.TransferService/ReverseTransfer": v1.Reversal,
    "/balance.v1.ExchangeService/ReverseExchange": v1.Reversal,
    "/balance.v1.HoldService/CreateHold": v1.Hold,
    "/balance.v1.HoldService/CaptureHold": v1.Capture,
    "/balance.v1.HoldService/VoidHold": v1.Hold,
    "/balance.v1.BatchService/BatchCreateMovements": v1.BatchCreateMovementsResponse,
}


@dataclass(frozen=True)
class Reply:
    """What came back.

    Args:
        code: The status code.
        message: The answer, if the code is OK.
        reason: Of a refusal.
        facts: Of a refusal.
        text: What a status other than OK says in words.
    """

    code: grpc.StatusCode
    message: Any = None
    reason: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    text: str = ""


def reply_of(status: status_pb2.Status) -> Reply:
    """What a refusal of an item says."""
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info), status
    return Reply(_CODES[status.code], reason=info.reason, facts=info.metadata)


class Transport(Protocol):
    """Sends requests as a sibling service."""

    async def send(self, method: str, request: Message) -> Reply:
        """Sends one request once, by its method's full name."""

    async def close(self) -> None:
        """Lets go of connections."""


class OverGrpc:
    """Sends with the client library, which is told to repeat nothing: each sending is seen."""

    def __init__(self, target: str, token: str) -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        once = RetryPolicy(attempts_max=1)
        self._client = client = AsyncClient(target, policy=once, options=options)
        self._metadata = grpc.aio.Metadata(("authorization", f"Bearer {token}"))
        self._stubs: dict[str, Any] = {
            "AccountService": client.accounts,
            "BatchService": client.batches,
            "DepositService": client.deposits,
            "ExchangeService": client.exchanges,
            "HoldService": client.holds,
            "TransferService": client.transfers,
            "WithdrawalService": client.withdrawals,
        }

    async def send(self, method: str, request: Message) -> Reply:
        _, service, name = method.split("/")
        stub = getattr(self._stubs[service.rpartition(".")[2]], name)
        try:
            message = await stub(request, metadata=self._metadata, timeout=CALL_SECONDS)
        except BalanceError as error:
            return _refused(error)
        return Reply(grpc.StatusCode.OK, message)

    async def close(self) -> None:
        await self._client.close()


class OverStream(OverGrpc):
    """Sends transfers on one stream and deposits on another, each made anew when it breaks.

    Everything else goes as a call.
    """

    def __init__(self, target: str, token: str) -> None:
        super().__init__(target, token)
        self._begin: dict[type[Message], tuple[str, Any]] = {
            v1.CreateTransferRequest: ("transfer", self._client.transfers.StreamTransfers),
            v1.CreateDepositRequest: ("deposit", self._client.deposits.StreamDeposits),
        }
        self._streams: dict[type[Message], tuple[_Requests, Any]] = {}

    async def send(self, method: str, request: Message) -> Reply:
        kind = type(request)
        if kind not in self._begin:
            return await super().send(method, request)
        field, begin = self._begin[kind]
        try:
            async with asyncio.timeout(CALL_SECONDS):
                if kind not in self._streams:
                    opened = _Requests()
                    self._streams[kind] = opened, aiter(begin(opened, metadata=self._metadata))
                sending, stream = self._streams[kind]
                sending.put_nowait(request)
                outcome = await anext(stream)
        except BalanceError as error:
            self._streams.pop(kind, None)
            return _refused(error)
        except (StopAsyncIteration, TimeoutError):
            self._streams.pop(kind, None)
            return Reply(grpc.StatusCode.UNAVAILABLE)
        if outcome.HasField(field):
            return Reply(grpc.StatusCode.OK, getattr(outcome, field))
        return reply_of(outcome.error)


class _Requests(asyncio.Queue[Message]):
    """The requests of a stream, which never ends from this side."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        return await self.get()


class OverHttp:
    """Sends JSON to the gateway."""

    def __init__(self, url: str, token: str) -> None:
        self._http = Http(url, token)

    async def send(self, method: str, request: Message) -> Reply:
        binding = BY_METHOD[method]
        try:
            async with asyncio.timeout(CALL_SECONDS):
                answer = await self._http.call(binding, request)
            if answer.status < 300:
                message = json_format.ParseDict(answer.json, ANSWERS[method]())
                return Reply(grpc.StatusCode.OK, message)
            code = _CODES[answer.json["code"]]
            info = answer.detail("ErrorInfo")
        except (aiohttp.ClientError, TimeoutError):
            return Reply(grpc.StatusCode.UNAVAILABLE)
        text = answer.json["message"]
        return Reply(code, reason=info["reason"], facts=info.get("metadata", {}), text=text)

    async def close(self) -> None:
        await self._http.client.close()


def _refused(error: BalanceError) -> Reply:
    return Reply(error.code(), None, error.reason, error.metadata, error.details() or "")


_CODES = {code.value[0]: code for code in grpc.StatusCode}
