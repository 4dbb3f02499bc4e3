"""Builds what answers from standbys: for each, the servicers of offered reads, over its pool."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cryptography.fernet import InvalidToken

from balance_service.auth.sealing import Secrets
from balance_service.calls.dispatch import Calls, Servicer
from balance_service.calls.freshness import Positions
from balance_service.calls.methods import Method
from balance_service.calls.standby_offers import OFFERED, OFFERED_FILES
from balance_service.calls.standby_reads import Handler, StandbyReads
from balance_service.calls.streams import Streams
from balance_service.config import Settings
from balance_service.database.pool import Pool
from balance_service.database.standbys import StandbyPool, read_seen, split
from balance_service.domain.approvals import Ceilings
from balance_service.domain.movements import Kind
from balance_service.domain.searches import parse_keys
from balance_service.messages.approvals import Approvals
from balance_service.messages.instructions.all_kinds import AllInstructions
from balance_service.messages.listing import Listing
from balance_service.messages.page_tokens import PageTokens
from balance_service.messages.submission import Submission
from balance_service.reading import lookups, statements
from balance_service.reading.gathering import Gathering
from balance_service.reading.rates import ExchangeRates
from balance_service.reading.standbys import Standby, Standbys
from balance_service.reading.watch import AccountWatch
from balance_service.servicers.account import AccountServicer
from balance_service.servicers.account_changes import AccountChanges
from balance_service.servicers.account_directory import AccountDirectory
from balance_service.servicers.deposit import DepositServicer
from balance_service.servicers.exchange import ExchangeServicer
from balance_service.servicers.hold import HoldServicer
from balance_service.servicers.ledger import LedgerServicer
from balance_service.servicers.movement import MovementServicer
from balance_service.servicers.purchase import PurchaseServicer
from balance_service.servicers.report import ReportServicer
from balance_service.servicers.reversal import ReversalServicer
from balance_service.servicers.settlement import Settlements
from balance_service.servicers.statement import StatementServicer
from balance_service.servicers.transfer import TransferServicer
from balance_service.servicers.withdrawal import WithdrawalServicer

_PURPOSE = "positions"


class Shared(NamedTuple):
    """What servicers need besides a server to read; reads use the first three alone.

    Args:
        settings: The service's.
        page_tokens: Signs where a list goes on, on whichever server.
        rates: Shows accounts in other currencies.
        ceilings: Above which operators' changes wait for approval.
        watch: Follows accounts.
        submission: Puts movements on the queue.
        asked: Reads what is asked of movements.
        streams: Are open.
    """

    settings: Settings
    page_tokens: PageTokens
    rates: ExchangeRates
    ceilings: Ceilings
    watch: AccountWatch
    submission: Submission
    asked: AllInstructions
    streams: Streams


def add(calls: Calls, primary: Pool, secrets: Secrets, shared: Shared) -> Standbys:
    """Has calls answered from standbys where their callers accept that.

    Args:
        calls: What a worker answers.
        primary: Connections to the primary.
        secrets: Seal what callers are told of the log.
        shared: What the servicers of each standby are built with.

    Raises:
        ValueError: The setting of standbys is malformed.
    """
    settings = shared.settings
    found = [Standby(StandbyPool(url, settings.replica_pool_size)) for url in _urls(settings)]
    # A connection of its own, so that a busy primary makes no standby look old.
    marking = primary.beside(1) if found else None
    standbys = Standbys(marking, found, settings.replica_staleness_max_seconds)
    handlers = {standby: _handlers(standby.pool, shared) for standby in found}
    seen = Gathering(primary, read_seen, 1)
    calls.standby_reads = StandbyReads(standbys, handlers, positions(secrets), seen)
    return standbys


def _urls(settings: Settings) -> list[str]:
    url = settings.replica_url.get_secret_value()
    try:
        return split(url) if url else []
    except ValueError as error:
        raise ValueError(f"BALANCE_REPLICA_URL {error}") from None


def positions(secrets: Secrets) -> Positions:
    """What seals positions in the log."""

    def unseal(sealed: bytes) -> bytes:
        try:
            return secrets.unseal(sealed, _PURPOSE)
        except InvalidToken:
            raise ValueError("not sealed here") from None

    return Positions(lambda plain: secrets.seal(plain, _PURPOSE), unseal)


def _handlers(pool: Pool, shared: Shared) -> Mapping[str, Handler]:
    """The offered methods by their full names, answered from a standby."""
    made: dict[str, Handler] = {}
    for servicer in _servicers(pool, shared):
        for descriptor in servicer.service.methods:
            if descriptor.name in OFFERED or descriptor.name in OFFERED_FILES:
                made[Method(descriptor).full_name] = getattr(servicer, descriptor.name)
    return made


def _servicers(pool: Pool, shared: Shared) -> Sequence[Servicer]:
    """The servicers with offered methods. Their others, which are never called, stay the same."""
    settings, tokens, rates, ceilings, watch, submission, asked, streams = shared
    limits, found = settings.limits, lookups.gather(pool)
    listing = Listing(pool, tokens, found.accounts, statements.gather(pool))
    changes = AccountChanges(pool, tokens, limits, ceilings, Approvals(pool))
    directory = AccountDirectory(pool, tokens, limits)
    accounts = pool, listing, tokens, rates, found.accounts, watch, changes, limits, directory
    deposits = Settlements(pool, listing, Kind.DEPOSIT)
    withdrawals = Settlements(pool, listing, Kind.WITHDRAWAL)
    life = settings.quote_life
    return (
        AccountServicer(*accounts),
        DepositServicer(submission, deposits, asked, streams),
        WithdrawalServicer(submission, withdrawals, asked),
        PurchaseServicer(pool, found.services, submission, listing, asked, tokens),
        TransferServicer(pool, submission, listing, asked, found, streams),
        HoldServicer(pool, found.accounts, submission, tokens, asked),
        ExchangeServicer(pool, found, submission, listing, asked, rates, life),
        MovementServicer(pool, tokens, parse_keys(settings.searchable_metadata)),
        ReversalServicer(pool),
        ReportServicer(pool, tokens),
        StatementServicer(pool, found.accounts),
        LedgerServicer(pool),
    )
