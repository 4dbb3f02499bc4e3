"""What is called most, in one line each: amounts are decimals, and requests are arguments.

Whatever is not among the arguments is in the request of the method itself, such as
`client.deposits.CreateDeposit`. All raise what that raises: a BalanceError.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime

from balance_client import v1
from balance_client._generated.services_sync import (
    AccountService,
    AuthService,
    DepositService,
    HoldService,
    ProofService,
    PurchaseService,
    TransferService,
    WithdrawalService,
)
from balance_client.receipts import CheckedReceipt, checked, published
from balance_client.sync.lists import each
from balance_client.values import Amount, Balance, to_decimal, to_timestamp, to_wire

# Whoever stops early has asked for no more than these.
ENTRIES_A_PAGE = 100


class Shortcuts:
    """Moves money, and reads accounts.

    Arguments that many have in common:
        amount: A Decimal, an int or a str; a float is a TypeError.
        currency: Of the amount, as an ISO 4217 code; it must be the account's.
        description: Why, for the statement.
        metadata: A small map of the caller's own, which is kept with the movement.
        request_id: Makes a repeat safe; a fresh one if it is empty.
        timeout: Seconds for all attempts; None takes the policy's.
    """

    accounts: AccountService
    deposits: DepositService
    withdrawals: WithdrawalService
    purchases: PurchaseService
    transfers: TransferService
    holds: HoldService
    proofs: ProofService
    auth: AuthService

    def open_account(
        self, user: str = "", currency: str = "RUB", *, timeout: float | None = None
    ) -> v1.Account:
        """Opens a user's account in a currency, or answers the one that there is.

        Args:
            user: Whose; empty for the caller's own.
        """
        request = v1.CreateAccountRequest(user=user, currency=currency)
        return self.accounts.CreateAccount(request, timeout=timeout)

    def balance(self, account: str, *, timeout: float | None = None) -> Balance:
        """What is on an account now."""
        request = v1.GetAccountRequest(account=account)
        found = self.accounts.GetAccount(request, timeout=timeout)
        return Balance(
            to_decimal(found.balance),
            to_decimal(found.held),
            to_decimal(found.available),
            found.currency,
        )

    def entries(self, account: str, *, order_by: str = "date") -> Iterator[v1.Entry]:
        """An account's statement, line by line over all its pages; without what is archived.

        Args:
            order_by: `date` for the oldest first, `date desc` for the newest.
        """
        request = v1.ListEntriesRequest(
            account=account, order_by=order_by, page_size=ENTRIES_A_PAGE
        )
        return each(self.accounts.ListEntries, request, lambda page: page.entries)

    def deposit(
        self,
        account: str,
        amount: Amount,
        currency: str,
        *,
        source: str = "",
        reference: str = "",
        description: str = "",
        metadata: Mapping[str, str] | None = None,
        request_id: str = "",
        timeout: float | None = None,
    ) -> v1.Deposit:
        """Brings money in from outside.

        Args:
            source: The outside system that the reference belongs to.
            reference: Its own id of the payment, which is accepted once.
        """
        request = v1.CreateDepositRequest(
            account=account,
            amount=to_wire(amount),
            currency=currency,
            source=source,
            reference=reference,
            description=description,
            metadata=metadata,
            request_id=request_id,
        )
        return self.deposits.CreateDeposit(request, timeout=timeout)

    def withdraw(
        self,
        account: str,
        amount: Amount,
        currency: str,
        *,
        source: str = "",
        reference: str = "",
        description: str = "",
        metadata: Mapping[str, str] | None = None,
        request_id: str = "",
        timeout: float | None = None,
    ) -> v1.Withdrawal:
        """Sends money out; the arguments are those of `deposit`."""
        request = v1.CreateWithdrawalRequest(
            account=account,
            amount=to_wire(amount),
            currency=currency,
            source=source,
            reference=reference,
            description=description,
            metadata=metadata,
            request_id=request_id,
        )
        return self.withdrawals.CreateWithdrawal(request, timeout=timeout)

    def transfer(
        self,
        from_account: str,
        to_account: str,
        amount: Amount,
        currency: str,
        *,
        description: str = "",
        metadata: Mapping[str, str] | None = None,
        request_id: str = "",
        timeout: float | None = None,
    ) -> v1.Transfer:
        """Moves money from one account to another.

        Args:
            to_account: Its id, or its public number.
        """
        request = v1.CreateTransferRequest(
            from_account=from_account,
            to_account=to_account,
            amount=to_wire(amount),
            currency=currency,
            description=description,
            metadata=metadata,
            request_id=request_id,
        )
        return self.transfers.CreateTransfer(request, timeout=timeout)

    def purchase(
        self,
        account: str,
        service: str,
        *,
        quantity: int = 1,
        expected_price: Amount = "",
        expected_currency: str = "",
        metadata: Mapping[str, str] | None = None,
        request_id: str = "",
        timeout: float | None = None,
    ) -> v1.Purchase:
        """Buys a service of the catalogue.

        Args:
            service: Its id.
            expected_price: What one must cost, or PRICE_CHANGED; empty for any price.
            expected_currency: Of that price.
        """
        request = v1.CreatePurchaseRequest(
            account=account,
            service=service,
            quantity=quantity,
            expected_price=to_wire(expected_price),
            expected_currency=expected_currency,
            metadata=metadata,
            request_id=request_id,
        )
        return self.purchases.CreatePurchase(request, timeout=timeout)

    def hold(
        self,
        account: str,
        amount: Amount,
        currency: str,
        *,
        to_account: str = "",
        expire_time: datetime | None = None,
        description: str = "",
        metadata: Mapping[str, str] | None = None,
        request_id: str = "",
        timeout: float | None = None,
    ) -> v1.Hold:
        """Reserves money for a transfer that is to come, or else for a withdrawal.

        Args:
            to_account: Who will receive it; empty for a withdrawal.
            expire_time: When it is given back, with a time zone; None for the service's default.
        """
        request = v1.CreateHoldRequest(
            account=account,
            to_account=to_account,
            amount=to_wire(amount),
            currency=currency,
            expire_time=to_timestamp(expire_time),
            description=description,
            metadata=metadata,
            request_id=request_id,
        )
        return self.holds.CreateHold(request, timeout=timeout)

    def capture(
        self,
        hold: str,
        amount: Amount = "",
        *,
        keep_rest: bool = False,
        description: str = "",
        metadata: Mapping[str, str] | None = None,
        request_id: str = "",
        timeout: float | None = None,
    ) -> v1.Capture:
        """Moves what is held.

        Args:
            hold: Its id.
            amount: How much of it; empty for all that is left.
            keep_rest: Whether the rest stays held, and is not given back.
        """
        request = v1.CaptureHoldRequest(
            hold=hold,
            amount=to_wire(amount),
            keep_rest=keep_rest,
            description=description,
            metadata=metadata,
            request_id=request_id,
        )
        return self.holds.CaptureHold(request, timeout=timeout)

    def void(
        self, hold: str, *, reason: str = "", request_id: str = "", timeout: float | None = None
    ) -> v1.Hold:
        """Gives back what is held."""
        request = v1.VoidHoldRequest(hold=hold, reason=reason, request_id=request_id)
        return self.holds.VoidHold(request, timeout=timeout)

    def receipt(
        self,
        movement: str,
        *,
        account: str = "",
        keys: Mapping[str, bytes] | None = None,
        timeout: float | None = None,
    ) -> CheckedReceipt:
        """A movement's receipt, checked here and not believed.

        Args:
            movement: Its id.
            account: Whose entry to show, where the caller may read both sides; empty for the
                caller's own, or the side that the money left.
            keys: The service's Ed25519 keys by their ids, from where you know that they are the
                service's. Without them those that it publishes now are asked for: then the receipt
                proves that the service says one thing to all, and not that it is the service.

        Raises:
            ReceiptInvalid: The receipt does not lead to a checkpoint that one of the keys signed,
                or is that of another movement or account.
            BalanceError: There is none, or not yet (RECEIPT_NOT_READY).
            ImportError: The extra `receipts` is not installed.
        """
        request = v1.GetReceiptRequest(movement=movement, account=account)
        found = self.proofs.GetReceipt(request, timeout=timeout)
        if keys is None:
            keys = published(self.auth.GetJwks(v1.GetJwksRequest(), timeout=timeout))
        return checked(found, keys, movement, account)
