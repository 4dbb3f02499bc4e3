"""Whether the time of an answer tells that an address is a user's: it should not.

Usage: python -m benchmarks sign-in [--addresses 500]

Asks the same of addresses that are users' and of addresses that are nobody's, one after the other
in a random order, each from a network of its own, and shows how long both took. `z` is that of the
Mann-Whitney test: beyond 2.58 or so, the two differ by more than chance.
"""

import argparse
import asyncio
import math
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import grpc
import psycopg

from balance_client import BalanceError, Client, v1
from balance_service.config import Settings
from balance_service.database import embedded, migrate
from balance_service.domain import ids
from rehearsals import stage

MAILS_PER_HOUR = 10**7
Ask = Callable[[Client, str, tuple[tuple[str, str], ...]], object]


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--addresses", type=int, default=500, help="of each of the two kinds")
    options = parser.parse_args(arguments)
    report: list[str] = []
    with ExitStack() as started:
        name = started.enter_context(tempfile.TemporaryDirectory(prefix="balance-bench-"))
        settings = _start(started, Path(name))
        client = started.enter_context(Client(settings.grpc_target))
        for title, ask in (("SendConfirmationCode", _send), ("CreateToken, wrong code", _guess)):
            known = [f"known-{number}@example.com" for number in range(options.addresses)]
            unknown = [f"other-{number}@example.com" for number in range(options.addresses)]
            _create_users(settings, known)
            _measure(client, ask, [f"warm-{number}@example.com" for number in range(100)])
            took = _measure(client, ask, [*known, *unknown])
            report += _report(
                title, [took[email] for email in known], [took[email] for email in unknown]
            )
    # Afterwards, for the service writes its mails to the terminal.
    print("\n".join(report))


def _start(started: ExitStack, folder: Path) -> Settings:
    """Starts Postgres and the service with one worker; its settings."""
    folder.chmod(0o755)
    url = started.enter_context(embedded.running(folder / "postgres"))
    migrate.up(url, stage.service_url(url))
    settings = stage.choose_settings(folder, url, 1).model_copy(
        update={
            "trusted_proxies": "127.0.0.0/8",
            "codes_per_hour": MAILS_PER_HOUR,
            "log_level": "warning",
        }
    )
    started.enter_context(stage.program(settings))
    asyncio.run(stage.wait_until_serving(settings.grpc_target))
    return settings


def _create_users(settings: Settings, emails: Sequence[str]) -> None:
    now = datetime.now(UTC)
    with psycopg.connect(settings.database_url.get_secret_value()) as conn:
        conn.cursor().executemany(
            "INSERT INTO users (user_id, email, username, created_at, updated_at)"
            " VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            [(ids.new_id(), email, f"u-{n}", now, now) for n, email in enumerate(emails)],
        )


def _send(client: Client, email: str, metadata: tuple[tuple[str, str], ...]) -> object:
    request = v1.SendConfirmationCodeRequest(email=email)
    return client.auth.SendConfirmationCode(request, metadata=metadata)


def _guess(client: Client, email: str, metadata: tuple[tuple[str, str], ...]) -> object:
    request = v1.CreateTokenRequest(email=email, confirmation_code="00000000")
    try:
        return client.auth.CreateToken(request, metadata=metadata)
    except BalanceError as error:
        if error.code() != grpc.StatusCode.UNAUTHENTICATED:
            raise
        return None


def _measure(client: Client, ask: Ask, emails: Sequence[str]) -> dict[str, float]:
    """How long each address took, in milliseconds."""
    took = {}
    for email in random.sample(emails, len(emails)):
        address = ".".join(str(random.randrange(1, 255)) for _ in range(4))
        began = time.perf_counter()
        ask(client, email, (("x-forwarded-for", address),))
        took[email] = (time.perf_counter() - began) * 1000
    return took


def _report(title: str, known: Sequence[float], unknown: Sequence[float]) -> list[str]:
    lines = [title]
    for name, took in (("known", known), ("unknown", unknown)):
        cuts = statistics.quantiles(took, n=100)
        lines.append(
            f"  {name:<8} {len(took)} calls, median {statistics.median(took):.3f} ms,"
            f" p10 {cuts[9]:.3f}, p90 {cuts[89]:.3f}, mean {statistics.fmean(took):.3f}"
        )
    return [*lines, f"  z = {_mann_whitney(known, unknown):+.2f}"]


def _mann_whitney(one: Sequence[float], other: Sequence[float]) -> float:
    """The test's statistic, standardised; times are distinct enough for ties not to matter."""
    ranked = sorted([(value, True) for value in one] + [(value, False) for value in other])
    ranks = sum(rank for rank, (_, first) in enumerate(ranked, 1) if first)
    n, m = len(one), len(other)
    u = ranks - n * (n + 1) / 2
    return (u - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)
