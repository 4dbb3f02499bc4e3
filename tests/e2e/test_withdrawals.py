"""WithdrawalService: payments out, and who reads them."""

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from balance_client import v1
from tests.service import Service, refused, rich


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
