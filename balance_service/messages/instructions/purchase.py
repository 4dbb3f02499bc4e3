"""Purchases, as they are asked for."""

import dataclasses

from balance_service._generated.balance.v1 import purchase_pb2
from balance_service.calls.call import Call
from balance_service.domain import errors, money
from balance_service.domain.commands import Purchase
from balance_service.domain.money import Money
from balance_service.domain.movements import Followed
from balance_service.domain.state import Done, How
from balance_service.messages import account_access, convert, fields
from balance_service.messages.instructions.kind import Reading
from balance_service.messages.origin import SentId, read_effective_time, read_origin
from balance_service.reading.lookups import Lookups
from balance_service.reading.rates import ExchangeRates


class PurchaseInstructions:
    """Purchases.

    Args:
        lookups: What they refer to.
        rates: Converts prices.
    """

    def __init__(self, lookups: Lookups, rates: ExchangeRates) -> None:
        self._lookups = lookups
        self._rates = rates

    def read(
        self,
        request: purchase_pb2.CreatePurchaseRequest,
        call: Call,
        checks: fields.Checks,
        default_id: SentId | None = None,
    ) -> Reading[Purchase]:
        principal = call.principal
        service_id = checks(fields.identifier, request.service, "service")
        account_id = checks(account_access.read_id_or_own, principal, request.account, "account")
        quantity = checks(fields.quantity, request, "quantity")
        expected_price = checks(_read_expected_price, request)
        service_etag = checks(fields.text, request, "service_etag")
        effective_at = checks(read_effective_time, request)
        origin = checks(read_origin, request, call, "", default_id, effective_at=effective_at)
        checks.finish()

        async def look_up() -> Purchase:
            service = await self._lookups.services.get(service_id)
            if service is None:
                raise errors.ServiceNotFound(str(service_id))
            # One that has left the catalogue goes on to the ledger, which knows a repeated request.
            return Purchase(
                dataclasses.replace(origin, description=service.name),
                account_id
                or await account_access.find_own_account(
                    self._lookups, principal, money.DEFAULT_CURRENCY
                ),
                service_id,
                None if service.deleted_at else service.price,
                self._rates.current,
                service.repeatable,
                quantity,
                expected_price,
                changed=service_etag not in ("", str(service.version)),
            )

        return look_up()

    def answer(self, command: Purchase, done: Done) -> purchase_pb2.Purchase:
        already_purchased = done.how == How.ALREADY_PURCHASED
        return convert.purchase(Followed(done.movement), already_purchased=already_purchased)


def _read_expected_price(request: purchase_pb2.CreatePurchaseRequest) -> Money | None:
    price, currency = request.expected_price, request.expected_currency
    if price:
        return fields.amount(price, currency, "expected_price", "expected_currency")
    if currency:
        raise errors.invalid("expected_currency", "must come with expected_price")
    return None
