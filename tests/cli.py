"""`balance-service` as an operator types it, with a test's settings."""

import subprocess
import sys

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
