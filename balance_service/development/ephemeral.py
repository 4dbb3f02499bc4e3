"""What `run --ephemeral` does: a service for the tests of others, gone when they are over."""

import asyncio
import os
import secrets as random_source
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

from pydantic import SecretStr

from balance_service.config import Settings
from balance_service.development import ephemeral_postgres
from balance_service.server import logs

# Unless settings say otherwise: tests call faster than people do, and run for longer than a token
# should live.
_LENIENT: dict[str, object] = {
    "access_token_seconds": 86_400,
    "codes_per_hour": 1_000_000,
    "network_codes_per_hour": 1_000_000,
    "network_calls_per_second": 0,
    "user_calls_per_second": 0,
    "user_deposits": True,
    "drain_seconds": 2,
    "log_level": "warning",
}


def run(settings: Settings, out: TextIO | None, *, until_stdin_closes: bool = False) -> None:
    """Serves until a signal to stop, or until nobody is there who could want it.

    Args:
        settings: As they were read; a port that no option names is 0.
        out: Gets the line that says where the service is, and no other; None if it is closed.
        until_stdin_closes: Whether the end of standard input is a signal to stop, too.

    Raises:
        ValueError: Nobody could read the line.
        RuntimeError: A port cannot be listened on, or Postgres does not start.
    """
    if out is None:
        raise ValueError("standard output is closed: nobody could read where the service is")
    parent = os.getppid()
    with (
        ephemeral_postgres.folder() as folder,
        ExitStack() as contexts,
        ThreadPoolExecutor(1) as aside,
    ):
        starting = aside.submit(contexts.enter_context, ephemeral_postgres.running(folder))
        # To load the service takes as long as to start Postgres.
        from balance_service.development import ephemeral_service  # noqa: PLC0415

        complete = _complete(settings, folder, starting.result())
        logs.configure(complete.log_level)
        serving = ephemeral_service.serve(
            complete, out, parent, until_stdin_closes=until_stdin_closes
        )
        asyncio.run(serving)


def _complete(settings: Settings, folder: Path, database_url: str) -> Settings:
    """Settings of a service that shares nothing with another."""
    lenient = {
        name: value for name, value in _LENIENT.items() if name not in settings.model_fields_set
    }
    return settings.model_copy(
        update=lenient
        | {
            "data_dir": str(folder),
            "database_url": SecretStr(database_url),
            "development": True,
            "secret": SecretStr(random_source.token_urlsafe(48)),
            "smtp_url": SecretStr(""),
        }
    )
