"""The page of a movement of any kind: both sides, who, why and when, and what reverses it."""

from dataclasses import dataclass
from typing import TypeAlias

from starlette.responses import Response

from balance_service._generated.balance.v1 import (
    account_pb2,
    deposit_pb2,
    exchange_pb2,
    purchase_pb2,
    reversal_pb2,
    transfer_pb2,
    withdrawal_pb2,
)
from balance_service.console import queries
from balance_service.console.calls import Refused, found, gather
from balance_service.console.visits import Visit

Original: TypeAlias = (
    deposit_pb2.Deposit
    | withdrawal_pb2.Withdrawal
    | purchase_pb2.Purchase
    | transfer_pb2.Transfer
    | exchange_pb2.Exchange
)
ENTRIES_MAX = 100


@dataclass(frozen=True)
class Movement:
    """A movement, whatever its kind.

    Args:
        kind: A MovementKind.
        message: What the service told of it.
        act: What takes it back; empty where nothing does.
        from_account: The customer's account that paid; empty for the service's own.
        to_account: The customer's account that got it; empty for the service's own.
        amount: How much was paid.
        currency: Its currency.
        received_amount: What came of it, where that is another amount.
        received_currency: Its currency.
        why: In the caller's words.
    """

    kind: account_pb2.MovementKind.ValueType
    message: Original | reversal_pb2.Reversal
    act: str
    from_account: str
    to_account: str
    amount: str
    currency: str
    received_amount: str = ""
    received_currency: str = ""
    why: str = ""

    @property
    def id(self) -> str:
        """Its id."""
        return self.message.id

    def told(self, name: str) -> str:
        """A field that some kinds have; empty for others."""
        return str(getattr(self.message, name, ""))

    @property
    def reversals(self) -> list[str]:
        """The ids of what takes it back."""
        message = self.message
        return [] if isinstance(message, reversal_pb2.Reversal) else list(message.reversals)


async def show(visit: Visit) -> Response:
    """A movement with its entries on customers' accounts."""
    movement = await find(visit, visit.part("movement"))
    if movement is None:
        return visit.problem("problem.no_movement", 404)
    accounts = {movement.from_account, movement.to_account} - {""}
    archived = False
    entries: list[tuple[str, account_pb2.Entry | None]] = []
    try:
        entries = await gather(*(_entry(visit, account, movement) for account in sorted(accounts)))
    except Refused as refusal:
        if not refusal.is_archived:
            raise
        archived = True
    return visit.page(
        "movement.html",
        movement=movement,
        message=movement.message,
        entries=[entry for entry in entries if entry[1]],
        archived=archived,
    )


async def find(visit: Visit, movement: str) -> Movement | None:
    """A movement by its id; None if there is none.

    The contract has no call that finds one whatever its kind, so each kind is asked at once.

    Raises:
        Refused: The id is none, or the service cannot be asked.
    """
    finders = (_deposit, _withdrawal, _purchase, _transfer, _exchange, _reversal)
    answers = await gather(*(found(finder(visit, movement)) for finder in finders))
    return next((answer for answer in answers if answer), None)


async def _deposit(visit: Visit, movement: str) -> Movement:
    request = deposit_pb2.GetDepositRequest(deposit=movement)
    it = await visit.ask(visit.service.deposits.GetDeposit, request)
    kind, act = account_pb2.MOVEMENT_KIND_DEPOSIT, "reverse-deposit"
    return Movement(kind, it, act, "", it.account, it.amount, it.currency, why=it.description)


async def _withdrawal(visit: Visit, movement: str) -> Movement:
    request = withdrawal_pb2.GetWithdrawalRequest(withdrawal=movement)
    it = await visit.ask(visit.service.withdrawals.GetWithdrawal, request)
    kind, act = account_pb2.MOVEMENT_KIND_WITHDRAWAL, "reverse-withdrawal"
    return Movement(kind, it, act, it.account, "", it.amount, it.currency, why=it.description)


async def _purchase(visit: Visit, movement: str) -> Movement:
    request = purchase_pb2.GetPurchaseRequest(purchase=movement)
    it = await visit.ask(visit.service.purchases.GetPurchase, request)
    kind, act = account_pb2.MOVEMENT_KIND_PURCHASE, "refund-purchase"
    return Movement(kind, it, act, it.account, "", it.amount, it.currency, why=it.description)


async def _transfer(visit: Visit, movement: str) -> Movement:
    request = transfer_pb2.GetTransferRequest(transfer=movement)
    it = await visit.ask(visit.service.transfers.GetTransfer, request)
    return Movement(
        account_pb2.MOVEMENT_KIND_TRANSFER,
        it,
        "reverse-transfer",
        it.from_account,
        it.to_account,
        it.amount,
        it.currency,
        it.received_amount,
        it.received_currency,
        it.description,
    )


async def _exchange(visit: Visit, movement: str) -> Movement:
    request = exchange_pb2.GetExchangeRequest(exchange=movement)
    it = await visit.ask(visit.service.exchanges.GetExchange, request)
    return Movement(
        account_pb2.MOVEMENT_KIND_EXCHANGE,
        it,
        "reverse-exchange",
        it.from_account,
        it.to_account,
        it.from_amount,
        it.from_currency,
        it.to_amount,
        it.to_currency,
        it.description,
    )


# Where the account of a reversal gets the money; otherwise it pays.
GIVEN_BACK = {account_pb2.MOVEMENT_KIND_WITHDRAWAL_REVERSAL, account_pb2.MOVEMENT_KIND_REFUND}
# Where both sides are customers'.
BETWEEN = {
    account_pb2.MOVEMENT_KIND_TRANSFER_REVERSAL,
    account_pb2.MOVEMENT_KIND_EXCHANGE_REVERSAL,
}


async def _reversal(visit: Visit, movement: str) -> Movement:
    request = reversal_pb2.GetReversalRequest(reversal=movement)
    it = await visit.ask(visit.service.reversals.GetReversal, request)
    other = it.counterparty if it.kind in BETWEEN else ""
    from_account, to_account = (other, it.account) if it.kind in GIVEN_BACK else (it.account, other)
    return Movement(
        it.kind, it, "", from_account, to_account, it.amount, it.currency, why=it.reason
    )


async def _entry(
    visit: Visit, account: str, movement: Movement
) -> tuple[str, account_pb2.Entry | None]:
    """An account, and the line of its statement that a movement made."""
    date = movement.message.date
    request = account_pb2.ListEntriesRequest(
        account=account,
        page_size=ENTRIES_MAX,
        filter=account_pb2.MovementFilter(start_time=date, end_time=queries.just_after(date)),
    )
    listed = await found(visit.ask(visit.service.accounts.ListEntries, request))
    entries = listed.entries if listed else []
    return account, next((entry for entry in entries if entry.movement == movement.id), None)
