"""The demo story, told through real gRPC against a service started with `run`."""

import re
import secrets as random_source
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import grpc
from google.protobuf.field_mask_pb2 import FieldMask

from balance_service._generated.balance.v1 import (
    account_pb2,
    account_pb2_grpc,
    auth_pb2,
    auth_pb2_grpc,
    deposit_pb2,
    deposit_pb2_grpc,
    event_pb2,
    event_pb2_grpc,
    hold_pb2,
    hold_pb2_grpc,
    proof_pb2,
    proof_pb2_grpc,
    purchase_pb2,
    purchase_pb2_grpc,
    statement_pb2,
    statement_pb2_grpc,
    transfer_pb2,
    transfer_pb2_grpc,
    user_pb2,
    user_pb2_grpc,
)
from balance_service.calls import channels
from balance_service.config import Settings
from balance_service.development import demo_receipt

Metadata = tuple[tuple[str, str], ...]
TIMEOUT_SECONDS = 10
MAIL_TIMEOUT_SECONDS = 5
CONNECT_TIMEOUT_SECONDS = 5
# Longer than a checkpoint is waited for unless a setting says otherwise.
RECEIPT_TIMEOUT_SECONDS = 90


class DemoError(RuntimeError):
    """The demo cannot go on; the message says why."""


def sign_in(channel: grpc.Channel, mailbox: Path, email: str) -> str:
    """Signs in with the code that the development mailer wrote down.

    Returns:
        An access token.

    Raises:
        DemoError: No code came to the mailbox: the service keeps its data elsewhere, or sends
            real mail.
    """
    stub = auth_pb2_grpc.AuthServiceStub(channel)
    earlier_codes = _read_codes(mailbox, email)
    sent = stub.SendConfirmationCode(
        auth_pb2.SendConfirmationCodeRequest(email=email), timeout=TIMEOUT_SECONDS
    )
    deadline = time.monotonic() + MAIL_TIMEOUT_SECONDS
    while len(codes := _read_codes(mailbox, email)) <= len(earlier_codes):
        if time.monotonic() > deadline:
            raise DemoError(f"no mail to {email} in {mailbox}: is this where `run` keeps its data?")
        time.sleep(0.05)
    request = auth_pb2.CreateTokenRequest(
        verification_id=sent.verification_id, confirmation_code=codes[-1]
    )
    return stub.CreateToken(request, timeout=TIMEOUT_SECONDS).token


def _read_codes(mailbox: Path, email: str) -> list[str]:
    if not mailbox.exists():
        return []
    pattern = rf"^To: {re.escape(email)}$.*?code is (\d{{8}})"
    text = mailbox.read_text(encoding="utf-8")
    return re.findall(pattern, text, re.MULTILINE | re.DOTALL)


class Person:
    """Someone in the story, signed in, with a rouble account."""

    def __init__(self, channel: grpc.Channel, mailbox: Path, name: str) -> None:
        self.email = f"{name}-{random_source.token_hex(3)}@example.com"
        token = sign_in(channel, mailbox, self.email)
        self.metadata: Metadata = (("authorization", f"Bearer {token}"),)
        users = user_pb2_grpc.UserServiceStub(channel)
        users.UpdateMe(
            user_pb2.UpdateMeRequest(
                user=user_pb2.User(first_name=name.capitalize()),
                update_mask=FieldMask(paths=["first_name"]),
            ),
            metadata=self.metadata,
            timeout=TIMEOUT_SECONDS,
        )
        self._accounts = account_pb2_grpc.AccountServiceStub(channel)
        self.account = self._accounts.CreateAccount(
            account_pb2.CreateAccountRequest(), metadata=self.metadata, timeout=TIMEOUT_SECONDS
        )

    def get_account(self, currency: str = "") -> account_pb2.Account:
        """The account as it is now, its balance also in another currency if one is named."""
        request = account_pb2.GetAccountRequest(account=self.account.id, currency=currency)
        return self._accounts.GetAccount(request, metadata=self.metadata, timeout=TIMEOUT_SECONDS)

    def list_entries(self) -> Iterator[account_pb2.Entry]:
        """The account's entries, oldest first."""
        request = account_pb2.ListEntriesRequest(account=self.account.id, order_by="date")
        yield from self._accounts.ListEntries(
            request, metadata=self.metadata, timeout=TIMEOUT_SECONDS
        ).entries


@contextmanager
def connect(settings: Settings, target: str) -> Iterator[grpc.Channel]:
    """A channel to the service at a gRPC target.

    Raises:
        DemoError: Nothing answers there, or the service refused a step of the story.
        ValueError: The certificates cannot be used.
    """
    with channels.open_blocking_channel(settings, target) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=CONNECT_TIMEOUT_SECONDS)
            yield channel
        except grpc.FutureTimeoutError:
            raise DemoError(f"nothing answers at {target}: start it with `make run`") from None
        except grpc.RpcError as error:
            assert isinstance(error, grpc.Call)
            raise DemoError(f"{error.code().name}: {error.details()}") from None


