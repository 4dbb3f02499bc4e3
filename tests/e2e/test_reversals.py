"""Reversals: deposits, withdrawals, purchases, transfers and exchanges taken back."""

import pytest

from balance_client import v1
from balance_service.domain.principals import Scope
from tests.rates import expire_quotes
from tests.service import Person, Service, Verified, reason, refused, replayed, rich


async def transferred(service: Service, amount: str) -> tuple[Person, Person, v1.Transfer]:
    """A sender, a receiver and a transfer between them."""
    sender, _ = await rich(service)
    receiver, account = await rich(service, "5")
    transfer = await sender.client.transfers.CreateTransfer(
        v1.CreateTransferRequest(to_account=account, amount=amount)
    )
    return sender, receiver, transfer


async def sold(service: Service, price: str, currency: str = "RUB") -> str:
    admin = await service.admin()
    offer = v1.Service(name="Tea", price=price, currency=currency)
    request = v1.CreateServiceRequest(service=offer)
    return (await admin.client.purchases.CreateService(request)).id


async def test_receiver_sends_a_transfer_back_in_parts_and_never_more(service: Service) -> None:
    sender, receiver, transfer = await transferred(service, "100")
    request = v1.ReverseTransferRequest(
        transfer=transfer.id, amount="30", reason="Too much", request_id="back 1"
    )
    first = await receiver.client.transfers.ReverseTransfer(request)
    assert (first.amount, first.currency, first.balance) == ("30.00", "RUB", "75.00")
    assert (first.original, first.account) == (transfer.id, transfer.to_account)
    assert first.kind == v1.MOVEMENT_KIND_TRANSFER_REVERSAL
    assert await replayed(receiver.client.transfers.ReverseTransfer(request))
    request = v1.ReverseTransferRequest(transfer=transfer.id, amount="70.01", reason="x")
    error = await refused(receiver.client.transfers.ReverseTransfer(request))
    assert (error.reason, error.metadata["left"]) == ("REVERSAL_TOO_LARGE", "70.00")
    request.amount = ""
    rest = await receiver.client.transfers.ReverseTransfer(request)
    assert rest.amount == "70.00"
    assert await reason(receiver.client.transfers.ReverseTransfer(request)) == "REVERSAL_TOO_LARGE"
    get = v1.GetTransferRequest(transfer=transfer.id)
    seen = await sender.client.transfers.GetTransfer(get)
    assert seen.reversed_amount == "100.00"
    assert sorted(seen.reversals) == sorted([first.id, rest.id])
    assert await sender.balance(transfer.from_account) == "1000.00"
    got = await sender.client.reversals.GetReversal(v1.GetReversalRequest(reversal=first.id))
    assert (got.id, got.balance) == (first.id, "")
    statement = v1.ListEntriesRequest(account=transfer.from_account)
    (entry, *_) = (await sender.client.accounts.ListEntries(statement)).entries
    assert (entry.original, entry.amount, entry.description) == (transfer.id, "70.00", "x")


async def test_who_may_send_a_transfer_back(service: Service) -> None:
    sender, _, transfer = await transferred(service, "100")
    stranger, _ = await rich(service)
    request = v1.ReverseTransferRequest(transfer=transfer.id, reason="Mine")
    assert await reason(sender.client.transfers.ReverseTransfer(request)) == "PERMISSION_MISSING"
    assert await reason(stranger.client.transfers.ReverseTransfer(request)) == "MOVEMENT_NOT_FOUND"
    writer = await service.sibling(Scope.TRANSFERS_WRITE)
    assert await reason(writer.transfers.ReverseTransfer(request)) == "PERMISSION_MISSING"
    support = await service.sibling(Scope.TRANSFERS_REVERSE)
    assert (await support.transfers.ReverseTransfer(request)).amount == "100.00"


