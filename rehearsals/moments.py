"""Asks again and again what all accounts had a moment ago, and holds it to the journal at last."""

import asyncio
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import psycopg

from balance_client import AsyncClient, BalanceError, v1
from rehearsals import stage

PAUSE_SECONDS = 0.05
PAGE_SIZE = 100
_ENTRIES = (
    "SELECT account_id::text, created_at, sequence, balance_after_minor FROM entries"
    " ORDER BY account_id, sequence"
)


@dataclass
class Moments:
    """A reader of balances of the past.

    Args:
        client: Calls the service; of accounts that fit a page.
    """

    client: AsyncClient
    answers: list[v1.ListBalancesResponse] = field(default_factory=list)

    async def run(self) -> None:
        """Asks until it is cancelled.

        Raises:
            BalanceError: The service refused what it must not refuse.
        """
        while True:
            try:
                request = v1.ListBalancesRequest(page_size=PAGE_SIZE)
                self.answers.append(await self.client.reports.ListBalances(request))
            except BalanceError as error:
                if error.code() not in stage.UNKNOWN:
                    raise
            await asyncio.sleep(PAUSE_SECONDS)

    def find_anomalies(self, database: str) -> Iterator[str]:
        """What an answer has otherwise than the journal: left out, or not there yet.

        Args:
            database: The URL of the ledger, as the superuser.
        """
        dates: dict[str, list[datetime]] = defaultdict(list)
        balances: dict[str, list[tuple[int, int]]] = defaultdict(lambda: [(0, 0)])
        with psycopg.connect(database) as conn:
            for account, moment, *left in conn.execute(_ENTRIES):
                dates[account].append(moment)
                balances[account].append((left[0], left[1]))
        for answer in self.answers:
            moment = answer.as_of.ToDatetime(UTC)
            for told in answer.balances:
                kept = balances[told.account][bisect_right(dates[told.account], moment)]
                heard = told.sequence, int(told.balance.replace(".", ""))
                if heard != kept:
                    yield f"{told.account} at {moment}: answered {heard}, and had {kept}"
