"""ExchangeService: quotes, and the exchanges that carry them out."""

from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from balance_service._generated.balance.v1 import exchange_pb2, reversal_pb2
from balance_service.calls.access import Condition
from balance_service.calls.call import Call
from balance_service.database.pool import Connection, Pool
from balance_service.domain import errors, ids, money, quotes
from balance_service.domain.money import Money
from balance_service.domain.movements import Kind
from balance_service.domain.paging import Direction
from balance_service.domain.quotes import Quote, Rounding
from balance_service.messages import account_access, convert, fields
from balance_service.messages.instructions.all_kinds import AllInstructions
from balance_service.messages.listing import Listing, read_query
from balance_service.messages.submission import Submission
from balance_service.reading.lookups import Lookups
from balance_service.reading.rates import ExchangeRates
from balance_service.repositories import accounts, journal
from balance_service.repositories import quotes as stored_quotes


class ExchangeServicer:
    """Quotes prices of currencies and changes money at them.

    Args:
        pool: For quotes, and for reads.
        lookups: What quotes are asked for with, and quotes.
        submission: Takes commands to the ledger.
        listing: Lists exchanges.
        instructions: How exchanges are asked for.
        rates: Those in force.
        quote_life: How long a quote holds.
    """

    service = exchange_pb2.DESCRIPTOR.services_by_name["ExchangeService"]

    def __init__(
        self,
        pool: Pool,
        lookups: Lookups,
        submission: Submission,
        listing: Listing,
        instructions: AllInstructions,
        rates: ExchangeRates,
        quote_life: timedelta,
    ) -> None:
        self._pool = pool
        self._lookups = lookups
        self._submission = submission
        self._listing = listing
        self._instructions = instructions
        self._rates = rates
        self._quote_life = quote_life

    async def CreateQuote(
        self, request: exchange_pb2.CreateQuoteRequest, call: Call
    ) -> exchange_pb2.Quote:
        principal = call.principal

        checks = fields.Checks()
        terms = checks(_read_terms, request)
        account_id = checks(
            account_access.read_id_or_own, principal, request.from_account, "from_account"
        )
        request_id = checks(fields.request_id, request.request_id)
        checks.finish()

        # A quote is its own idempotency key, as a movement is.
        scope = f"quote of {principal.name}"
        quote_id = ids.derived_id(scope, request_id) if request_id else ids.new_id()
        if account_id is None:
            account_id = await account_access.find_own_account(
                self._lookups, principal, terms.paid.currency
            )
        made_before = await self._lookups.quotes.get(quote_id) if request_id else None
        if made_before is None:
            async with self._pool.connection() as conn:
                quote = await self._price(conn, call, terms, account_id, quote_id)
                if request.validate_only or await stored_quotes.insert(conn, quote):
                    return convert.quote(quote)
            # The same request came twice at once.
            made_before = await self._lookups.quotes.get(quote_id)
        assert made_before, "what an insertion conflicts with is committed, and kept for days"
        if names := _differences(made_before, terms, account_id):
            raise errors.IdempotencyKeyReused(request.request_id, tuple(names))
        call.mark_replayed()
        # Its id has the caller's name in it, and it was checked when it was made.
        call.prove(Condition.OWNER)

        return convert.quote(made_before)

    async def _price(
        self,
        conn: Connection,
        call: Call,
        terms: "_Terms",
        account_id: UUID,
        quote_id: UUID,
    ) -> Quote:
        """A new quote at the rate in force, which is not stored yet.

        Raises:
            AccountNotFound, CurrencyMismatch: The caller cannot pay from the account.
            RateUnavailable, RateStale, ChargeTooSmall, BalanceOverflow: It has no price.
        """
        await _check_payer(conn, call, account_id, terms.paid.currency)
        now = await stored_quotes.read_clock(conn)
        rate = self._rates.current.rate(terms.paid.currency, terms.received.currency, now)
        paid, received, rounding = quotes.price(terms.fixed, rate, account_id)
        return Quote(
            quote_id,
            call.principal.name,
            account_id,
            paid,
            received,
            rate,
            rounding,
            created_at=now,
            expires_at=now + self._quote_life,
        )

    async def GetQuote(
        self, request: exchange_pb2.GetQuoteRequest, call: Call
    ) -> exchange_pb2.Quote:
        quote_id = fields.identifier(request.quote, "quote")

        quote = await account_access.get_quote(self._lookups, call, quote_id)

        return convert.quote(quote)

    async def CreateExchange(
        self, request: exchange_pb2.CreateExchangeRequest, call: Call
    ) -> exchange_pb2.Exchange:
        return await self._submission.carry_out(self._instructions.create_exchange, request, call)

    async def GetExchange(
        self, request: exchange_pb2.GetExchangeRequest, call: Call
    ) -> exchange_pb2.Exchange:
        exchange_id = fields.identifier(request.exchange, "exchange")

        async with self._pool.connection() as conn:
            movement, _ = await account_access.get_movement(conn, call, exchange_id, Kind.EXCHANGE)
            followed = await journal.followed(conn, movement)

        return convert.exchange(followed)

    async def ReverseExchange(
        self, request: exchange_pb2.ReverseExchangeRequest, call: Call
    ) -> reversal_pb2.Reversal:
        return await self._submission.carry_out(self._instructions.reverse_exchange, request, call)

    async def ListExchanges(
        self, request: exchange_pb2.ListExchangesRequest, call: Call
    ) -> exchange_pb2.ListExchangesResponse:
        principal = call.principal

        checks = fields.Checks()
        account_id = checks(account_access.read_id_or_own, principal, request.account, "account")
        direction = Direction.IN if request.received else Direction.OUT
        query = read_query(checks, request, account_id, Kind.EXCHANGE, direction)
        checks.finish()

        page = await self._listing.page(query, call)

        return exchange_pb2.ListExchangesResponse(
            exchanges=list(map(convert.exchange, page.followed)),
            next_page_token=page.next_page_token,
            total_size=page.total_size,
            archived_before=page.archived_before,
        )


