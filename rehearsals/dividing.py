"""Operators who change how many sub-accounts accounts have, while money moves on them."""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import psycopg

from balance_client import AsyncClient, v1
from balance_client.policy import new_request_id
from balance_service.domain.accounts import Account
from rehearsals import stage

# Never none: the checker allows the statement of these accounts to be late all the time.
COUNTS = (1, 2, 4, 8)
# Of the accounts, those with sub-accounts: some are limited or may owe.
DIVIDED = slice(2, None, 3)
_ACTS = (
    "SELECT count(*) FROM audit_events WHERE action = 'account.sub_accounts_set' AND refusal = ''"
)
_COUNTS = "SELECT account_id::text, sub_account_count FROM accounts WHERE sub_account_count > 0"


def varied(number: int, account: Account) -> Account:
    """An account with the rules of its number, as `stage.varied`, and perhaps sub-accounts."""
    count = COUNTS[-1] if number in range(stage.ACCOUNTS)[DIVIDED] else 0
    return stage.varied(number, account)._replace(sub_account_count=count)


@dataclass
class Divider:
    """An operator.

    Args:
        client: Calls the service as the rehearsal's caller.
        accounts: Those of the rehearsal.
        rng: Decides which accounts get how many.
    """

    client: AsyncClient
    accounts: list[str]
    rng: random.Random
    acts: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    async def run(self, stop: asyncio.Event) -> None:
        """Changes one account after another, each until it is known that it is done.

        Raises:
            BalanceError: The service refused what it must not refuse.
        """
        while not stop.is_set():
            await asyncio.sleep(self.rng.uniform(0.2, 2))
            account = self.rng.choice(self.accounts[DIVIDED])
            count = self.rng.choice(COUNTS)
            request = v1.SetSubAccountsRequest(
                account=account,
                sub_accounts=count,
                reason="A rehearsal",
                request_id=str(new_request_id()),
            )
            await stage.insist(self.client.accounts.SetSubAccounts, request)
            self.acts += 1
            self.counts[account] = count

    def find_anomalies(self, database: str) -> Iterator[str]:
        """What was done otherwise than it was acknowledged."""
        with psycopg.connect(database) as conn:
            counts: dict[str, int] = dict(conn.execute(_COUNTS).fetchall())
            row = conn.execute(_ACTS).fetchone()
        assert row, "a count always answers"
        if row[0] != self.acts:
            yield f"sub-accounts were set {row[0]} times, and acknowledged {self.acts}"
        for account in self.accounts[DIVIDED]:
            count = self.counts.get(account, COUNTS[-1])
            if counts.get(account) != count:
                yield f"{account} has {counts.get(account)} sub-accounts, and was given {count}"
