"""DepositService, WithdrawalService, PurchaseService and TransferService, through the client."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.rpc import error_details_pb2, status_pb2

from balance_client import AsyncClient, BalanceError, async_each, v1
from balance_service.domain.principals import Scope
from tests.conftest import Person, Service, StartService, refused

Verified = Callable[[], Awaitable[object]]


async def replayed(call: object) -> bool:
    await call  # type: ignore[misc]
    trailers = tuple(await call.trailing_metadata())  # type: ignore[attr-defined]
    return ("idempotency-replayed", "true") in trailers


async def rich(service: Service, amount: str = "1000") -> tuple[Person, str]:
    person = await service.person()
    account = await person.open()
    await person.deposit(amount, account.id)
    return person, account.id


# Deposits and withdrawals


async def test_services_need_the_scope_and_users_the_setting(start_service: StartService) -> None:
    service = await start_service(user_deposits=False)
    person = await service.person()
    account = await person.open()
    billing = await service.sibling(Scope.DEPOSITS_WRITE)
    request = v1.CreateDepositRequest(account=account.id, amount="5")
    assert (await billing.deposits.CreateDeposit(request)).balance == "5.00"
    out = v1.CreateWithdrawalRequest(account=account.id, amount="5")
    for call in (
        billing.withdrawals.CreateWithdrawal(out),
        person.client.deposits.CreateDeposit(request),
        person.client.withdrawals.CreateWithdrawal(out),
    ):
        error = await refused(call)
        assert (error.code(), error.reason) == (
            grpc.StatusCode.PERMISSION_DENIED,
            "PERMISSION_MISSING",
        )
    assert await person.balance(account.id) == "5.00"


async def test_deposit_repeated_with_its_request_id_is_made_once(service: Service) -> None:
    person, account = await rich(service, "1")
    request = v1.CreateDepositRequest(account=account, amount="9", request_id=str(uuid4()))
    first = await person.client.deposits.CreateDeposit(request)
    again = person.client.deposits.CreateDeposit(request)
    assert await replayed(again)
    assert await again == first
    assert await person.balance(account) == "10.00"


async def test_requests_without_an_id_are_simply_new(service: Service) -> None:
    person = await service.person()
    account = await person.open()
    async with grpc.aio.insecure_channel(service.target) as channel:
        create = channel.unary_unary(
            "/balance.v1.DepositService/CreateDeposit",
            request_serializer=v1.CreateDepositRequest.SerializeToString,
            response_deserializer=v1.Deposit.FromString,
        )
        metadata = grpc.aio.Metadata(("authorization", f"Bearer {person.token.token}"))
        for _ in range(2):
            await create(v1.CreateDepositRequest(amount="3"), metadata=metadata)
    assert await person.balance(account.id) == "6.00"


async def test_reused_key_names_the_fields_that_differ(service: Service) -> None:
    person, account = await rich(service)
    key = str(uuid4())
    request = v1.CreateDepositRequest(
        account=account, amount="9", description="Salary", request_id=key
    )
    await person.client.deposits.CreateDeposit(request)
    changed = v1.CreateDepositRequest(account=account, amount="10", request_id=key)
    error = await refused(person.client.deposits.CreateDeposit(changed))
    assert (error.code(), error.reason) == (
        grpc.StatusCode.ALREADY_EXISTS,
        "IDEMPOTENCY_KEY_REUSED",
    )
    assert error.metadata == {"request_id": key, "fields": "amount,description"}
    other = v1.CreateWithdrawalRequest(account=account, amount="9", request_id=key)
    error = await refused(person.client.withdrawals.CreateWithdrawal(other))
    assert error.metadata["fields"] == "method"
    assert await person.balance(account) == "1009.00"


async def test_caller_uses_a_reference_of_a_source_once(
    service: Service, verified: Verified
) -> None:
    person, account = await rich(service)
    billing = await service.sibling(Scope.DEPOSITS_WRITE)
    payouts = await service.sibling(Scope.DEPOSITS_WRITE)
    request = v1.CreateDepositRequest(account=account, amount="5", reference="ch_1")
    first = await billing.deposits.CreateDeposit(request)
    assert (first.reference, first.source.startswith("service:")) == ("ch_1", True)
    error = await refused(billing.deposits.CreateDeposit(request))
    assert (error.reason, error.metadata["movement"]) == ("REFERENCE_REUSED", first.id)
    await payouts.deposits.CreateDeposit(request)
    request.source = "stripe"
    clients = [billing, payouts] * 4
    results = await asyncio.gather(
        *(client.deposits.CreateDeposit(request) for client in clients), return_exceptions=True
    )
    heard: dict[AsyncClient, set[str]] = {billing: set(), payouts: set()}
    for client, result in zip(clients, results, strict=True):
        if isinstance(result, BalanceError):
            assert result.reason == "REFERENCE_REUSED"
            heard[client].add(result.metadata["movement"])
        else:
            assert isinstance(result, v1.Deposit)
            heard[client].add(result.id)
    # Each made one deposit, and heard of no other.
    assert [len(ids) for ids in heard.values()] == [1, 1]
    assert not heard[billing] & heard[payouts]
    assert await person.balance(account) == "1020.00"
    await verified()


async def test_nobody_burns_a_reference_of_another(service: Service, verified: Verified) -> None:
    person, account = await rich(service)
    billing = await service.sibling(Scope.DEPOSITS_WRITE)
    own = v1.CreateDepositRequest(account=account, amount="5", reference="ch_1")
    source = (await billing.deposits.CreateDeposit(own)).source
    burning = v1.CreateDepositRequest(account=account, amount="1", source=source, reference="ch_2")
    burnt = await person.client.deposits.CreateDeposit(burning)
    own.reference = "ch_2"
    deposit = await billing.deposits.CreateDeposit(own)
    assert (deposit.source, deposit.reference) == (burnt.source, burnt.reference)
    for client, request, movement in (
        (billing, own, deposit),
        (person.client, burning, burnt),
    ):
        error = await refused(client.deposits.CreateDeposit(request))
        assert (error.reason, error.metadata["movement"]) == ("REFERENCE_REUSED", movement.id)
    await verified()


async def test_withdrawal_beyond_the_balance_says_how_much_is_missing(service: Service) -> None:
    person, account = await rich(service, "10")
    request = v1.CreateWithdrawalRequest(account=account, amount="10.01")
    error = await refused(person.client.withdrawals.CreateWithdrawal(request))
    assert (error.code(), error.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "INSUFFICIENT_FUNDS",
    )
    assert error.metadata["missing"] == "0.01"
    assert (error.metadata["available"], error.metadata["currency"]) == ("10.00", "RUB")


async def test_refusal_in_russian_by_accept_language(service: Service) -> None:
    person, account = await rich(service, "10")
    metadata = grpc.aio.Metadata(
        ("authorization", f"Bearer {person.token.token}"), ("accept-language", "ru-RU,ru")
    )
    async with grpc.aio.insecure_channel(service.target) as channel:
        create = channel.unary_unary(
            "/balance.v1.WithdrawalService/CreateWithdrawal",
            request_serializer=v1.CreateWithdrawalRequest.SerializeToString,
            response_deserializer=v1.Withdrawal.FromString,
        )
        with pytest.raises(grpc.aio.AioRpcError) as error:
            request = v1.CreateWithdrawalRequest(account=account, amount="11")
            await create(request, metadata=metadata)
    trailers = dict(error.value.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    message = error_details_pb2.LocalizedMessage()
    assert any(detail.Unpack(message) for detail in status.details)
    assert message.locale == "ru"
    assert "не хватает 1.00 RUB" in message.message


async def test_deposits_and_withdrawals_are_read_by_their_owner_alone(service: Service) -> None:
    person, account = await rich(service)
    stranger = await service.person()
    deposit = await person.deposit("7", account)
    request = v1.CreateWithdrawalRequest(account=account, amount="2")
    withdrawal = await person.client.withdrawals.CreateWithdrawal(request)
    get = v1.GetDepositRequest(deposit=deposit.id)
    assert await person.client.deposits.GetDeposit(get) == deposit
    get_out = v1.GetWithdrawalRequest(withdrawal=withdrawal.id)
    assert await person.client.withdrawals.GetWithdrawal(get_out) == withdrawal
    for call in (
        stranger.client.deposits.GetDeposit(get),
        stranger.client.withdrawals.GetWithdrawal(get_out),
        # A withdrawal is not a deposit, whatever its id.
        person.client.deposits.GetDeposit(v1.GetDepositRequest(deposit=withdrawal.id)),
    ):
        assert (await refused(call)).reason == "MOVEMENT_NOT_FOUND"
    listed = await person.client.deposits.ListDeposits(v1.ListDepositsRequest())
    assert [d.amount for d in listed.deposits] == ["7.00", "1000.00"]
    outs = await person.client.withdrawals.ListWithdrawals(v1.ListWithdrawalsRequest())
    assert list(outs.withdrawals) == [withdrawal]


async def test_list_over_all_accounts_is_by_date_and_paged(service: Service) -> None:
    person = await service.person()
    rub, usd = await person.open("RUB"), await person.open("USD")
    made = []
    for index in range(7):
        account, code = ((rub.id, "RUB"), (usd.id, "USD"))[index % 3 == 0]
        made.append((await person.deposit(str(index + 1), account, code)).id)
    for order, expected in (("date", made), ("date desc", made[::-1])):
        request = v1.ListDepositsRequest(page_size=2, order_by=order)
        pages = async_each(person.client.deposits.ListDeposits, request, lambda p: p.deposits)
        assert [deposit.id async for deposit in pages] == expected


async def test_amounts_of_several_currencies_are_not_compared(service: Service) -> None:
    person = await service.person()
    rubles, yen = await person.open(), await person.open("JPY")
    await person.deposit("100")
    await person.deposit("100", currency="JPY")
    deposits = person.client.deposits
    bound = v1.MovementFilter(min_amount="50", max_amount="x")
    error = await refused(deposits.ListDeposits(v1.ListDepositsRequest(filter=bound)))
    assert {v.field for v in error.violations} == {"filter.min_amount", "filter.max_amount"}
    error = await refused(deposits.ListDeposits(v1.ListDepositsRequest(order_by="amount")))
    assert {v.field for v in error.violations} == {"order_by"}
    for account in (rubles, yen):
        request = v1.ListDepositsRequest(
            account=account.id, order_by="amount", filter=v1.MovementFilter(min_amount="50")
        )
        assert len((await deposits.ListDeposits(request)).deposits) == 1


# Transfers


async def test_transfer_moves_money_and_shows_its_sender_the_balance(
    service: Service, verified: Verified
) -> None:
    anna, ours = await rich(service)
    boris = await service.person()
    theirs = await boris.open()
    request = v1.CreateTransferRequest(to_account=theirs.number, amount="100.50")
    sent = await anna.client.transfers.CreateTransfer(request)
    assert (sent.from_account, sent.to_account) == (ours, theirs.id)
    assert (sent.amount, sent.balance) == ("100.50", "899.50")
    get = v1.GetTransferRequest(transfer=sent.id)
    assert await anna.client.transfers.GetTransfer(get) == sent
    received = await boris.client.transfers.GetTransfer(get)
    assert (received.id, received.balance) == (sent.id, "")
    stranger = await service.person()
    error = await refused(stranger.client.transfers.GetTransfer(get))
    assert error.reason == "MOVEMENT_NOT_FOUND"
    await verified()


async def test_mistyped_number_is_told_to_be_one(service: Service) -> None:
    person = await service.person()
    account = await person.open()
    mistyped = account.number[:-1] + str((int(account.number[-1]) + 1) % 10)
    for text in (mistyped, "12345", ""):
        request = v1.CreateTransferRequest(to_account=text, amount="1")
        error = await refused(person.client.transfers.CreateTransfer(request))
        (wrong,) = error.violations
        assert wrong.field == "to_account"
        assert "number of ten digits" in wrong.description


async def test_sent_and_received_are_listed_apart(service: Service) -> None:
    anna, ours = await rich(service)
    boris, theirs = await rich(service)
    there = await anna.client.transfers.CreateTransfer(
        v1.CreateTransferRequest(to_account=theirs, amount="1")
    )
    back = await boris.client.transfers.CreateTransfer(
        v1.CreateTransferRequest(to_account=ours, amount="2")
    )
    transfers = anna.client.transfers
    sent = await transfers.ListTransfers(v1.ListTransfersRequest())
    received = await transfers.ListTransfers(v1.ListTransfersRequest(received=True))
    to_me = await transfers.ListReceivedTransfers(v1.ListTransfersRequest())
    assert [t.id for t in sent.transfers] == [there.id]
    assert [(t.id, t.balance) for t in received.transfers] == [(back.id, "")]
    assert received.transfers == to_me.transfers


async def test_each_impossible_transfer_has_its_own_refusal(
    service: Service, verified: Verified
) -> None:
    anna, ours = await rich(service)
    boris, theirs = await rich(service)
    admin = await service.admin()
    own = (await admin.open()).id
    await admin.deposit("10", own)
    unfit = await unfit_receivers(service, admin)
    for reason, (account, number) in unfit.items():
        for receiver in (account, number):
            request = v1.CreateTransferRequest(amount="1", to_account=receiver)
            error = await refused(admin.client.transfers.CreateTransfer(request))
            assert error.reason == reason
    cases: dict[str, dict[str, Any]] = {
        "SAME_ACCOUNT": {"to_account": ours},
        "INSUFFICIENT_FUNDS": {"to_account": theirs, "amount": "1000.01"},
        "ACCOUNT_NOT_FOUND": {"from_account": theirs, "to_account": ours},
    }
    for reason, fields in cases.items():
        request = v1.CreateTransferRequest(**{"amount": "1", **fields})
        assert (await refused(anna.client.transfers.CreateTransfer(request))).reason == reason
    assert await anna.balance(ours) == await boris.balance(theirs) == "1000.00"
    await verified()


async def unfit_receivers(service: Service, admin: Person) -> dict[str, tuple[str, str]]:
    """Strangers' accounts that cannot receive, by why: id and number."""
    frozen, closed = [await (await service.person()).open() for _ in range(2)]
    dollars = await (await service.person()).open("USD")
    operators = admin.client.accounts
    await operators.FreezeAccount(v1.FreezeAccountRequest(account=frozen.id))
    await operators.CloseAccount(v1.CloseAccountRequest(account=closed.id))
    full = await (await service.person()).open()
    await (await service.sibling(Scope.DEPOSITS_WRITE)).deposits.CreateDeposit(
        v1.CreateDepositRequest(account=full.id, amount="92233720368547758.07")
    )
    return {
        "ACCOUNT_FROZEN": (frozen.id, frozen.number),
        "ACCOUNT_CLOSED": (closed.id, closed.number),
        "CURRENCY_MISMATCH": (dollars.id, dollars.number),
        "BALANCE_OVERFLOW": (full.id, full.number),
        "ACCOUNT_NOT_FOUND": (str(uuid4()), "1234567897"),
    }


