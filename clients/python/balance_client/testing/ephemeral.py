"""A real balance service for a test run: `balance-service run --ephemeral`."""

import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from balance_client import v1
from balance_client.sync import Client, UserCredentials
from balance_client.testing.service import NotInstalled, Service

COMMAND = "BALANCE_SERVICE_COMMAND"
# The first start of a version makes its database, which takes seconds; others copy it.
START_SECONDS_MAX = 120.0
STOP_SECONDS_MAX = 30.0
_MAIL_SECONDS_MAX = 5.0


class EphemeralService(Service):
    """A real service in a process of its own.

    Besides what every Service has:
        http: The base URL of JSON over HTTP.
        admin_email: The address of an admin.
        admin_token: Their access token.
        mailbox: The file in which confirmation codes arrive.
        pid: Its process.
    """

    def __init__(self, told: dict[str, Any]) -> None:
        super().__init__(told["grpc"], told["client_id"], told["client_secret"])
        self.http: str = told["http"]
        self.admin_email: str = told["admin_email"]
        self.admin_token: str = told["admin_token"]
        self.mailbox = Path(told["mailbox"])
        self.pid: int = told["pid"]
        self._admin_token_seconds: int = told["admin_token_seconds"]

    def admin(self) -> Client:
        """Calls as the admin, for threads; it is closed with the service."""
        life = timedelta(seconds=self._admin_token_seconds)
        token = v1.Token(token=self.admin_token, expires_in_seconds=self._admin_token_seconds)
        token.expire_time.FromDatetime(datetime.now(UTC) + life)
        return self.connect(UserCredentials(token))

    def sign_in(self, email: str) -> v1.Token:
        """Signs somebody in, creating them if need be, with the code that was sent to them.

        Raises:
            BalanceError: The service refuses, such as a second code within a minute.
            TimeoutError: No code came.
        """
        with Client(self.grpc) as anybody:
            earlier = len(self._codes(email))
            sent = anybody.auth.SendConfirmationCode(v1.SendConfirmationCodeRequest(email=email))
            deadline = time.monotonic() + _MAIL_SECONDS_MAX
            while len(codes := self._codes(email)) <= earlier:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"no code for {email} came to {self.mailbox}")
                time.sleep(0.01)
            return anybody.auth.CreateToken(
                v1.CreateTokenRequest(
                    verification_id=sent.verification_id, confirmation_code=codes[-1]
                )
            )

    def _sign_in_somebody(self) -> tuple[str, v1.Token]:
        email = f"{uuid.uuid4().hex}@example.com"
        return email, self.sign_in(email)

    def _codes(self, email: str) -> list[str]:
        if not self.mailbox.exists():
            return []
        pattern = rf"^To: {re.escape(email)}$.*?code is (\d+)"
        text = self.mailbox.read_text(encoding="utf-8")
        return re.findall(pattern, text, re.MULTILINE | re.DOTALL)


def find_command() -> list[str]:
    """The words of the command that starts the service.

    Raises:
        NotInstalled: The variable BALANCE_SERVICE_COMMAND is not set, and `balance-service` is not
            in PATH.
    """
    if given := os.environ.get(COMMAND):
        return shlex.split(given)
    found = shutil.which("balance-service")
    if found is None:
        raise NotInstalled(
            "balance-service is not in PATH; install it with "
            "pip install 'balance-ledger-service[embedded]', or say in "
            f"{COMMAND} how to start it"
        )
    return [found]


@contextmanager
def start(**settings: object) -> Iterator[EphemeralService]:
    """Starts a service, and stops it at the end; it leaves nothing behind.

    Args:
        settings: Such as `access_token_seconds=60`: as in the service's environment, without
            BALANCE_ and in small letters. What BALANCE_ variables this process has is not the
            service's.

    Raises:
        NotInstalled: There is none here.
        RuntimeError: It did not start; the message has what it said.
    """
    words = [*find_command(), "run", "--ephemeral", "--until-stdin-closes"]
    environment = {
        name: text for name, text in os.environ.items() if not name.upper().startswith("BALANCE_")
    }
    environment |= {f"BALANCE_{name.upper()}": str(value) for name, value in settings.items()}
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(  # noqa: S603 - the command that the developer named
            words,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
        try:
            line = _first_line(process)
            if not line:
                errors.seek(0)
                said = errors.read().decode(errors="replace").strip()
                raise RuntimeError(f"{shlex.join(words)} did not start: {said or 'in time'}")
            with closing(EphemeralService(json.loads(line))) as service:
                yield service
        finally:
            _stop(process)


def _first_line(process: "subprocess.Popen[bytes]") -> bytes:
    """The line that says where the service is; empty if it ended, or took too long."""
    assert process.stdout is not None, "a pipe"
    giving_up = threading.Timer(START_SECONDS_MAX, process.kill)
    giving_up.daemon = True
    giving_up.start()
    try:
        return process.stdout.readline()
    finally:
        giving_up.cancel()


def _stop(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin is not None, "a pipe"
    assert process.stdout is not None, "a pipe"
    process.stdin.close()
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
