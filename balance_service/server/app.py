"""The composition root: settings to objects to a server that answers, and back to silence."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from balance_service._generated.balance.v1 import (
    account_pb2,
    account_pb2_grpc,
    auth_pb2,
    auth_pb2_grpc,
    deposit_pb2,
    deposit_pb2_grpc,
    purchase_pb2,
    purchase_pb2_grpc,
    transfer_pb2,
    transfer_pb2_grpc,
    user_pb2,
    user_pb2_grpc,
    withdrawal_pb2,
    withdrawal_pb2_grpc,
)
from balance_service.auth.codes import ConfirmationCodes
from balance_service.auth.keys import KeySet
from balance_service.auth.secrets import Secrets
from balance_service.auth.tokens import TokenRules, Tokens
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
from balance_service.server.calls import Calls
from balance_service.server.gateway import http_server
from balance_service.server.http_port import HttpServer
from balance_service.server.maintenance import Maintenance
from balance_service.server.reflection import Reflection
from balance_service.servicers.account import AccountServicer
from balance_service.servicers.auth import AuthServicer
from balance_service.servicers.deposit import DepositServicer
from balance_service.servicers.movements import Movements
from balance_service.servicers.page_tokens import PageTokens
from balance_service.servicers.purchase import PurchaseServicer
from balance_service.servicers.settlement import Settlements
from balance_service.servicers.streams import Streams
from balance_service.servicers.transfer import TransferServicer
from balance_service.servicers.user import UserServicer
from balance_service.servicers.withdrawal import WithdrawalServicer

SERVICES = tuple(
    module.DESCRIPTOR.services_by_name[name].full_name
    for module, name in (
        (auth_pb2, "AuthService"),
        (user_pb2, "UserService"),
        (account_pb2, "AccountService"),
        (deposit_pb2, "DepositService"),
        (withdrawal_pb2, "WithdrawalService"),
        (purchase_pb2, "PurchaseService"),
        (transfer_pb2, "TransferService"),
    )
)
HEALTH_INTERVAL_SECONDS = 1.0
HEALTH_TIMEOUT_SECONDS = 2.0
# As much as a body over HTTP: a full batch with room for descriptions.
MESSAGE_BYTES_MAX = 1 << 20
# Beyond that a caller's own gRPC waits, where the server's would drop calls it has not read.
STREAMS_MAX = 1000
HANDSHAKE_TIMEOUT_MS = 10_000
# What a stream may have sent that was not read yet; gRPC would let it grow to megabytes.
WINDOW_BYTES = 1 << 18

_log = structlog.get_logger()


@dataclass(slots=True)
class App:
    """A worker's objects, built and not started.

    Args:
        server: The gRPC server, with its port bound.
        port: Its port.
        http: The HTTP server, with its port bound, if there is to be one.
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
    server: grpc.aio.Server
    port: int
    http: HttpServer | None
    resources: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    async def start(self) -> None:
        """Connects, and answers from then on.

        Raises:
            SchemaError: The database's schema is not this version's.
            DatabaseUnavailable: Postgres is away.
            WrongSecret: The signing keys were sealed with another secret.
        """
        await asyncio.to_thread(migrate.check, self.settings.database_url.get_secret_value())
        await self.resources.enter_async_context(pool.opened(self.pool))
        await self.keys.load()
        await self.maintenance.start()
        self.queue.start()
        await self.server.start()
        if self.http:
            await self.http.start()
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
        async with asyncio.TaskGroup() as stopping:
            stopping.create_task(self.server.stop(self.settings.drain_seconds))
            if self.http:
                stopping.create_task(self.http.stop())
        await self.queue.drain()
        await self.maintenance.stop()
        await self.resources.aclose()

    async def _report(self, *, serving: bool) -> None:
        self.calls.serving = serving
        states = health_pb2.HealthCheckResponse
        state = states.SERVING if serving else states.NOT_SERVING
        for service in ("", *SERVICES):
            await self.health.set(service, state)

    async def _database_answers(self) -> bool:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(HEALTH_TIMEOUT_SECONDS), self.pool.connection() as conn:
                await conn.execute("SELECT 1")
                return True
        return False