async def test_strangers_account_that_cannot_receive_is_always_refused_the_same(
    service: Service, verified: Verified
) -> None:
    anna, ours = await rich(service)
    unfit = await unfit_receivers(service, await service.admin())
    payroll = await service.sibling(Scope.TRANSFERS_WRITE)
    receivers = [receiver for both in unfit.values() for receiver in both]
    for client in (anna.client, payroll):
        told: set[bytes] = set()
        alone: set[tuple[str, ...]] = set()
        for amount in ("1", "1000.01"):
            requests = [
                v1.CreateTransferRequest(
                    from_account=ours, to_account=text, amount=amount, request_id=f"{amount} {text}"
                )
                for text in receivers
            ]
            answers = [
                *(await client.transfers.BatchCreateTransfers(
                    v1.BatchCreateTransfersRequest(requests=requests)
                )).outcomes,
                *[outcome async for outcome in client.transfers.StreamTransfers(iter(requests))],
            ]  # fmt: skip
            told |= {answer.error.SerializeToString(deterministic=True) for answer in answers}
            for request in requests:
                error = await refused(client.transfers.CreateTransfer(request))
                fact = error.metadata.get("missing", "")
                alone.add((error.reason, str(error), fact))
        reasons = sorted(reason_of(status_pb2.Status.FromString(status)) for status in told)
        assert reasons == ["INSUFFICIENT_FUNDS", "RECEIVER_UNAVAILABLE"]
        assert sorted(reason for reason, *_ in alone) == reasons
    own = (await anna.open("USD")).id
    request = v1.CreateTransferRequest(from_account=ours, to_account=own, amount="1")
    error = await refused(anna.client.transfers.CreateTransfer(request))
    assert (error.reason, error.metadata["account"]) == ("CURRENCY_MISMATCH", own)
    assert await anna.balance(ours) == "1000.00"
    await verified()


