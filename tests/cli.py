"""`balance-service` as an operator types it, with a test's settings."""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import NamedTuple

from balance_service import cli

PROGRAM = (sys.executable, "-m", "balance_service")


class Cli:
    """Runs `balance-service` with the test's settings."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = env

    def run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROGRAM, *arguments],
            env={**self.env, **env},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def __call__(self, *arguments: str, status: int = 0, **env: str) -> str:
        done = self.run(*arguments, **env)
        assert done.returncode == status, done.stderr + done.stdout
        return done.stdout + done.stderr


class Done(NamedTuple):
    """What a command ended with, and what it printed."""

    status: int
    out: str
    err: str


class Typed:
    """Runs commands within the test's own process, which takes a tenth of the time.

    Args:
        env: The settings, as environment variables.
    """

    def __init__(self, env: dict[str, str]) -> None:
        self.env = env

    def run(self, *arguments: str, **env: str) -> Done:
        out, err = io.StringIO(), io.StringIO()
        status = 0
        with (
            _environment({**self.env, **env}, arguments),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                cli.main()
            except SystemExit as ended:
                status = int(ended.code or 0)
        return Done(status, out.getvalue(), err.getvalue())

    def __call__(self, *arguments: str, status: int = 0, **env: str) -> str:
        """What a command printed, on both streams."""
        done = self.run(*arguments, **env)
        assert done.status == status, done
        return done.out + done.err


@contextlib.contextmanager
def _environment(env: dict[str, str], arguments: tuple[str, ...]) -> Iterator[None]:
    before, typed = dict(os.environ), sys.argv
    os.environ.update(env)
    sys.argv = ["balance-service", *arguments]
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        sys.argv = typed
