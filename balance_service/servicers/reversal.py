"""ReversalService: what took movements back."""

from balance_service._generated.balance.v1 import reversal_pb2
from balance_service.calls.call import Call
from balance_service.database.pool import Pool
from balance_service.domain.movements import REVERSALS
from balance_service.messages import account_access, convert, fields


class ReversalServicer:
    """Returns reversals."""

    service = reversal_pb2.DESCRIPTOR.services_by_name["ReversalService"]

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def GetReversal(
        self, request: reversal_pb2.GetReversalRequest, call: Call
    ) -> reversal_pb2.Reversal:
        reversal_id = fields.identifier(request.reversal, "reversal")

        async with self._pool.connection() as conn:
            movement, for_account = await account_access.get_movement(
                conn, call, reversal_id, *REVERSALS.values()
            )

        return convert.reversal(movement, for_account=for_account)