def reason_of(status: status_pb2.Status) -> str:
    info = error_details_pb2.ErrorInfo()
    status.details[0].Unpack(info)
    return str(info.reason)


async def test_batch_answers_each_item_in_order(service: Service, verified: Verified) -> None:
    payroll = await service.sibling(Scope.TRANSFERS_WRITE)
    _, ours = await rich(service, "100")
    boris, theirs = await rich(service, "0.01")
    items = [
        v1.CreateTransferRequest(from_account=ours, to_account=theirs, amount=amount)
        for amount in ("10", "1000", "x", "20")
    ]
    request = v1.BatchCreateTransfersRequest(requests=items, request_id=str(uuid4()))
    answer = await payroll.transfers.BatchCreateTransfers(request)
    kinds = [outcome.WhichOneof("outcome") for outcome in answer.outcomes]
    assert kinds == ["transfer", "error", "error", "transfer"]
    assert answer.outcomes[1].error.code == grpc.StatusCode.FAILED_PRECONDITION.value[0]
    assert answer.outcomes[2].error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    again = await payroll.transfers.BatchCreateTransfers(request)
    assert [outcome.replayed for outcome in again.outcomes] == [True, False, False, True]
    assert again.outcomes[0].transfer == answer.outcomes[0].transfer
    assert await boris.balance(theirs) == "30.01"
    await verified()


