"""What clients saw: each operation, when it was asked, when its end was known, and which it was."""

import asyncio
import itertools
import random
from dataclasses import dataclass, field
from typing import Any

import grpc

from balance_client import AsyncClient, BalanceError, v1
from balance_client.policy import new_request_id

OPERATION_SECONDS_MAX = 120
CALL_SECONDS = 8
# Money that the service may refuse to move, whatever happens around it.
REFUSALS = {"INSUFFICIENT_FUNDS"}
# What does not tell whether anything was done.
UNKNOWN = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.CANCELLED,
}


@dataclass
class Operation:
    """One request, sent again under its id until its outcome was known.

    Args:
        kind: `transfer`, `deposit`, `withdrawal` or `read`.
        accounts: Those it touches.
        request_id: Of what moves money.
        invoked: When it was first sent, on one clock for all.
        returned: When its outcome was known; infinity while it is not.
        outcome: `ok`, `refused`, or `unknown`.
        answer: The movement's id, or the last entry's sequence that was read.
        available_minor: What a refusal said was there.
        unknowns: How many sendings told nothing.
        faults: What was answered and must not be.
    """

    kind: str
    accounts: tuple[str, ...]
    request_id: str
    invoked: float
    returned: float = float("inf")
    outcome: str = "unknown"
    answer: str = ""
    available_minor: int | None = None
    unknowns: int = 0
    faults: list[str] = field(default_factory=list)


@dataclass
class Client:
    """One client: one request after another, with the service wherever it is.

    Args:
        target: Where the proxy listens.
        token: A sibling service's.
        accounts: What it moves money between.
        rng: Its own chance.
    """

    target: str
    token: str
    accounts: list[str]
    rng: random.Random
    operations: list[Operation] = field(default_factory=list)

    async def run(self, stop: asyncio.Event) -> None:
        client = AsyncClient(self.target, options=[("grpc.use_local_subchannel_pool", 1)])
        async with client:
            while not stop.is_set():
                operation, call = self._next(client)
                self.operations.append(operation)
                await self._settle(operation, call)

    def _next(self, client: AsyncClient) -> tuple[Operation, Any]:
        now = asyncio.get_running_loop().time
        sender, receiver = self.rng.sample(self.accounts, 2)
        amount, request_id = f"{self.rng.randint(1, 40_000) / 100:.2f}", str(new_request_id())
        kind = self.rng.choices(["transfer", "deposit", "withdrawal", "read"], [6, 1, 2, 3])[0]
        if kind == "read":
            listing = v1.ListEntriesRequest(account=sender, page_size=1)
            return Operation(kind, (sender,), "", now()), (client.accounts.ListEntries, listing)
        if kind == "transfer":
            request: Any = v1.CreateTransferRequest(
                from_account=sender, to_account=receiver, amount=amount, request_id=request_id
            )
            operation = Operation(kind, (sender, receiver), request_id, now())
            return operation, (client.transfers.CreateTransfer, request)
        deposit = kind == "deposit"
        message = v1.CreateDepositRequest if deposit else v1.CreateWithdrawalRequest
        request = message(account=sender, amount=amount, request_id=request_id)
        method = client.deposits.CreateDeposit if deposit else client.withdrawals.CreateWithdrawal
        return Operation(kind, (sender,), request_id, now()), (method, request)

    async def _settle(self, operation: Operation, call: Any) -> None:
        """Sends a request until its outcome is known."""
        loop = asyncio.get_running_loop()
        method, request = call
        began = operation.invoked
        metadata = grpc.aio.Metadata(("authorization", f"Bearer {self.token}"))
        for attempt in itertools.count():
            try:
                answer = await method(request, metadata=metadata, timeout=CALL_SECONDS)
            except BalanceError as error:
                if error.reason in REFUSALS:
                    operation.outcome, operation.returned = "refused", loop.time()
                    operation.available_minor = _minor(error.metadata["available"])
                    return
                if error.code() not in UNKNOWN:
                    operation.faults.append(f"{error.code().name} {error.reason}")
                operation.unknowns += 1
                if loop.time() - began > OPERATION_SECONDS_MAX:
                    operation.faults.append("no answer for so long")
                    return
                if operation.kind == "read":
                    operation.invoked = loop.time()  # Another read, which must see what is now.
                await asyncio.sleep(min(0.05 * 2 ** min(attempt, 5), 1) * self.rng.random())
            else:
                operation.outcome, operation.returned = "ok", loop.time()
                operation.answer = _answer(operation.kind, answer)
                return


def _answer(kind: str, answer: Any) -> str:
    if kind == "read":
        return str(answer.entries[0].sequence if answer.entries else 0)
    return str(answer.id)


def _minor(amount: str) -> int:
    return int(amount.replace(".", ""))
