"""DepositService: payments in, their ids and references, and lists of them."""

import asyncio
from uuid import uuid4

import grpc

from balance_client import AsyncClient, BalanceError, async_each, v1
from balance_service.domain.principals import Scope
from tests.service import Service, StartService, Verified, refused, replayed, rich


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