async def test_all_or_nothing_batch_is_made_whole_or_not_at_all(
    service: Service, verified: Verified
) -> None:
    payroll = await service.sibling(Scope.TRANSFERS_WRITE)
    anna, ours = await rich(service, "100")
    _, theirs = await rich(service, "0.01")

    async def batch(*amounts: str) -> list[str | None]:
        items = [
            v1.CreateTransferRequest(from_account=ours, to_account=theirs, amount=amount)
            for amount in amounts
        ]
        request = v1.BatchCreateTransfersRequest(requests=items, all_or_nothing=True)
        answer = await payroll.transfers.BatchCreateTransfers(request)
        return [outcome.WhichOneof("outcome") for outcome in answer.outcomes]

    assert await batch("60", "60") == ["error", "error"]
    assert await batch("60", "-1") == ["error", "error"]
    assert await anna.balance(ours) == "100.00"
    assert await batch("60", "40") == ["transfer", "transfer"]
    assert await anna.balance(ours) == "0.00"
    await verified()


async def test_batch_of_a_thousand(service: Service, verified: Verified) -> None:
    payroll = await service.sibling(Scope.TRANSFERS_WRITE)
    _, ours = await rich(service, "100")
    boris, theirs = await rich(service, "0.01")
    item = v1.CreateTransferRequest(from_account=ours, to_account=theirs, amount="0.05")
    answer = await payroll.transfers.BatchCreateTransfers(
        v1.BatchCreateTransfersRequest(requests=[item] * 1000)
    )
    assert sum(outcome.HasField("transfer") for outcome in answer.outcomes) == 1000
    assert await boris.balance(theirs) == "50.01"
    for size in (0, 1001):
        request = v1.BatchCreateTransfersRequest(requests=[item] * size)
        error = await refused(payroll.transfers.BatchCreateTransfers(request))
        assert [violation.field for violation in error.violations] == ["requests"]
    await verified()