async def test_admin_forces_a_chargeback_into_the_overdraft(service: Service) -> None:
    admin = await service.admin()
    person, account = await rich(service, "100")
    deposit = (await person.client.deposits.ListDeposits(v1.ListDepositsRequest())).deposits[0]
    await person.client.withdrawals.CreateWithdrawal(v1.CreateWithdrawalRequest(amount="60"))
    accounts = admin.client.accounts
    await accounts.SetAccountLimit(v1.SetAccountLimitRequest(account=account, limit="50"))
    await accounts.FreezeAccount(v1.FreezeAccountRequest(account=account))
    request = v1.ReverseDepositRequest(deposit=deposit.id, reason="Chargeback")
    reverse = admin.client.deposits.ReverseDeposit
    assert await reason(reverse(request)) == "ACCOUNT_FROZEN"
    await accounts.UnfreezeAccount(v1.UnfreezeAccountRequest(account=account))
    error = await refused(reverse(request))
    assert (error.reason, error.metadata["missing"]) == ("INSUFFICIENT_FUNDS", "60.00")
    request.force = True
    assert await reason(reverse(request)) == "INSUFFICIENT_FUNDS"
    sibling = await service.sibling(Scope.DEPOSITS_REVERSE)
    assert await reason(sibling.deposits.ReverseDeposit(request)) == "PERMISSION_MISSING"
    request.amount = "90"
    await accounts.FreezeAccount(v1.FreezeAccountRequest(account=account))
    assert (await reverse(request)).balance == "-50.00"


async def test_refund_goes_by_the_rate_of_the_purchase_and_sells_again(service: Service) -> None:
    service_id = await sold(service, "7", "USD")
    person, account = await rich(service, "100000")
    request = v1.CreatePurchaseRequest(service=service_id)
    purchase = await person.client.purchases.CreatePurchase(request)
    support = await service.sibling(Scope.PURCHASES_REFUND)
    refund = v1.RefundPurchaseRequest(purchase=purchase.id, amount="0.01", reason="Late")
    small = await support.purchases.RefundPurchase(refund)
    assert small.conversion.amount == "0.00"
    assert small.conversion.rate == purchase.conversion.rate
    assert (await person.client.purchases.CreatePurchase(request)).already_purchased
    rest = await support.purchases.RefundPurchase(
        v1.RefundPurchaseRequest(purchase=purchase.id, reason="Late")
    )
    assert rest.conversion.amount == "7.00"
    assert await person.balance(account) == "100000.00"
    again = await person.client.purchases.CreatePurchase(request)
    assert (again.already_purchased, again.id == purchase.id) == (False, False)
    assert (await person.client.purchases.CreatePurchase(request)).id == again.id


async def test_reversal_of_a_withdrawal_pays_back(service: Service) -> None:
    person, account = await rich(service, "100")
    withdrawal = await person.client.withdrawals.CreateWithdrawal(
        v1.CreateWithdrawalRequest(amount="60")
    )
    bank = await service.sibling(Scope.WITHDRAWALS_REVERSE)
    request = v1.ReverseWithdrawalRequest(withdrawal=withdrawal.id, reason="Bounced")
    back = await bank.withdrawals.ReverseWithdrawal(request)
    assert (back.balance, back.account) == ("100.00", account)
    # What took a movement back is no withdrawal that could be taken back.
    request.withdrawal = back.id
    error = await refused(bank.withdrawals.ReverseWithdrawal(request))
    assert (error.reason, error.metadata["kind"]) == ("NOT_REVERSIBLE", "WITHDRAWAL_REVERSAL")


async def test_same_request_id_with_other_fields_names_them(service: Service) -> None:
    _, receiver, transfer = await transferred(service, "100")
    request = v1.ReverseTransferRequest(
        transfer=transfer.id, amount="30", reason="One", request_id="r"
    )
    await receiver.client.transfers.ReverseTransfer(request)
    request.amount, request.reason = "", "Other"
    error = await refused(receiver.client.transfers.ReverseTransfer(request))
    assert (error.reason, error.metadata["fields"]) == ("IDEMPOTENCY_KEY_REUSED", "amount,reason")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"transfer": "x"}, "transfer"),
        ({"amount": "0"}, "amount"),
        ({"amount": "1.001"}, "amount"),
        ({"amount": "-1"}, "amount"),
        ({"reason": ""}, "reason"),
        ({"reason": "x" * 201}, "reason"),
        ({"account_etag": "x" * 101}, "account_etag"),
        ({"request_id": " "}, "request_id"),
    ],
)
async def test_wrong_values_are_named(
    service: Service, changes: dict[str, str], field: str
) -> None:
    _, receiver, transfer = await transferred(service, "100")
    request = v1.ReverseTransferRequest(transfer=transfer.id, amount="1", reason="x")
    for name, value in changes.items():
        setattr(request, name, value)
    error = await refused(receiver.client.transfers.ReverseTransfer(request))
    assert [violation.field for violation in error.violations] == [field]


