"""What clients saw: each operation, when it was sent, and when its outcome was known."""

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import Message

from balance_client import v1
from balance_client.policy import new_request_id
from rehearsals import stage
from rehearsals.batches import BATCH, draw_batch, replies_of
from rehearsals.operation import Operation
from rehearsals.transports import CALL_SECONDS, OverGrpc, Reply, Transport

OPERATION_SECONDS_MAX = 120
# After this an attempt without an answer can no longer be under way: its own timeout, and the
# longest that proxies and workers stand still here.
LOST_SECONDS = CALL_SECONDS + 10
METHODS = {
    "transfer": "/balance.v1.TransferService/CreateTransfer",
    "deposit": "/balance.v1.DepositService/CreateDeposit",
    "withdrawal": "/balance.v1.WithdrawalService/CreateWithdrawal",
    "exchange": "/balance.v1.ExchangeService/CreateExchange",
    "reversal": "/balance.v1.TransferService/ReverseTransfer",
    "exchange_reversal": "/balance.v1.ExchangeService/ReverseExchange",
    "hold": "/balance.v1.HoldService/CreateHold",
    "capture": "/balance.v1.HoldService/CaptureHold",
    "void": "/balance.v1.HoldService/VoidHold",
    "read": "/balance.v1.AccountService/ListEntries",
    "balance": "/balance.v1.AccountService/GetAccount",
}
# The share of batches among requests.
BATCHES = 0.15
# How many transfers, exchanges and holds a client remembers.
KEPT = 10
QUOTE = "/balance.v1.ExchangeService/CreateQuote"
# Refusals that are right at some time; the checker decides whether they were.
REFUSALS = {
    "INSUFFICIENT_FUNDS",
    "ACCOUNT_FROZEN",
    "DEBIT_LIMIT_EXCEEDED",
    "DAILY_LIMIT_EXCEEDED",
    "QUOTE_EXPIRED",
    "REVERSAL_TOO_LARGE",
    "HOLD_CLOSED",
    "HOLD_EXPIRED",
    "CAPTURE_TOO_LARGE",
    "BATCH_REFUSED",
}
# Of the accounts, those whose money is held.
HELD = slice(3, 5)


