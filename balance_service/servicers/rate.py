"""RateService: which currencies there are, and what one is worth in another."""

from datetime import UTC, datetime

from balance_service._generated.balance.v1 import rate_pb2
from balance_service.calls.call import Call
from balance_service.database.pool import Pool
from balance_service.domain import errors, money
from balance_service.domain.currencies import NAMES
from balance_service.domain.pricing import Rates
from balance_service.messages import convert, fields
from balance_service.reading.rates import ExchangeRates


class RateServicer:
    """Tells rates.

    Args:
        pool: For rates of the past.
        rates: Those in force.
    """

    service = rate_pb2.DESCRIPTOR.services_by_name["RateService"]

    def __init__(self, pool: Pool, rates: ExchangeRates) -> None:
        self._pool = pool
        self._rates = rates

    async def ListCurrencies(
        self, _: rate_pb2.ListCurrenciesRequest, __: Call
    ) -> rate_pb2.ListCurrenciesResponse:
        sheet = self._rates.current.in_force(datetime.now(UTC))

        return rate_pb2.ListCurrenciesResponse(
            currencies=[
                rate_pb2.Currency(
                    code=code,
                    decimals=money.DECIMALS[code],
                    name=name,
                    can_open_accounts=True,
                    has_rates=sheet is not None and sheet.quotes(code),
                )
                for code, name in NAMES.items()
            ]
        )

    async def GetRate(self, request: rate_pb2.GetRateRequest, _: Call) -> rate_pb2.Rate:
        checks = fields.Checks()
        currency = checks(money.parse_currency, request.from_currency, "from_currency", "")
        target = checks(money.parse_currency, request.to_currency, "to_currency", "")
        as_of = checks(_read_as_of, request)
        if not checks.failed and currency == target:
            checks.refuse("to_currency", fields.SAME_CURRENCY)
        checks.finish()

        rates, moment = await self._rates_at(as_of)
        shown = rates.shown(currency, target, moment)
        if shown is None:
            raise errors.RateUnavailable(currency, target)

        return convert.rate(shown.rate, stale=shown.stale)

    async def ListRates(
        self, request: rate_pb2.ListRatesRequest, _: Call
    ) -> rate_pb2.ListRatesResponse:
        checks = fields.Checks()
        base = checks(money.parse_currency, request.base_currency, "base_currency")
        as_of = checks(_read_as_of, request)
        checks.finish()

        rates, moment = await self._rates_at(as_of)
        found = [rates.shown(base, code, moment) for code in NAMES if code != base]

        return rate_pb2.ListRatesResponse(
            rates=[convert.rate(shown.rate, stale=shown.stale) for shown in found if shown]
        )

    async def _rates_at(self, as_of: datetime | None) -> tuple[Rates, datetime]:
        """The rates in force at a moment, or now, with that moment."""
        if as_of is None:
            return self._rates.current, datetime.now(UTC)
        async with self._pool.connection() as conn:
            return await self._rates.past(conn, as_of), as_of


def _read_as_of(request: rate_pb2.GetRateRequest | rate_pb2.ListRatesRequest) -> datetime | None:
    return fields.past_moment(request.as_of, "as_of") if request.HasField("as_of") else None