async def test_reversal_over_http(service: Service) -> None:
    _, receiver, transfer = await transferred(service, "100")
    answer = await receiver.http(
        "POST", f"/api/v1/transfers/{transfer.id}:reverse", {"amount": "40", "reason": "Half"}
    )
    assert (answer.status, answer.json["amount"], answer.json["balance"]) == (200, "40.00", "65.00")
    got = await receiver.http("GET", f"/api/v1/reversals/{answer.json['id']}")
    assert got.json == answer.json
    assert (await receiver.http("GET", f"/api/v1/transfers/{transfer.id}")).json["reversals"] == [
        answer.json["id"]
    ]


# What a quote carried out


async def quoted(person: Person, amount: str) -> str:
    """A quote of what roubles buy in dollars."""
    terms = v1.CreateQuoteRequest(from_currency="RUB", to_currency="USD", from_amount=amount)
    return (await person.client.exchanges.CreateQuote(terms)).id


async def exchanged(service: Service, amount: str) -> tuple[Person, v1.Exchange]:
    """Somebody with 1000 roubles, some of which they changed into dollars."""
    person, _ = await rich(service)
    await person.open("USD")
    request = v1.CreateExchangeRequest(quote=await quoted(person, amount))
    return person, await person.client.exchanges.CreateExchange(request)


async def test_exchange_is_taken_back_in_parts_at_its_rate(
    service: Service, verified: Verified
) -> None:
    person, exchange = await exchanged(service, "81.21")
    assert exchange.to_amount == "1.01"
    exchanges = person.client.exchanges
    request = v1.ReverseExchangeRequest(
        exchange=exchange.id, amount="0.30", reason="Too much", request_id="back 1"
    )
    small = await exchanges.ReverseExchange(request)
    assert small.kind == v1.MOVEMENT_KIND_EXCHANGE_REVERSAL
    assert (small.account, small.counterparty) == (exchange.to_account, exchange.from_account)
    assert (small.amount, small.currency, small.original) == ("0.30", "RUB", exchange.id)
    # Less than a cent, which is rounded up.
    assert (small.returned_amount, small.returned_currency) == ("0.01", "USD")
    assert small.balance == "1.00"
    assert small.rate == exchange.rate
    assert not small.HasField("conversion")
    assert await replayed(exchanges.ReverseExchange(request))
    again = await exchanges.ReverseExchange(
        v1.ReverseExchangeRequest(exchange=exchange.id, amount="0.30", reason="Still")
    )
    assert (again.returned_amount, again.balance) == ("0.00", "1.00")
    rest = await exchanges.ReverseExchange(
        v1.ReverseExchangeRequest(exchange=exchange.id, reason="All of it")
    )
    assert (rest.amount, rest.returned_amount, rest.balance) == ("80.61", "1.00", "0.00")
    request.request_id = ""
    assert await reason(exchanges.ReverseExchange(request)) == "REVERSAL_TOO_LARGE"
    assert await person.balance(exchange.from_account) == "1000.00"
    seen = await exchanges.GetExchange(v1.GetExchangeRequest(exchange=exchange.id))
    assert seen.reversed_amount == "81.21"
    assert sorted(seen.reversals) == sorted([small.id, again.id, rest.id])
    assert list((await exchanges.ListExchanges(v1.ListExchangesRequest())).exchanges) == [seen]
    for account, currency, amounts in (
        (exchange.from_account, "RUB", ["80.61", "0.30", "0.30"]),
        (exchange.to_account, "USD", ["-1.00", "-0.01"]),
    ):
        statement = v1.ListEntriesRequest(account=account, kind=v1.MOVEMENT_KIND_EXCHANGE_REVERSAL)
        entries = (await person.client.accounts.ListEntries(statement)).entries
        assert [entry.amount for entry in entries] == amounts
        assert {(entry.currency, entry.original) for entry in entries} == {(currency, exchange.id)}
    await verified()


