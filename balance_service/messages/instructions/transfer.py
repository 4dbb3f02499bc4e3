"""Transfers, as they are asked for."""

from balance_service._generated.balance.v1 import transfer_pb2
from balance_service.calls.call import Call
from balance_service.domain.commands import Transfer
from balance_service.domain.movements import Followed
from balance_service.domain.state import Done
from balance_service.messages import account_access, convert, fields
from balance_service.messages.instructions.kind import Reading
from balance_service.messages.origin import SentId, read_effective_time, read_origin
from balance_service.reading.lookups import Lookups


class TransferInstructions:
    """Transfers.

    Args:
        lookups: What they refer to.
    """

    def __init__(self, lookups: Lookups) -> None:
        self._lookups = lookups

    def read(
        self,
        request: transfer_pb2.CreateTransferRequest,
        call: Call,
        checks: fields.Checks,
        default_id: SentId | None = None,
    ) -> Reading[Transfer]:
        principal, lookups = call.principal, self._lookups
        amount = checks(fields.amount, request.amount, request.currency)
        from_account = checks(
            account_access.read_id_or_own, principal, request.from_account, "from_account"
        )
        to_account = checks(account_access.read_receiver, request.to_account)
        quote_id = checks(fields.optional_identifier, request.quote, "quote")
        description = checks(fields.text, request, "description")
        effective_at = checks(read_effective_time, request)
        origin = checks(
            read_origin, request, call, description, default_id, effective_at=effective_at
        )
        checks.finish()
        if from_account and to_account and not quote_id:
            return Transfer(origin, from_account, to_account, amount)

        async def look_up() -> Transfer:
            quote, sender, receiver = None, from_account, to_account
            if quote_id:
                quote = await account_access.get_quote(lookups, call, quote_id)
                sender = sender or quote.account_id
            if sender is None:
                sender = await account_access.find_own_account(lookups, principal, amount.currency)
            if receiver is None:
                receiver = await account_access.find_receiver(
                    lookups, principal, request.to_account
                )
            return Transfer(origin, sender, receiver, amount, quote)

        return look_up()

    def answer(self, command: Transfer, done: Done) -> transfer_pb2.Transfer:
        return convert.transfer(Followed(done.movement), for_sender=True)