def tell(channel: grpc.Channel, mailbox: Path) -> Iterator[str]:
    """Tells the story, line by line as it happens: who deposits, buys, sends and is refused."""
    people = [Person(channel, mailbox, name) for name in ("anna", "boris", "clara")]
    anna, boris, clara = people
    for person in people:
        yield f"{person.email} signed in and opened account {person.account.number} in RUB"

    deposits = deposit_pb2_grpc.DepositServiceStub(channel)
    request = deposit_pb2.CreateDepositRequest(
        amount="5000", description="Salary", request_id=str(uuid4())
    )
    deposit = deposits.CreateDeposit(request, metadata=anna.metadata, timeout=TIMEOUT_SECONDS)
    yield f"Anna deposited {deposit.amount} RUB: balance {deposit.balance}"
    again, replay = deposits.CreateDeposit.with_call(
        request, metadata=anna.metadata, timeout=TIMEOUT_SECONDS
    )
    replayed = ("idempotency-replayed", "true") in replay.trailing_metadata()
    yield f"The same request again: same deposit {again.id == deposit.id}, replayed {replayed}"

    yield from _buy(channel, anna)

    transfers = transfer_pb2_grpc.TransferServiceStub(channel)
    transfer = transfers.CreateTransfer(
        transfer_pb2.CreateTransferRequest(
            to_account=boris.account.number,
            amount="750.50",
            description="For the tickets",
            request_id=str(uuid4()),
        ),
        metadata=anna.metadata,
        timeout=TIMEOUT_SECONDS,
    )
    yield f"Anna sent Boris {transfer.amount} RUB: balance {transfer.balance}"
    yield _try_to_overdraw(transfers, anna, boris)
    yield from _hold(channel, anna, boris)
    back = transfers.ReverseTransfer(
        transfer_pb2.ReverseTransferRequest(
            transfer=transfer.id,
            amount="250.50",
            reason="One ticket fewer",
            request_id=str(uuid4()),
        ),
        metadata=boris.metadata,
        timeout=TIMEOUT_SECONDS,
    )
    yield f"Boris sent {back.amount} RUB of it back: balance {back.balance}"
    yield _split(transfers, anna, boris, clara)

    in_euros = anna.get_account("EUR")
    rate = in_euros.conversion
    yield f"Anna has {rate.amount} RUB, or {in_euros.balance} EUR at {rate.rate} ({rate.source})"
    for person, name in ((anna, "Anna"), (boris, "Boris")):
        yield f"{name}'s statement:"
        for entry in person.list_entries():
            when = entry.date.ToDatetime().strftime("%H:%M:%S")
            kind = account_pb2.MovementKind.Name(entry.kind).removeprefix("MOVEMENT_KIND_").lower()
            yield (
                f"  {entry.sequence}  {when}  {kind:<17} {entry.amount:>10}"
                f" {entry.balance_after:>10}  {entry.description}"
            )
    yield _sum_up(channel, anna)
    yield "Boris was told of it as it happened:"
    yield from _follow(channel, boris)
    yield _prove(channel, boris)


def _follow(channel: grpc.Channel, person: Person) -> Iterator[str]:
    """The person's events from the first to that of their last entry, as they would follow them."""
    last = list(person.list_entries())[-1]
    events = event_pb2_grpc.EventServiceStub(channel).WatchEvents(
        event_pb2.WatchEventsRequest(start_time=person.account.date),
        metadata=person.metadata,
        timeout=TIMEOUT_SECONDS,
    )
    for message in events:
        event = message.event
        if event.balances:
            yield f"  {event.type:<30} balance {event.balances[0].balance:>8}"
        if event.movement.id == last.movement:
            events.cancel()
            return


def _prove(channel: grpc.Channel, person: Person) -> str:
    """A receipt for the person's last entry, once a checkpoint covers it, and what it proves."""
    last = list(person.list_entries())[-1]
    proofs = proof_pb2_grpc.ProofServiceStub(channel)
    request = proof_pb2.GetReceiptRequest(movement=last.movement)
    deadline = time.monotonic() + RECEIPT_TIMEOUT_SECONDS
    while True:
        try:
            receipt = proofs.GetReceipt(request, metadata=person.metadata, timeout=TIMEOUT_SECONDS)
            break
        except grpc.RpcError as error:
            assert isinstance(error, grpc.Call)
            early = error.code() is grpc.StatusCode.FAILED_PRECONDITION
            if not early or time.monotonic() > deadline:
                raise
        time.sleep(0.5)
    published = auth_pb2_grpc.AuthServiceStub(channel).GetJwks(
        auth_pb2.GetJwksRequest(), timeout=TIMEOUT_SECONDS
    )
    (key,) = (key for key in published.keys if key.kid == receipt.checkpoint.key_id)
    proved = demo_receipt.check(receipt, key)
    return (
        f"A receipt, checked without the service: entry {proved['sequence']} of Boris's account is"
        f" {proved['amount_minor']} kopecks, and {proved['balance_after_minor']} after it"
    )


