"""The composition root: builds a worker's objects from settings, starts them and stops them."""

import asyncio
import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeAlias

from grpc_health.v1 import health as grpc_health

from balance_service.auth.keys import KeySet
from balance_service.auth.sealing import Secrets
from balance_service.auth.settings import read_secrets
from balance_service.calls import access
from balance_service.calls.access import Rule
from balance_service.calls.dispatch import Calls
from balance_service.calls.streams import Streams
from balance_service.config import Settings
from balance_service.database import cluster, migrate, pool, roles
from balance_service.database.pool import Pool
from balance_service.domain import money
from balance_service.domain.approvals import Ceilings
from balance_service.domain.limits import Limits
from balance_service.domain.movements import Kind
from balance_service.domain.networks import parse_networks
from balance_service.domain.searches import parse_keys
from balance_service.domain.webhook_urls import Rules
from balance_service.ledger.checkpoints import Checkpoints
from balance_service.ledger.commit import Committer
from balance_service.ledger.expiry import HoldExpiry
from balance_service.ledger.queue import CommitQueue
from balance_service.ledger.store import PostgresStore
from balance_service.messages.approvals import Approvals
from balance_service.messages.instructions import all_kinds
from balance_service.messages.instructions.all_kinds import AllInstructions
from balance_service.messages.listing import Listing
from balance_service.messages.page_tokens import PageTokens
from balance_service.messages.submission import Submission
from balance_service.providers.mail import Mailer
from balance_service.providers.rates import provider
from balance_service.reading import lookups, statements
from balance_service.reading.balances import AccountReads
from balance_service.reading.events import EventLog
from balance_service.reading.rates import ExchangeRates
from balance_service.reading.standbys import Standbys
from balance_service.reading.verification import Verifier
from balance_service.reading.watch import AccountWatch
from balance_service.server import calling, reporting, sign_in, standbys
from balance_service.server.door import Door, GrpcioDoor
from balance_service.server.health import Health
from balance_service.server.maintenance import Maintenance
from balance_service.server.sampling import Sampling
from balance_service.server.sign_in import SignsIn
from balance_service.servicers.account import AccountServicer
from balance_service.servicers.account_changes import AccountChanges
from balance_service.servicers.account_directory import AccountDirectory
from balance_service.servicers.approval import ApprovalServicer
from balance_service.servicers.audit import AuditServicer
from balance_service.servicers.auth import AuthServicer
from balance_service.servicers.batch import BatchServicer
from balance_service.servicers.deposit import DepositServicer
from balance_service.servicers.event import EventServicer
from balance_service.servicers.exchange import ExchangeServicer
from balance_service.servicers.hold import HoldServicer
from balance_service.servicers.ledger import LedgerServicer
from balance_service.servicers.movement import MovementServicer
from balance_service.servicers.proof import ProofServicer
from balance_service.servicers.purchase import PurchaseServicer
from balance_service.servicers.rate import RateServicer
from balance_service.servicers.reversal import ReversalServicer
from balance_service.servicers.schedule import ScheduleServicer
from balance_service.servicers.schedule_runs import ScheduleRuns
from balance_service.servicers.settlement import Settlements
from balance_service.servicers.transfer import TransferServicer
from balance_service.servicers.user import UserServicer
from balance_service.servicers.user_data import UserData
from balance_service.servicers.user_directory import UserDirectory
from balance_service.servicers.webhook import WebhookServicer
from balance_service.servicers.withdrawal import WithdrawalServicer
from balance_service.telemetry import traces
from balance_service.webhooks.delivery import Deliveries
from balance_service.webhooks.sending import Sender

# How long the health check waits for Postgres before it calls it silent.
DATABASE_TIMEOUT_SECONDS = 2.0


@dataclass(kw_only=True, slots=True)
class App:
    """A worker's objects, as `build` makes them.

    Args:
        pool: Connections for everything but commits.
        commit_pool: Connections for commits alone, so that reads cannot keep money from moving.
        door: Answers the ports.
    """

    settings: Settings
    pool: Pool
    commit_pool: Pool
    keys: KeySet
    queue: CommitQueue
    watch_list: AccountWatch
    event_log: EventLog
    streams: Streams
    verifier: Verifier
    standbys: Standbys
    calls: Calls
    health: Health
    changes: AccountChanges
    maintenance: Maintenance
    sampling: Sampling
    door: Door
    # What was started, to be stopped in the reverse order.
    _started: contextlib.AsyncExitStack = field(
        default_factory=contextlib.AsyncExitStack, init=False
    )

    async def start(self) -> None:
        """Connects to Postgres and answers calls from then on.

        Raises:
            SchemaError: The database's schema is not this version's.
            RoleUnfit: It would sign in to Postgres as who may do more than it should.
            DatabaseUnavailable: Postgres is away.
            ClusterUnfit: Standbys are to be read from, and the ledger is distributed.
            WrongSecret: The signing keys were sealed with another secret.
        """
        url = self.settings.database_url.get_secret_value()
        await asyncio.to_thread(migrate.check, url)
        await asyncio.to_thread(roles.check_login, url)
        if self.settings.traces:
            traces.start()
        async with contextlib.AsyncExitStack() as started:
            started.push_async_callback(traces.stop)
            await started.enter_async_context(pool.opened(self.pool))
            await started.enter_async_context(pool.opened(self.commit_pool))
            if self.settings.replica_url.get_secret_value():
                async with self.pool.connection() as conn:
                    await cluster.refuse_standbys(conn)
            started.push_async_callback(self.standbys.stop)
            await self.standbys.start()
            await self.keys.load()
            await self.maintenance.start()
            started.push_async_callback(self.maintenance.stop)
            self.queue.start()
            started.push_async_callback(self.queue.drain)
            started.push_async_callback(self._stop_door)
            await self.door.start()
            await self.health.start()
            self.sampling.start()
            started.push_async_callback(self.sampling.stop)
            started.push_async_callback(self.health.stop)
            self._started = started.pop_all()

    async def stop(self) -> None:
        """Says NOT_SERVING, accepts no more, finishes what was accepted, and disconnects."""
        await self._started.aclose()

    async def _stop_door(self) -> None:
        # Calls without an end of their own end now, or the door would wait for them.
        self.watch_list.close()
        self.event_log.close()
        self.streams.close()
        self.verifier.close()
        await self.door.stop()