async def test_services_without_the_scope_transfer_nothing(service: Service) -> None:
    reader = await service.sibling(Scope.ACCOUNTS_READ)
    _, ours = await rich(service)
    request = v1.CreateTransferRequest(from_account=ours, to_account=str(uuid4()), amount="1")
    assert (await refused(reader.transfers.CreateTransfer(request))).reason == "PERMISSION_MISSING"


# The catalogue and purchases


async def catalogue(client: AsyncClient, price: str, currency: str = "RUB") -> v1.Service:
    service = v1.Service(name=f"Service for {price}", price=price, currency=currency)
    return await client.purchases.CreateService(v1.CreateServiceRequest(service=service))


async def test_catalogue_is_kept_by_admins_and_read_by_everyone(service: Service) -> None:
    admin, person, anyone = await service.admin(), await service.person(), service.client()
    made = await catalogue(admin.client, "10", "USD")
    await catalogue(admin.client, "20", "RUB")
    assert await anyone.purchases.GetService(v1.GetServiceRequest(service=made.id)) == made
    in_dollars = await anyone.purchases.ListServices(v1.ListServicesRequest(currency="USD"))
    assert list(in_dollars.services) == [made]
    pages = async_each(
        anyone.purchases.ListServices, v1.ListServicesRequest(page_size=1), lambda p: p.services
    )
    assert [found.currency async for found in pages] == ["USD", "RUB"]
    change = v1.UpdateServiceRequest(
        id=made.id,
        service=v1.Service(price="12.5", name="ignored", etag=made.etag),
        update_mask=FieldMask(paths=["price"]),
    )
    changed = await admin.client.purchases.UpdateService(change)
    assert (changed.price, changed.name) == ("12.50", made.name)
    error = await refused(admin.client.purchases.UpdateService(change))
    assert error.reason == "ETAG_MISMATCH"
    for call in (
        person.client.purchases.CreateService(v1.CreateServiceRequest(service=made)),
        person.client.purchases.UpdateService(change),
        person.client.purchases.DeleteService(v1.DeleteServiceRequest(service=made.id)),
    ):
        assert (await refused(call)).reason == "PERMISSION_MISSING"
    await admin.client.purchases.DeleteService(v1.DeleteServiceRequest(service=made.id))
    get = anyone.purchases.GetService(v1.GetServiceRequest(service=made.id))
    assert (await refused(get)).reason == "SERVICE_NOT_FOUND"


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": ""}, "service.name"),
        ({"name": "x" * 51}, "service.name"),
        ({"description": "x" * 1001}, "service.description"),
        ({"price": "0.99"}, "service.price"),
        ({"price": ""}, "service.price"),
        ({"price": "1.001"}, "service.price"),
        ({"price": "1.5", "currency": "JPY"}, "service.price"),
        ({"currency": "BTC"}, "service.currency"),
    ],
)
async def test_bad_service_is_refused_by_field(
    service: Service, values: dict[str, str], field: str
) -> None:
    admin = await service.admin()
    whole = v1.Service(**{"name": "Coffee", "price": "10", **values})  # type: ignore[arg-type]
    call = admin.client.purchases.CreateService(v1.CreateServiceRequest(service=whole))
    assert [violation.field for violation in (await refused(call)).violations] == [field]


