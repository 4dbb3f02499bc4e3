"""The part of the demo in which many pay one account at once."""

from typing import TYPE_CHECKING
from uuid import uuid4

import grpc

from balance_service._generated.balance.v1 import (
    account_pb2,
    account_pb2_grpc,
    transfer_pb2,
    transfer_pb2_grpc,
)

if TYPE_CHECKING:
    from balance_service.development.demo import Person

SUB_ACCOUNTS = 4
PAYMENTS = 8
TIMEOUT_SECONDS = 10


def sell(channel: grpc.Channel, admin_token: str, shop: "Person", payer: "Person") -> str:
    """Gives Clara's account sub-accounts, and has it paid side by side.

    Args:
        channel: To the service.
        admin_token: An admin's access token.
        shop: Clara.
        payer: Who pays.
    """
    accounts = account_pb2_grpc.AccountServiceStub(channel)
    divided = accounts.SetSubAccounts(
        account_pb2.SetSubAccountsRequest(
            account=shop.account.id,
            sub_accounts=SUB_ACCOUNTS,
            reason="A shop that many pay at once",
            request_id=str(uuid4()),
        ),
        metadata=(("authorization", f"Bearer {admin_token}"),),
        timeout=TIMEOUT_SECONDS,
    )
    transfers = transfer_pb2_grpc.TransferServiceStub(channel)
    under_way = [
        transfers.CreateTransfer.future(
            transfer_pb2.CreateTransferRequest(
                to_account=shop.account.number, amount="10", request_id=str(uuid4())
            ),
            metadata=payer.metadata,
            timeout=TIMEOUT_SECONDS,
        )
        for _ in range(PAYMENTS)
    ]
    for payment in under_way:
        payment.result()
    return (
        f"An admin gave Clara's account {divided.sub_accounts} sub-accounts; {PAYMENTS} payments of"
        f" 10 RUB at once: balance {shop.get_account().balance}"
    )