@dataclass
class Client:
    """A client that sends one request after another, each until its outcome is known.

    Args:
        transport: How it sends.
        accounts: What it moves money between.
        rng: Decides what it asks for.
        dollars: By the accounts, those of the same owners in dollars, into which it also changes
            roubles; without any, it does not.
        follow_ups: Whether it also takes transfers and exchanges back, and holds money.
        batches: Whether it also sends batches with chains.
    """

    transport: Transport
    accounts: list[str]
    rng: random.Random
    dollars: Mapping[str, str] = field(default_factory=dict)
    follow_ups: bool = False
    batches: bool = False
    _transfers: dict[str, tuple[str, str]] = field(default_factory=dict)
    _exchanges: dict[str, tuple[str, str]] = field(default_factory=dict)
    _holds: dict[str, tuple[str, str]] = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)

    async def run(self, stop: asyncio.Event) -> None:
        try:
            while not stop.is_set():
                if self.batches and self.rng.random() < BATCHES:
                    now = asyncio.get_running_loop().time()
                    operations, batch = draw_batch(self.rng, self.accounts, now)
                    self.operations += operations
                    await self._settle(operations, BATCH, batch)
                    continue
                operation, method, request = self._next()
                self.operations.append(operation)
                if isinstance(request, v1.CreateExchangeRequest):
                    await self._quote(operation, request)
                await self._settle([operation], method, request)
                self._remember(operation, request)
        finally:
            await self.transport.close()

    def _next(self) -> tuple[Operation, str, Message]:
        now = asyncio.get_running_loop().time
        sender, receiver = self.rng.sample(self.accounts, 2)
        minor, request_id = self.rng.randint(1, 40_000), str(new_request_id())
        amount = f"{minor / 100:.2f}"
        kinds = {"transfer": 6, "deposit": 1, "withdrawal": 2, "read": 3, "balance": 3}
        if self.dollars:
            kinds["exchange"] = 2
        if self.follow_ups:
            kinds |= {"hold": 2} | ({"reversal": 2} if self._transfers else {})
            kinds |= {"exchange_reversal": 1} if self._exchanges else {}
            kinds |= {"capture": 2, "void": 1} if self._holds else {}
        kind = self.rng.choices(list(kinds), list(kinds.values()))[0]
        if kind in ("reversal", "exchange_reversal", "hold", "capture", "void"):
            return self._follow_up(kind, request_id, amount)
        if kind == "read":
            listing = v1.ListEntriesRequest(account=sender, page_size=1)
            return Operation(kind, (sender,), "", now()), METHODS[kind], listing
        if kind == "balance":
            whole = v1.GetAccountRequest(account=sender)
            return Operation(kind, (sender,), "", now()), METHODS[kind], whole
        if kind == "transfer":
            request: Message = v1.CreateTransferRequest(
                from_account=sender, to_account=receiver, amount=amount, request_id=request_id
            )
            both = (sender, receiver)
            asked = Operation(kind, both, request_id, now(), amount_minor=minor)
            return asked, METHODS[kind], request
        if kind == "exchange":
            request = v1.CreateExchangeRequest(request_id=request_id)
            minor = max(minor, 100)
            both = (sender, self.dollars[sender])
            asked = Operation(kind, both, request_id, now(), amount_minor=minor)
            return asked, METHODS[kind], request
        deposit = kind == "deposit"
        message = v1.CreateDepositRequest if deposit else v1.CreateWithdrawalRequest
        request = message(account=sender, amount=amount, request_id=request_id)
        asked = Operation(kind, (sender,), request_id, now(), amount_minor=minor)
        return asked, METHODS[kind], request

    def _follow_up(self, kind: str, request_id: str, amount: str) -> tuple[Operation, str, Message]:
        """A hold, or what takes back or ends one of the last transfers and holds."""
        now = asyncio.get_running_loop().time()
        some = self.rng.choice(["", amount])
        if kind == "hold":
            payer = self.rng.choice(self.accounts[HELD])
            receiver = self.rng.choice([each for each in self.accounts if each != payer])
            hold = v1.CreateHoldRequest(
                account=payer, to_account=receiver, amount=amount, request_id=request_id
            )
            if self.rng.random() < 0.3:
                hold.expire_time.FromSeconds(int(time.time()) + 5)
            return Operation(kind, (), request_id, now), METHODS[kind], hold
        if kind == "reversal":
            transfer, (sender, receiver) = self.rng.choice(list(self._transfers.items()))
            request: Message = v1.ReverseTransferRequest(
                transfer=transfer, amount=some, reason="Back", request_id=request_id
            )
            return Operation(kind, (receiver, sender), request_id, now), METHODS[kind], request
        if kind == "exchange_reversal":
            exchange, (rubles, dollars) = self.rng.choice(list(self._exchanges.items()))
            request = v1.ReverseExchangeRequest(
                exchange=exchange, amount=some, reason="Back", request_id=request_id
            )
            return Operation(kind, (dollars, rubles), request_id, now), METHODS[kind], request
        hold_id, sides = self.rng.choice(list(self._holds.items()))
        if kind == "void":
            request = v1.VoidHoldRequest(hold=hold_id, request_id=request_id)
            return Operation(kind, (), request_id, now), METHODS[kind], request
        request = v1.CaptureHoldRequest(
            hold=hold_id, amount=some, keep_rest=self.rng.random() < 0.5, request_id=request_id
        )
        return Operation(kind, sides, request_id, now), METHODS[kind], request

    def _remember(self, operation: Operation, request: Message) -> None:
        """Keeps the last transfers, exchanges and holds, for what follows them."""
        if operation.outcome != "ok":
            return
        if isinstance(request, v1.CreateTransferRequest):
            self._transfers[operation.answer] = request.from_account, request.to_account
        elif isinstance(request, v1.CreateExchangeRequest):
            self._exchanges[operation.answer] = operation.accounts[0], operation.accounts[1]
        elif isinstance(request, v1.CreateHoldRequest):
            self._holds[operation.answer] = request.account, request.to_account
        for kept in (self._transfers, self._exchanges, self._holds):
            if len(kept) > KEPT:
                del kept[next(iter(kept))]

    async def _quote(self, operation: Operation, request: v1.CreateExchangeRequest) -> None:
        """Asks for the quote of an exchange until it is answered."""
        now = asyncio.get_running_loop().time
        terms = v1.CreateQuoteRequest(
            from_currency="RUB",
            to_currency="USD",
            from_amount=f"{operation.amount_minor / 100:.2f}",
            from_account=operation.accounts[0],
            request_id=str(new_request_id()),
        )
        while True:
            reply = await self.transport.send(QUOTE, terms)
            if reply.code == grpc.StatusCode.OK:
                request.quote = reply.message.id
                operation.invoked = now()
                return
            if not _outcome_is_unknown(reply):
                operation.faults.append(f"no quote: {reply.code.name} {reply.reason} {reply.text}")
            if operation.faults or now() - operation.invoked > OPERATION_SECONDS_MAX:
                request.quote = str(new_request_id())
                return
            await asyncio.sleep(self.rng.random())

    async def _settle(self, operations: Sequence[Operation], method: str, request: Message) -> None:
        """Sends a request until the outcome of all that it asks for is known.

        A refusal is about its own attempt. An earlier attempt without an answer may still be under
        way, so only a refusal of an attempt sent after LOST_SECONDS settles the request.

        Args:
            operations: One for each item of a batch, or the one of another request.
            method: Its full name.
            request: What is sent.
        """
        loop = asyncio.get_running_loop()
        silent_since = operations[0].invoked
        lost = float("-inf")
        for attempt in itertools.count():
            sent = loop.time()
            replies = replies_of(await self.transport.send(method, request), len(operations))
            if all(r.code == grpc.StatusCode.OK or r.reason in REFUSALS for r in replies):
                if sent < lost + LOST_SECONDS and any(r.reason for r in replies):
                    await asyncio.sleep(lost + LOST_SECONDS - sent)
                    # The service answers, so its silence is counted anew.
                    silent_since = loop.time()
                    continue
                for operation, reply in zip(operations, replies, strict=True):
                    _note(operation, reply, loop.time())
                return
            lost = loop.time()
            for operation, reply in zip(operations, replies, strict=True):
                operation.unknowns += 1
                if not _outcome_is_unknown(reply) and reply.code != grpc.StatusCode.OK:
                    operation.faults.append(f"{reply.code.name} {reply.reason} {reply.text}")
            if lost - silent_since > OPERATION_SECONDS_MAX:
                operations[0].faults.append(f"no answer for {OPERATION_SECONDS_MAX} s")
                return
            if operations[0].is_read:
                # The next attempt is another read, of a later state.
                operations[0].invoked = loop.time()
            await asyncio.sleep(min(0.05 * 2 ** min(attempt, 5), 1) * self.rng.random())