async def test_foreign_price_is_charged_at_the_stored_rate(
    service: Service, verified: Verified
) -> None:
    admin = await service.admin()
    person, _ = await rich(service, "2000")
    sold = await catalogue(admin.client, "19.99", "USD")
    request = v1.CreatePurchaseRequest(service=sold.id)
    bought = await person.client.purchases.CreatePurchase(request)
    assert (bought.amount, bought.currency, bought.balance) == ("1599.20", "RUB", "400.80")
    assert (bought.conversion.amount, bought.conversion.currency) == ("19.99", "USD")
    assert (bought.conversion.rate, bought.conversion.source) == ("80", "static")
    assert not bought.already_purchased
    get = v1.GetPurchaseRequest(purchase=bought.id)
    assert await person.client.purchases.GetPurchase(get) == bought
    await verified()


async def test_second_purchase_charges_nothing_and_says_so(
    service: Service, verified: Verified
) -> None:
    admin = await service.admin()
    person, account = await rich(service)
    sold = await catalogue(admin.client, "10")
    request = v1.CreatePurchaseRequest(service=sold.id, account=account)
    answers = await asyncio.gather(
        *(person.client.purchases.CreatePurchase(request) for _ in range(6))
    )
    assert sorted(answer.already_purchased for answer in answers) == [False] + [True] * 5
    assert len({answer.id for answer in answers}) == 1
    assert await person.balance(account) == "990.00"
    await admin.client.purchases.DeleteService(v1.DeleteServiceRequest(service=sold.id))
    assert (await person.client.purchases.CreatePurchase(request)).already_purchased
    listed = await person.client.purchases.ListPurchases(v1.ListPurchasesRequest())
    assert [purchase.id for purchase in listed.purchases] == [answers[0].id]
    await verified()