class _Side(NamedTuple):
    """A currency, and the amount in it if that is fixed."""

    currency: str
    amount: Money | None


class _Terms(NamedTuple):
    """What a quote is asked for: what is paid and what is received, one of which is fixed."""

    paid: _Side
    received: _Side

    @property
    def fixed(self) -> Money:
        amount = self.paid.amount or self.received.amount
        assert amount, "read so"
        return amount


def _read_terms(request: exchange_pb2.CreateQuoteRequest) -> _Terms:
    checks = fields.Checks()
    paid = checks(_read_side, "from", request.from_currency, request.from_amount)
    received = checks(_read_side, "to", request.to_currency, request.to_amount)
    if not (request.from_amount or request.to_amount):
        checks.refuse("from_amount", "is required, or to_amount is")
    if not checks.failed and request.from_amount and request.to_amount:
        checks.refuse("to_amount", "must be left out where from_amount is given")
    if not checks.failed and paid.currency == received.currency:
        checks.refuse("to_currency", fields.SAME_CURRENCY)
    checks.finish()
    return _Terms(paid, received)


def _read_side(side: str, code: str, text: str) -> _Side:
    checks = fields.Checks()
    currency = checks(money.parse_currency, code, f"{side}_currency", "")
    if checks.failed and text:
        # How many decimals it may have is not known: what no currency has is still refused.
        checks(money.parse_number, text, f"{side}_amount")
    checks.finish()
    amount = money.parse_amount(text, currency, f"{side}_amount") if text else None
    return _Side(currency, amount)


def _differences(quote: Quote, terms: _Terms, account_id: UUID) -> list[str]:
    """The fields in which the request that made a quote differs from another."""
    by_paid = quote.rounding == Rounding.DOWN
    pairs = {
        "from_currency": (terms.paid.currency, quote.paid.currency),
        "to_currency": (terms.received.currency, quote.received.currency),
        "from_amount": (terms.paid.amount, quote.paid if by_paid else None),
        "to_amount": (terms.received.amount, None if by_paid else quote.received),
        "from_account": (account_id, quote.account_id),
    }
    return [name for name, (ours, theirs) in pairs.items() if ours != theirs]


async def _check_payer(conn: Connection, call: Call, account_id: UUID, currency: str) -> None:
    """Checks that the caller may pay from an account, in a currency.

    Raises:
        AccountNotFound: There is none, or it is somebody else's.
        CurrencyMismatch: It is kept in another currency.
    """
    payer = next(iter(await accounts.get(conn, [account_id])), None)
    call.prove(Condition.OWNER)
    if payer is None or call.principal.user_id not in (None, payer.account.owner_id):
        raise errors.AccountNotFound(str(account_id))
    payer.account.check_currency(currency)