def build(settings: Settings, mailer: Mailer | None = None) -> App:
    """Builds everything, within a running event loop.

    Args:
        settings: With a database URL and a secret.
        mailer: Replaces the configured one.

    Raises:
        ValueError: A setting is missing or malformed.
        RuntimeError: The port is taken.
    """
    secrets = Secrets(settings.secret.get_secret_value(), development=settings.development)
    connections = pool.create(settings.database_url.get_secret_value(), settings.pool_size)
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
        commits_in_flight_max=settings.batches_in_flight,
        commit_commands_max=settings.batch_commands_max,
        queue_commands_max=settings.queue_commands_max,
    )
    page_tokens = PageTokens(secrets.key("page tokens"))
    movements = Movements(connections, queue, page_tokens)
    watch_list, streams = AccountWatch(connections), Streams()
    calls = Calls(tokens, settings.calls_max)
    auth_pb2_grpc.add_AuthServiceServicer_to_server(
        AuthServicer(codes, tokens, keys), calls.registry
    )
    _add_services(calls.registry, settings, movements, page_tokens, rates, watch_list, streams)
    checks = health.aio.HealthServicer()
    server = _grpc_server(calls, checks)
    port = server.add_insecure_port(f"{settings.host}:{settings.grpc_port}")
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
        server,
        port,
        http_server(settings, calls) if settings.http else None,
    )


def _grpc_server(calls: Calls, checks: health.aio.HealthServicer) -> grpc.aio.Server:
    server = grpc.aio.server(
        options=[
            ("grpc.so_reuseport", 1),
            ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
            ("grpc.max_concurrent_streams", STREAMS_MAX),
            ("grpc.server_handshake_timeout_ms", HANDSHAKE_TIMEOUT_MS),
            ("grpc.http2.bdp_probe", 0),
            ("grpc.http2.lookahead_bytes", WINDOW_BYTES),
            ("grpc.keepalive_time_ms", 60_000),
            ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
            ("grpc.keepalive_permit_without_calls", 1),
        ],
    )
    calls.serve_on(server)
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    Reflection((*SERVICES, health.SERVICE_NAME)).serve_on(server)
    return server


def _add_services(
    registry: grpc.aio.Server,
    settings: Settings,
    movements: Movements,
    page_tokens: PageTokens,
    rates: ExchangeRates,
    watch_list: AccountWatch,
    streams: Streams,
) -> None:
    users_may = settings.user_deposits
    deposits = Settlements(movements, Kind.DEPOSIT, Scope.DEPOSITS_WRITE, users_may=users_may)
    withdrawals = Settlements(
        movements, Kind.WITHDRAWAL, Scope.WITHDRAWALS_WRITE, users_may=users_may
    )
    user_pb2_grpc.add_UserServiceServicer_to_server(
        UserServicer(movements.pool, page_tokens), registry
    )
    account_pb2_grpc.add_AccountServiceServicer_to_server(
        AccountServicer(movements, page_tokens, rates, AccountReads(movements.pool), watch_list),
        registry,
    )
    deposit_pb2_grpc.add_DepositServiceServicer_to_server(DepositServicer(deposits), registry)
    withdrawal_pb2_grpc.add_WithdrawalServiceServicer_to_server(
        WithdrawalServicer(withdrawals), registry
    )
    purchase_pb2_grpc.add_PurchaseServiceServicer_to_server(
        PurchaseServicer(movements, page_tokens, rates), registry
    )
    transfer_pb2_grpc.add_TransferServiceServicer_to_server(
        TransferServicer(movements, streams), registry
    )


def _mailer(settings: Settings) -> Mailer:
    if url := settings.smtp_url.get_secret_value():
        return SmtpMailer(url, settings.mail_from)
    if not settings.development:
        raise ValueError("BALANCE_SMTP_URL is not set: nobody could sign in")
    return TerminalMailer(mailbox(settings))


def mailbox(settings: Settings) -> Path:
    """Where mails go in development."""
    return Path(settings.data_dir) / "mail.txt"
