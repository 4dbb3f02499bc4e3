"""Statements of accounts, as their owners read them."""

from balance_client import async_each, v1
from tests.service import Person


async def history(person: Person, account: str, amounts: list[str]) -> None:
    """Pays amounts in, and those below zero out."""
    for amount in amounts:
        if amount.startswith("-"):
            request = v1.CreateWithdrawalRequest(account=account, amount=amount[1:])
            await person.client.withdrawals.CreateWithdrawal(request)
        else:
            await person.deposit(amount, account)


async def statement(person: Person, request: v1.ListEntriesRequest) -> list[v1.Entry]:
    """Every entry of an account, whatever the size of the pages."""
    pages = async_each(person.client.accounts.ListEntries, request, lambda page: page.entries)
    return [entry async for entry in pages]
