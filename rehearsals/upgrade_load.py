"""What clients do during an upgrade: calls that both versions know, and requests sent to each."""

import asyncio
import random
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from google.protobuf.message import Message

from balance_client import AsyncClient, BalanceError, v1
from rehearsals.history import REFUSALS

# A service of the client, a method of it, and a request.
Call: TypeAlias = tuple[str, str, Message]


@dataclass
class Load:
    """What clients do all the while, and how it ended.

    Args:
        users: Who may have an account.
        services: What can be bought.
        accounts: Between which money moves.
        ended: Calls by their end.
        failed: What was said of those that failed.
        twice: Requests that were carried out a second time, or refused when they were repeated.
    """

    users: list[str]
    services: list[str]
    accounts: list[str] = field(default_factory=list)
    ended: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)

    async def go_on(self, client: AsyncClient, rng: random.Random, stop: asyncio.Event) -> None:
        """Makes one call after another."""
        while not stop.is_set():
            await self.make(client, self.choose(rng))

    async def make(self, client: AsyncClient, call: Call) -> Any:
        """Makes a call and counts its end; its answer, or None."""
        service, method, request = call
        try:
            answer = await getattr(getattr(client, service), method)(request)
        except BalanceError as error:
            self.ended[error.reason or error.code().name] += 1
            if (error.reason or error.code().name) not in REFUSALS:
                self.failed.append(f"{method}: {error}")
            return None
        self.ended["OK"] += 1
        return answer

    async def repeat(self, first: AsyncClient, then: AsyncClient, rng: random.Random) -> None:
        """Has one version carry out a request of each kind, and the other asked for the same."""
        for call in self.changes(rng):
            made = await self.make(first, call)
            again = await self.make(then, call)
            if made is not None and _outcome(made) != _outcome(again):
                self.twice.append(f"{call[1]}: {_outcome(made)}, then {_outcome(again)}")

    def choose(self, rng: random.Random) -> Call:
        """A call of any kind."""
        account = rng.choice(self.accounts)
        reads: list[Call] = [
            ("accounts", "GetAccount", v1.GetAccountRequest(account=account)),
            ("accounts", "ListEntries", v1.ListEntriesRequest(account=account, page_size=5)),
            ("purchases", "ListPurchases", v1.ListPurchasesRequest(account=account, page_size=5)),
        ]
        return rng.choice([*reads, *self.changes(rng)])

    def changes(self, rng: random.Random) -> list[Call]:
        """A call of each kind that changes something, with a new request id."""
        sender, receiver = rng.sample(self.accounts, 2)
        amount = f"{rng.randint(1, 300)}.00"
        transfer = v1.CreateTransferRequest(from_account=sender, to_account=receiver, amount=amount)
        buy = v1.CreatePurchaseRequest(account=sender, service=rng.choice(self.services))
        calls: list[Call] = [
            ("accounts", "CreateAccount", v1.CreateAccountRequest(user=rng.choice(self.users))),
            ("deposits", "CreateDeposit", v1.CreateDepositRequest(account=sender, amount=amount)),
            (
                "withdrawals",
                "CreateWithdrawal",
                v1.CreateWithdrawalRequest(account=sender, amount=amount),
            ),
            ("transfers", "CreateTransfer", transfer),
            (
                "transfers",
                "BatchCreateTransfers",
                v1.BatchCreateTransfersRequest(requests=[transfer, transfer]),
            ),
            ("purchases", "CreatePurchase", buy),
        ]
        for _, _, request in calls:
            request.request_id = str(uuid.uuid4())  # type: ignore[attr-defined]
        return calls


def _outcome(answer: Any) -> list[str]:
    """The ids of what a request moved."""
    if answer is None:
        return []
    made = [each.transfer for each in answer.outcomes] if hasattr(answer, "outcomes") else [answer]
    return [movement.id for movement in made]