MakeDoor: TypeAlias = Callable[[Settings, Calls, grpc_health.aio.HealthServicer], Door]


def build(
    settings: Settings, mailer: Mailer | None = None, make_door: MakeDoor = GrpcioDoor
) -> App:
    """Builds everything, within a running event loop.

    Args:
        settings: With a database URL and a secret.
        mailer: Replaces the configured one.
        make_door: Makes the door, in front of the calls and the health service.

    Raises:
        ValueError: A setting is missing or malformed.
        RuntimeError: A port cannot be listened on.
        AccessTableError: A method has no row in the table of access, or a row no method.
    """
    secrets = read_secrets(settings)
    connections, commit_connections = _pools(settings)
    auth = sign_in.build(settings, connections, secrets, mailer)
    rates = _exchange_rates(settings, connections)
    queue, streams = _commit_queue(settings, commit_connections), Streams()
    watch_list, event_log = AccountWatch(connections), EventLog(connections)
    page_tokens = PageTokens(*secrets.keys("page tokens"))
    found, submission = lookups.gather(connections), Submission(queue)
    listing = Listing(connections, page_tokens, found.accounts, statements.gather(connections))
    limits, ceilings, approvals = settings.limits, _ceilings(settings), Approvals(connections)
    rules = access.in_force({"user_deposits"} if settings.user_deposits else ())
    changes = AccountChanges(connections, page_tokens, limits, ceilings, approvals)
    asked = all_kinds.build(found, rates, rules)

    calls = calling.build(settings, auth.tokens, rules)
    _add_users(calls, auth, connections, listing, limits, page_tokens)
    accounts = connections, listing, page_tokens, rates, found.accounts, watch_list, changes, limits
    calls.add(AccountServicer(*accounts, AccountDirectory(connections, page_tokens, limits)))
    _add_settlements(calls, connections, submission, listing, asked, streams)
    purchases = connections, found.services, submission, listing, asked, page_tokens
    calls.add(PurchaseServicer(*purchases))
    calls.add(TransferServicer(connections, submission, listing, asked, found, streams))
    calls.add(HoldServicer(connections, found.accounts, submission, page_tokens, asked))
    calls.add(BatchServicer(submission, asked, rules))
    exchanges = connections, found, submission, listing, asked, rates, settings.quote_life
    calls.add(ExchangeServicer(*exchanges))
    calls.add(RateServicer(connections, rates))
    calls.add(EventServicer(connections, event_log, page_tokens, settings.token_issuer))
    webhooks = _add_webhooks(calls, settings, connections, page_tokens, secrets)
    _add_records(calls, settings, connections, page_tokens, approvals, found.accounts, rules)
    verifier = _add_proof(calls, settings, connections, page_tokens)
    calls.check_access()
    shared = settings, page_tokens, rates, ceilings, watch_list, submission, asked, streams
    replicas = standbys.add(calls, connections, secrets, standbys.Shared(*shared))
    health = _health(calls, (connections, commit_connections))
    sampled = {"calls": connections, "commits": commit_connections}
    worked_at = rates, watch_list, event_log, calls, queue, changes, webhooks
    return App(
        settings=settings,
        pool=connections,
        commit_pool=commit_connections,
        keys=auth.keys,
        queue=queue,
        watch_list=watch_list,
        event_log=event_log,
        streams=streams,
        verifier=verifier,
        standbys=replicas,
        calls=calls,
        health=health,
        changes=changes,
        maintenance=_maintenance(settings, connections, auth, health, *worked_at),
        sampling=Sampling(calls, queue, sampled, rates),
        door=make_door(settings, calls, health.servicer),
    )


