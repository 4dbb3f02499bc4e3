"""Deposits and withdrawals: what DepositService and WithdrawalService have in common."""

from balance_service._generated.balance.v1 import deposit_pb2, withdrawal_pb2
from balance_service.calls.call import Call
from balance_service.database.pool import Pool
from balance_service.domain.movements import Followed, Kind
from balance_service.messages import account_access, fields
from balance_service.messages.listing import Listing, Page, read_query
from balance_service.repositories import journal

ListRequest = deposit_pb2.ListDepositsRequest | withdrawal_pb2.ListWithdrawalsRequest


class Settlements:
    """Reads what moved between accounts and the outside world.

    Its methods take the steps of an RPC but for the last: the servicers answer.

    Args:
        pool: For single ones.
        listing: Lists them.
        kind: DEPOSIT or WITHDRAWAL.
    """

    def __init__(self, pool: Pool, listing: Listing, kind: Kind) -> None:
        self._pool = pool
        self._listing = listing
        self._kind = kind

    async def get(self, call: Call, text: str, field: str) -> Followed:
        movement_id = fields.identifier(text, field)

        async with self._pool.connection() as conn:
            movement, _ = await account_access.get_movement(conn, call, movement_id, self._kind)
            return await journal.followed(conn, movement)

    async def page(self, request: ListRequest, call: Call) -> Page:
        principal = call.principal

        checks = fields.Checks()
        account_id = checks(account_access.read_id_or_own, principal, request.account, "account")
        query = read_query(checks, request, account_id, self._kind)
        checks.finish()

        return await self._listing.page(query, call)