async def test_purchase_is_refused_for_its_reason(service: Service) -> None:
    admin = await service.admin()
    person, account = await rich(service, "5")
    dear = await catalogue(admin.client, "10")
    exotic = await catalogue(admin.client, "10", "ZWG")
    gone = await catalogue(admin.client, "1")
    await admin.client.purchases.DeleteService(v1.DeleteServiceRequest(service=gone.id))
    cases = {
        "INSUFFICIENT_FUNDS": dear.id,
        "RATE_UNAVAILABLE": exotic.id,
        "SERVICE_NOT_FOUND": gone.id,
    }
    for reason, sold in cases.items():
        request = v1.CreatePurchaseRequest(service=sold, account=account)
        error = await refused(person.client.purchases.CreatePurchase(request))
        assert error.reason == reason
        if reason == "INSUFFICIENT_FUNDS":
            assert error.metadata["missing"] == "5.00"
    unknown = v1.CreatePurchaseRequest(service=str(uuid4()), account=account)
    error = await refused(person.client.purchases.CreatePurchase(unknown))
    assert error.reason == "SERVICE_NOT_FOUND"
    stranger = await service.person()
    theft = v1.CreatePurchaseRequest(service=dear.id, account=account)
    error = await refused(stranger.client.purchases.CreatePurchase(theft))
    assert error.reason == "ACCOUNT_NOT_FOUND"


async def test_purchase_retried_after_a_change_of_price_is_the_same(service: Service) -> None:
    admin = await service.admin()
    person, account = await rich(service)
    sold = await catalogue(admin.client, "10")
    request = v1.CreatePurchaseRequest(service=sold.id, account=account, request_id=str(uuid4()))
    first = await person.client.purchases.CreatePurchase(request)
    await admin.client.purchases.UpdateService(
        v1.UpdateServiceRequest(
            id=sold.id,
            service=v1.Service(price="99", name="Other"),
            update_mask=FieldMask(paths=["price", "name"]),
        )
    )
    again = person.client.purchases.CreatePurchase(request)
    assert await replayed(again)
    assert await again == first
