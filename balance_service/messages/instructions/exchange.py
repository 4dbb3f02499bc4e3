"""Exchanges, as they are asked for."""

from balance_service._generated.balance.v1 import exchange_pb2
from balance_service.calls.call import Call
from balance_service.domain import errors
from balance_service.domain.commands import Exchange
from balance_service.domain.movements import Followed
from balance_service.domain.state import Done
from balance_service.messages import account_access, convert, fields
from balance_service.messages.instructions.kind import Reading
from balance_service.messages.origin import SentId, read_effective_time, read_origin
from balance_service.reading.lookups import Lookups


class ExchangeInstructions:
    """Exchanges.

    Args:
        lookups: What they refer to.
    """

    def __init__(self, lookups: Lookups) -> None:
        self._lookups = lookups

    def read(
        self,
        request: exchange_pb2.CreateExchangeRequest,
        call: Call,
        checks: fields.Checks,
        default_id: SentId | None = None,
    ) -> Reading[Exchange]:
        lookups = self._lookups
        quote_id = checks(fields.identifier, request.quote, "quote")
        description = checks(fields.text, request, "description")
        effective_at = checks(read_effective_time, request)
        origin = checks(
            read_origin, request, call, description, default_id, effective_at=effective_at
        )
        checks.finish()

        async def look_up() -> Exchange:
            quote = await account_access.get_quote(lookups, call, quote_id)
            payer = await lookups.accounts.get(quote.account_id)
            assert payer, "an account that was quoted for is there, and stays"
            target = quote.received.currency
            receiver = await lookups.own_accounts.get((payer.account.owner_id, target))
            if receiver is None:
                raise errors.AccountNotFound(f"own account in {target}")
            return Exchange(origin, quote, receiver)

        return look_up()

    def answer(self, command: Exchange, done: Done) -> exchange_pb2.Exchange:
        return convert.exchange(Followed(done.movement))
