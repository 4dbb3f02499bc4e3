"""The servicers that sum up: statements of accounts."""

from balance_service.calls.dispatch import Calls
from balance_service.database.pool import Pool
from balance_service.reading.balances import AccountReads
from balance_service.servicers.statement import StatementServicer


def add(calls: Calls, pool: Pool, accounts: AccountReads) -> None:
    """Adds them to the calls that a worker answers.

    Args:
        calls: What a worker answers.
        pool: Where everything is.
        accounts: Reads the accounts of many callers at once.
    """
    calls.add(StatementServicer(pool, accounts))
