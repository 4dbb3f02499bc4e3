"""What `run` does around the workers: Postgres, a secret, demo data, a greeting."""

import asyncio
import contextlib
import secrets as random_source
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pydantic import SecretStr

from balance_service.config import Settings
from balance_service.database import embedded, migrate
from balance_service.server import administration, workers

READY_TIMEOUT_SECONDS = 60


@contextlib.contextmanager
def database(settings: Settings) -> Iterator[str]:
    """The configured database, or an embedded one that lives as long as this context."""
    if settings.database_url:
        yield settings.database_url
        return
    with embedded.running(_embedded_folder(settings)) as url:
        yield url


@contextlib.contextmanager
def existing(settings: Settings) -> Iterator[Settings]:
    """Settings with a database that is there already: the configured one, or that of `run`.

    Raises:
        ValueError: There is neither.
    """
    if settings.database_url:
        yield settings
        return
    if not _embedded_folder(settings).exists():
        raise ValueError("BALANCE_DATABASE_URL is not set, and `run` has made no database here")
    with database(settings) as url:
        yield prepared(settings, url)


def prepared(settings: Settings, database_url: str) -> Settings:
    """Settings for development: complete, and lenient where production is strict."""
    chosen: dict[str, object] = {"database_url": database_url, "development": True}
    if "user_deposits" not in settings.model_fields_set:
        chosen["user_deposits"] = True
    if "connect" not in settings.model_fields_set:
        chosen["connect"] = True
    if not settings.secret.get_secret_value():
        chosen["secret"] = SecretStr(_kept_secret(Path(settings.data_dir)))
    return settings.model_copy(update=chosen)


async def run(settings: Settings, greet: Callable[[Settings], None]) -> int:
    """Migrates, loads demo data, runs the workers and greets once they answer.

    Args:
        settings: As `prepared`.
        greet: Tells the newcomer what runs where.
    """
    await asyncio.to_thread(migrate.up, settings.database_url)
    await administration.load_demo_data(settings)
    with workers.reserved_ports(settings) as bound:
        supervising = asyncio.create_task(workers.supervise(bound))
        ready = asyncio.create_task(_ready(bound))
        await asyncio.wait({supervising, ready}, return_when=asyncio.FIRST_COMPLETED)
        if ready.done() and not supervising.done():
            greet(bound)
        ready.cancel()
        return await supervising


async def _ready(settings: Settings) -> None:
    """Returns once the service of these settings says that it serves."""
    target = f"{settings.host}:{settings.grpc_port}"
    async with asyncio.timeout(READY_TIMEOUT_SECONDS):
        while not await serves(target, settings):  # noqa: ASYNC110 - another process has no event
            await asyncio.sleep(0.1)


async def serves(target: str, settings: Settings | None = None) -> bool:
    """Whether the service at a target says that it serves.

    Args:
        target: Its host and port.
        settings: Its own, if it speaks TLS; it is asked by HTTP then.
    """
    if settings and settings.tls_certificate:
        return await _serves_by_tls(target, settings)
    async with grpc.aio.insecure_channel(target) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        with contextlib.suppress(grpc.aio.AioRpcError):
            request = health_pb2.HealthCheckRequest()
            answer = await stub.Check(request, timeout=2)  # type: ignore[attr-defined]
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
    return False


async def _serves_by_tls(target: str, settings: Settings) -> bool:
    # One's own service is asked, whose certificate names the host that others know it by.
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    host, _, port = target.rpartition(":")
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
            writer.write(b"GET /healthz HTTP/1.1\r\nhost: health\r\nconnection: close\r\n\r\n")
            status = await reader.readline()
            writer.close()
            return b" 200 " in status
    return False


def _embedded_folder(settings: Settings) -> Path:
    return Path(settings.data_dir).absolute() / "postgres"


def _kept_secret(data_dir: Path) -> str:
    """The secret kept beside the embedded database; made at the first run."""
    data_dir.mkdir(parents=True, exist_ok=True)
    path = data_dir / "secret"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(random_source.token_urlsafe(48), encoding="utf-8")
    return path.read_text(encoding="utf-8")
