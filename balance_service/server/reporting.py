"""The servicers that sum up: statements of accounts, and reports on all of them."""

from balance_service.calls.dispatch import Calls
from balance_service.database.pool import Pool
from balance_service.messages.page_tokens import PageTokens
from balance_service.reading.balances import AccountReads
from balance_service.servicers.report import ReportServicer
from balance_service.servicers.statement import StatementServicer


def add(calls: Calls, pool: Pool, page_tokens: PageTokens, accounts: AccountReads) -> None:
    """Adds them to the calls that a worker answers.

    Args:
        calls: What a worker answers.
        pool: Where everything is.
        page_tokens: Signs where a list goes on.
        accounts: Reads the accounts of many callers at once.
    """
    calls.add(StatementServicer(pool, accounts))
    calls.add(ReportServicer(pool, page_tokens))