def _maintenance(
    settings: Settings,
    connections: Pool,
    auth: SignsIn,
    health: Health,
    rates: ExchangeRates,
    watch_list: AccountWatch,
    event_log: EventLog,
    calls: Calls,
    queue: CommitQueue,
    changes: AccountChanges,
    webhooks: Deliveries,
) -> Maintenance:
    return Maintenance(
        pool=connections,
        health=health,
        keys=auth.keys,
        sessions=auth.sessions,
        rates=rates,
        watch=watch_list,
        event_log=event_log,
        calls=calls,
        expiry=HoldExpiry(connections, queue),
        changes=changes,
        webhooks=webhooks,
        checkpoints=Checkpoints(
            connections, auth.keys.signing, settings.token_issuer, settings.checkpoint_interval
        ),
        schedules=ScheduleRuns(connections, calls, settings),
        answers_kept=timedelta(days=settings.answers_kept_days),
        events_kept=timedelta(days=settings.events_retention_days),
        webhooks_kept=timedelta(days=settings.webhooks_retention_days),
        calendar=settings.limits.calendar,
        workers=settings.workers,
    )


def _add_webhooks(
    calls: Calls, settings: Settings, pool_: Pool, page_tokens: PageTokens, secrets: Secrets
) -> Deliveries:
    sender = Sender(Rules(settings.webhooks_plain_http, parse_networks(settings.webhooks_networks)))
    calls.add(WebhookServicer(pool_, page_tokens, secrets, sender))
    proven = settings.second_factor_required
    return Deliveries(pool_, secrets, sender, settings.token_issuer, second_factor_required=proven)


def _add_records(
    calls: Calls,
    settings: Settings,
    connections: Pool,
    page_tokens: PageTokens,
    approvals: Approvals,
    accounts: AccountReads,
    rules: Mapping[str, Rule],
) -> None:
    """Adds what answers about movements and acts of the past and to come, and about approvals."""
    searchable = parse_keys(settings.searchable_metadata)
    calls.add(ReversalServicer(connections))
    calls.add(MovementServicer(connections, page_tokens, searchable))
    calls.add(LedgerServicer(connections))
    calls.add(ScheduleServicer(connections, page_tokens, rules, settings))
    calls.add(AuditServicer(connections, page_tokens))
    calls.add(ApprovalServicer(connections, approvals, page_tokens))
    reporting.add(calls, connections, page_tokens, accounts)


def _add_users(
    calls: Calls,
    auth: SignsIn,
    connections: Pool,
    listing: Listing,
    limits: Limits,
    page_tokens: PageTokens,
) -> None:
    calls.add(AuthServicer(auth.codes, auth.sign_in, auth.tokens, auth.keys, auth.refused))
    data = UserData(connections, listing, limits, auth.sessions, auth.erasure)
    directory = UserDirectory(connections, page_tokens)
    calls.add(UserServicer(connections, auth.of_users, directory, data))


def _add_proof(
    calls: Calls, settings: Settings, connections: Pool, page_tokens: PageTokens
) -> Verifier:
    url = settings.database_url.get_secret_value()
    verifier = Verifier(url, connections, settings.limits.calendar)
    interval = settings.checkpoint_interval
    calls.add(ProofServicer(connections, interval, page_tokens, verifier))
    return verifier


def _add_settlements(
    calls: Calls,
    connections: Pool,
    submission: Submission,
    listing: Listing,
    asked: AllInstructions,
    streams: Streams,
) -> None:
    deposits = Settlements(connections, listing, Kind.DEPOSIT)
    withdrawals = Settlements(connections, listing, Kind.WITHDRAWAL)
    calls.add(DepositServicer(submission, deposits, asked, streams))
    calls.add(WithdrawalServicer(submission, withdrawals, asked))


def _pools(settings: Settings) -> tuple[Pool, Pool]:
    """The connections for everything but commits, and those for commits."""
    url, commits = settings.database_url.get_secret_value(), settings.commits_in_flight
    connections = pool.create(url, settings.pool_size - commits)
    return connections, connections.beside(commits)


def _health(calls: Calls, pools: Sequence[Pool]) -> Health:
    return Health(calls, functools.partial(pool.answers, pools, DATABASE_TIMEOUT_SECONDS))


def _ceilings(settings: Settings) -> Ceilings:
    return Ceilings(
        overdraft_minor=money.parse_table(settings.approval_overdraft_above, "overdraft"),
        debit_minor=money.parse_table(settings.approval_debit_limit_above, "debit_limit"),
        daily_minor=money.parse_table(settings.approval_daily_limit_above, "daily_limit"),
    )


def _exchange_rates(settings: Settings, connections: Pool) -> ExchangeRates:
    return ExchangeRates(
        connections,
        provider(settings.rates_source, settings.rates_url),
        refresh_after=timedelta(seconds=settings.rates_refresh_seconds),
        stale_after=timedelta(hours=settings.rates_stale_after_hours),
    )


def _commit_queue(settings: Settings, connections: Pool) -> CommitQueue:
    searchable = parse_keys(settings.searchable_metadata)
    store = PostgresStore(connections, searchable, settings.limits.calendar)
    return CommitQueue(
        Committer(store, settings.limits).commit,
        commits_in_flight_max=settings.commits_in_flight,
        commit_commands_max=settings.commit_commands_max,
        queue_commands_max=settings.queue_commands_max,
    )
