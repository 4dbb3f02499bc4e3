"""The composition root: settings to objects to a server that answers, and back to silence."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

import structlog
from grpc_health.v1 import health, health_pb2

from balance_service.auth.codes import ConfirmationCodes
from balance_service.auth.keys import KeySet
from balance_service.auth.secrets import Secrets
from balance_service.auth.tokens import TokenRules, Tokens
from balance_service.calls.dispatch import Calls
from balance_service.calls.streams import Streams
from balance_service.config import Settings
from balance_service.database import migrate, pool
from balance_service.database.pool import Pool
from balance_service.domain.movements import Kind
from balance_service.domain.principals import Scope
from balance_service.ledger.commit import Committer
from balance_service.ledger.queue import CommitQueue
from balance_service.ledger.rates import ExchangeRates
from balance_service.ledger.reads import AccountReads
from balance_service.ledger.store import PostgresStore
from balance_service.ledger.watch import AccountWatch
from balance_service.providers.mail import Mailer, SmtpMailer, TerminalMailer
from balance_service.providers.rates import provider
from balance_service.server.door import Door, GrpcioDoor
from balance_service.server.maintenance import Maintenance
from balance_service.servicers.account import AccountServicer
from balance_service.servicers.auth import AuthServicer
from balance_service.servicers.deposit import DepositServicer
from balance_service.servicers.movements import Movements
from balance_service.servicers.page_tokens import PageTokens
from balance_service.servicers.purchase import PurchaseServicer
from balance_service.servicers.settlement import Settlements
from balance_service.servicers.transfer import TransferServicer
from balance_service.servicers.user import UserServicer
from balance_service.servicers.withdrawal import WithdrawalServicer

HEALTH_INTERVAL_SECONDS = 1.0
HEALTH_TIMEOUT_SECONDS = 2.0
_log = structlog.get_logger()


@dataclass(slots=True)
class App:
    """A worker's objects, built and not started.

    Args:
        door: What its ports are answered by.
    """

    settings: Settings
    pool: Pool
    keys: KeySet
    calls: Calls
    queue: CommitQueue
    watch_list: AccountWatch
    streams: Streams
    maintenance: Maintenance
    health: health.aio.HealthServicer
    door: Door
    resources: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    async def start(self) -> None:
        """Connects, and answers from then on.

        Raises:
            SchemaError: The database's schema is not this version's.
            DatabaseUnavailable: Postgres is away.
        """
        await asyncio.to_thread(migrate.check, self.settings.database_url)
        await self.resources.enter_async_context(pool.opened(self.pool))
        await self.keys.load()
        await self.maintenance.start()
        self.queue.start()
        await self.door.start()
        await self._report(serving=True)

    async def watch(self) -> None:
        """Reports for ever whether Postgres answers, for the health service."""
        serving = True
        while True:
            await asyncio.sleep(HEALTH_INTERVAL_SECONDS)
            answers = await self._database_answers()
            if not answers:
                # Connections that died with the server go now, not when a call borrows them.
                with contextlib.suppress(Exception):
                    await asyncio.wait_for(self.pool.check(), HEALTH_TIMEOUT_SECONDS)
            if answers != serving:
                serving = answers
                _log.warning("health_changed", serving=serving)
                await self._report(serving=serving)

    async def stop(self) -> None:
        """Says NOT_SERVING, accepts no more, finishes what was accepted, and leaves."""
        self.calls.serving = False
        await self.health.enter_graceful_shutdown()
        self.watch_list.close()
        self.streams.close()
        await self.door.stop()
        await self.queue.drain()
        await self.maintenance.stop()
        await self.resources.aclose()

    async def _report(self, *, serving: bool) -> None:
        self.calls.serving = serving
        states = health_pb2.HealthCheckResponse
        state = states.SERVING if serving else states.NOT_SERVING
        for service in ("", *(service.full_name for service in self.calls.services)):
            await self.health.set(service, state)

    async def _database_answers(self) -> bool:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(HEALTH_TIMEOUT_SECONDS), self.pool.connection() as conn:
                await conn.execute("SELECT 1")
                return True
        return False


MakeDoor: TypeAlias = Callable[[Settings, Calls, health.aio.HealthServicer], Door]


def build(
    settings: Settings, mailer: Mailer | None = None, make_door: MakeDoor = GrpcioDoor
) -> App:
    """Builds everything, within a running event loop.

    Args:
        settings: With a database URL and a secret.
        mailer: Replaces the configured one.
        make_door: Makes what its ports are answered by.

    Raises:
        ValueError: A setting is missing or malformed.
        RuntimeError: The port is taken.
    """
    secrets = Secrets(settings.secret.get_secret_value())
    connections = pool.create(settings.database_url, settings.pool_size)
    keys = KeySet(connections, secrets)
    rules = TokenRules(
        issuer=settings.token_issuer,
        audience=settings.token_audience,
        access_life=timedelta(seconds=settings.access_token_seconds),
        refresh_life=timedelta(days=settings.refresh_token_days),
    )
    tokens = Tokens(connections, keys, secrets, rules)
    codes = ConfirmationCodes(connections, mailer or _mailer(settings), secrets)
    rates = ExchangeRates(
        connections,
        provider(settings.rates_source, settings.rates_url),
        refresh_after=timedelta(seconds=settings.rates_refresh_seconds),
        stale_after=timedelta(hours=settings.rates_stale_after_hours),
    )
    queue = CommitQueue(
        Committer(PostgresStore(connections)).commit,
        lanes=settings.batches_in_flight,
        batch_commands_max=settings.batch_commands_max,
        queue_commands_max=settings.queue_commands_max,
    )
    page_tokens = PageTokens(secrets.key("page tokens"))
    movements = Movements(connections, queue, page_tokens)
    watch_list, streams = AccountWatch(connections), Streams()
    calls = Calls(tokens, settings.calls_max)
    calls.add(AuthServicer(codes, tokens, keys))
    calls.add(UserServicer(connections, page_tokens))
    calls.add(AccountServicer(movements, page_tokens, rates, AccountReads(connections), watch_list))
    calls.add(DepositServicer(_settlements(movements, settings, Kind.DEPOSIT)))
    calls.add(WithdrawalServicer(_settlements(movements, settings, Kind.WITHDRAWAL)))
    calls.add(PurchaseServicer(movements, page_tokens, rates))
    calls.add(TransferServicer(movements, streams))
    checks = health.aio.HealthServicer()
    answers_kept = timedelta(days=settings.answers_kept_days)
    maintenance = Maintenance(connections, tokens, rates, watch_list, answers_kept)
    return App(
        settings,
        connections,
        keys,
        calls,
        queue,
        watch_list,
        streams,
        maintenance,
        checks,
        make_door(settings, calls, checks),
    )


def _settlements(movements: Movements, settings: Settings, kind: Kind) -> Settlements:
    scope = Scope.DEPOSITS_WRITE if kind == Kind.DEPOSIT else Scope.WITHDRAWALS_WRITE
    return Settlements(movements, kind, scope, users_may=settings.user_deposits)


def _mailer(settings: Settings) -> Mailer:
    if url := settings.smtp_url.get_secret_value():
        return SmtpMailer(url, settings.mail_from)
    if not settings.development:
        raise ValueError("BALANCE_SMTP_URL is not set: nobody could sign in")
    return TerminalMailer(mailbox(settings))


def mailbox(settings: Settings) -> Path:
    """Where mails go in development."""
    return Path(settings.data_dir) / "mail.txt"