def _outcome_is_unknown(reply: Reply) -> bool:
    """Whether a request may have been carried out; INTERNAL without a reason is a broken stream."""
    return reply.code in stage.UNKNOWN or (
        reply.code == grpc.StatusCode.INTERNAL and not reply.reason
    )


def make_clients(
    target: str,
    token: str,
    accounts: list[str],
    count: int,
    seed: object,
    *,
    dollars: Mapping[str, str] | None = None,
    follow_ups: bool = False,
) -> list[Client]:
    """Makes clients that call over gRPC and record what they see.

    Args:
        target: Where the service, or a proxy, listens.
        token: The access token that they call with.
        accounts: What they move money between.
        count: How many.
        seed: Decides what they ask for.
        dollars: As of a client.
        follow_ups: As of a client.
    """
    return [
        Client(
            OverGrpc(target, token),
            accounts,
            random.Random(f"{seed} {number}"),
            dollars or {},
            follow_ups,
        )
        for number in range(count)
    ]


def _note(operation: Operation, reply: Reply, now: float) -> None:
    operation.returned = now
    if reply.code == grpc.StatusCode.OK:
        operation.outcome, operation.answer = "ok", _answer(operation.kind, reply.message)
        return
    operation.outcome = "refused"
    # A chain may be refused for a state that only its own items would leave.
    if not operation.together:
        operation.reason = reply.reason
        operation.available_minor = _fact(reply, "available")
        operation.spent_minor = _fact(reply, "spent")


def outcomes(operations: Sequence[Operation], kinds: Iterable[str]) -> str:
    """Returns how the operations of some kinds ended, as the lines of a table."""
    lines = [f"{'operation':<24}{'ok':>8}{'refused':>9}{'attempts with unknown outcome':>31}"]
    for kind in kinds:
        theirs = [o for o in operations if o.kind == kind]
        counts = Counter(o.outcome for o in theirs)
        unknowns = sum(o.unknowns for o in theirs)
        lines.append(f"{kind:<24}{counts['ok']:>8}{counts['refused']:>9}{unknowns:>31}")
    return "\n".join(lines)


def _answer(kind: str, answer: Any) -> str:
    if kind == "read":
        return str(answer.entries[0].sequence if answer.entries else 0)
    if kind == "balance":
        return str(answer.balance).replace(".", "")
    return str(answer.id)


def _fact(reply: Reply, name: str) -> int | None:
    """An amount that a refusal gives, in minor units."""
    amount = reply.facts.get(name)
    return None if amount is None else int(amount.replace(".", ""))