def _sum_up(channel: grpc.Channel, person: Person) -> str:
    """The person's statement for all of their entries: what they began and ended with."""
    *_, last = person.list_entries()
    request = statement_pb2.GetStatementRequest(
        account=person.account.id, start_time=person.account.date
    )
    request.end_time.FromMicroseconds(last.date.ToMicroseconds() + 1)
    told = statement_pb2_grpc.StatementServiceStub(channel).GetStatement(
        request, metadata=person.metadata, timeout=TIMEOUT_SECONDS
    )
    return (
        f"Anna's {told.entry_count} entries add up: {told.opening_balance} + {told.total_in}"
        f" - {told.total_out} = {told.closing_balance}"
    )


def _buy(channel: grpc.Channel, person: Person) -> Iterator[str]:
    purchases = purchase_pb2_grpc.PurchaseServiceStub(channel)
    catalogue = purchases.ListServices(
        purchase_pb2.ListServicesRequest(currency="USD"), timeout=TIMEOUT_SECONDS
    )
    if not catalogue.services:
        raise DemoError("the catalogue has nothing priced in USD")
    service = catalogue.services[0]
    request = purchase_pb2.CreatePurchaseRequest(service=service.id, request_id=str(uuid4()))
    purchase = purchases.CreatePurchase(request, metadata=person.metadata, timeout=TIMEOUT_SECONDS)
    rate = purchase.conversion
    yield (
        f"Anna bought {service.name} for {rate.amount} USD = {purchase.amount} RUB "
        f"at {rate.rate} ({rate.source})"
    )
    request.request_id = str(uuid4())
    again = purchases.CreatePurchase(request, metadata=person.metadata, timeout=TIMEOUT_SECONDS)
    yield f"Bought again: already purchased {again.already_purchased}, nothing charged"


def _hold(channel: grpc.Channel, payer: Person, receiver: Person) -> Iterator[str]:
    holds = hold_pb2_grpc.HoldServiceStub(channel)
    hold = holds.CreateHold(
        hold_pb2.CreateHoldRequest(
            to_account=receiver.account.id,
            amount="300",
            description="Deposit for the flat",
            request_id=str(uuid4()),
        ),
        metadata=payer.metadata,
        timeout=TIMEOUT_SECONDS,
    )
    account = payer.get_account()
    yield f"{hold.amount} RUB of Anna's are held for Boris: {account.available} RUB are available"
    capture = holds.CaptureHold(
        hold_pb2.CaptureHoldRequest(hold=hold.id, amount="120", request_id=str(uuid4())),
        metadata=payer.metadata,
        timeout=TIMEOUT_SECONDS,
    )
    account = payer.get_account()
    yield f"{capture.amount} RUB were captured, the rest given back: balance {account.balance}"


def _split(
    transfers: "transfer_pb2_grpc.TransferServiceStub", payer: Person, *receivers: Person
) -> str:
    weighted = [
        transfer_pb2.SplitReceiver(to_account=receiver.account.number, weight=weight)
        for weight, receiver in enumerate(receivers, 1)
    ]
    split = transfers.CreateSplit(
        transfer_pb2.CreateSplitRequest(
            amount="100", receivers=weighted, description="Pizza", request_id=str(uuid4())
        ),
        metadata=payer.metadata,
        timeout=TIMEOUT_SECONDS,
    )
    parts = " and ".join(part.transfer.amount for part in split.parts)
    return (
        f"Anna split 100 RUB between Boris and Clara, one to two: {parts},"
        f" a remainder of {split.remainder} included"
    )


def _try_to_overdraw(
    transfers: "transfer_pb2_grpc.TransferServiceStub", sender: Person, receiver: Person
) -> str:
    request = transfer_pb2.CreateTransferRequest(to_account=receiver.account.id, amount="100000")
    try:
        transfers.CreateTransfer(request, metadata=sender.metadata, timeout=TIMEOUT_SECONDS)
    except grpc.RpcError as error:
        assert isinstance(error, grpc.Call)
        return f"Anna tried to send 100000 RUB: {error.details()}"
    raise DemoError("an overdraft was allowed")