async def test_receiver_gives_back_only_while_the_quote_holds(
    service: Service, database_url: str
) -> None:
    person, exchange = await exchanged(service, "80")
    request = v1.ReverseExchangeRequest(exchange=exchange.id, amount="8", reason="Wrong")
    request.request_id = "in time"
    await person.client.exchanges.ReverseExchange(request)
    expire_quotes(database_url)
    assert await replayed(person.client.exchanges.ReverseExchange(request))
    request.request_id = ""
    assert await reason(person.client.exchanges.ReverseExchange(request)) == "QUOTE_EXPIRED"
    stranger, _ = await rich(service)
    late = stranger.client.exchanges.ReverseExchange(request)
    assert await reason(late) == "MOVEMENT_NOT_FOUND"
    writer = await service.sibling(Scope.EXCHANGES_WRITE, Scope.TRANSFERS_REVERSE)
    assert await reason(writer.exchanges.ReverseExchange(request)) == "PERMISSION_MISSING"
    support = await service.sibling(Scope.EXCHANGES_REVERSE)
    assert (await support.exchanges.ReverseExchange(request)).returned_amount == "0.10"
    admin = await service.admin()
    assert (await admin.client.exchanges.ReverseExchange(request)).amount == "8.00"
    as_transfer = v1.ReverseTransferRequest(transfer=exchange.id, reason="Wrong")
    error = await refused(admin.client.transfers.ReverseTransfer(as_transfer))
    assert (error.reason, error.metadata["kind"]) == ("NOT_REVERSIBLE", "EXCHANGE")


async def test_transfer_by_quote_goes_back_in_both_currencies(
    service: Service, verified: Verified
) -> None:
    sender, rubles = await rich(service)
    receiver, _ = await rich(service)
    dollars = (await receiver.open("USD")).id
    sent = await sender.client.transfers.CreateTransfer(
        v1.CreateTransferRequest(to_account=dollars, amount="80", quote=await quoted(sender, "80"))
    )
    request = v1.ReverseTransferRequest(transfer=sent.id, amount="20", reason="Too much")
    assert await reason(sender.client.transfers.ReverseTransfer(request)) == "PERMISSION_MISSING"
    back = await receiver.client.transfers.ReverseTransfer(request)
    assert (back.amount, back.currency) == ("20.00", "RUB")
    assert (back.returned_amount, back.returned_currency, back.balance) == ("0.25", "USD", "0.75")
    got = await sender.client.reversals.GetReversal(v1.GetReversalRequest(reversal=back.id))
    assert (got.returned_amount, got.balance) == ("0.25", "")
    assert await sender.balance(rubles) == "940.00"
    terms = v1.CreateQuoteRequest(from_currency="USD", to_currency="RUB", from_amount="0.75")
    spent = await receiver.client.exchanges.CreateQuote(terms)
    await receiver.client.exchanges.CreateExchange(v1.CreateExchangeRequest(quote=spent.id))
    error = await refused(receiver.client.transfers.ReverseTransfer(request))
    assert (error.reason, error.metadata["required"]) == ("INSUFFICIENT_FUNDS", "0.25")
    assert error.metadata["currency"] == "USD"
    admin = await service.admin()
    await admin.client.accounts.SetAccountLimit(
        v1.SetAccountLimitRequest(account=dollars, limit="0.25")
    )
    request.force = True
    forced = await admin.client.transfers.ReverseTransfer(request)
    assert (forced.returned_amount, forced.balance) == ("0.25", "-0.25")
    await verified()


async def test_exchange_is_taken_back_over_http(service: Service) -> None:
    person, exchange = await exchanged(service, "80")
    answer = await person.http(
        "POST", f"/api/v1/exchanges/{exchange.id}:reverse", {"reason": "Wrong"}
    )
    assert (answer.status, answer.json["returned_amount"]) == (200, "1.00")
    assert answer.json["kind"] == "MOVEMENT_KIND_EXCHANGE_REVERSAL"
    got = await person.http("GET", f"/api/v1/reversals/{answer.json['id']}")
    assert got.json == answer.json
