"""The Python client as another project gets it: its wheel alone, in an environment of its own."""

import asyncio
import re
import subprocess
import sys
from importlib import resources
from pathlib import Path
from textwrap import indent

import pytest

from balance_service.domain.principals import Scope
from balance_service.operations import administration
from tests.service import Service

ROOT = Path(__file__).parent.parent.parent
CLIENT = ROOT / "clients/python"
UV = (sys.executable, "-m", "uv", "--quiet")
# The compiler that makes the messages of the oldest protobuf that the client runs on.
OLD_PROTOC = "grpcio-tools==1.72.2"

TYPED = """
from decimal import Decimal
from typing import assert_type

import grpc
from google.protobuf.empty_pb2 import Empty
from google.protobuf.timestamp_pb2 import Timestamp

from balance_client import (
    AsyncClient, BalanceError, Client, Money, Reason, async_each, each, money, v1
)
from balance_client.testing import EphemeralService, User, refusal, start

DEPOSIT = v1.CreateDepositRequest(amount="1")
WATCH = v1.WatchAccountRequest(account="a")
LIST = v1.ListEntriesRequest(account="a")
REVOKE = v1.RevokeTokenRequest(refresh_token="r")


def threads(balance: Client) -> None:
    deposit = balance.deposits.CreateDeposit(DEPOSIT, timeout=2, metadata=[("a", "b")])
    assert_type(deposit, v1.Deposit)
    assert_type(deposit.balance, str)
    assert_type(deposit.date, Timestamp)
    assert_type(balance.auth.RevokeToken(REVOKE), Empty)
    user, trailers = balance.users.GetMe.with_trailers(v1.GetMeRequest())
    assert_type(user, v1.User)
    assert_type(trailers, tuple[tuple[str, str | bytes], ...])
    for account in balance.accounts.WatchAccount(WATCH):
        assert_type(account, v1.Account)
    for outcome in balance.transfers.StreamTransfers([v1.CreateTransferRequest()]):
        assert_type(outcome, v1.TransferOutcome)
    for entry in each(balance.accounts.ListEntries, LIST, lambda page: page.entries):
        assert_type(entry, v1.Entry)
    transfer = balance.transfer("a", "b", Decimal(10), "RUB", request_id="r")
    assert_type(transfer, v1.Transfer)
    assert_type(money(transfer), Money)
    assert_type(balance.balance("a").available, Decimal)
    for entry in balance.entries("a"):
        assert_type(entry, v1.Entry)
    with start(access_token_seconds=60) as service:
        assert_type(service, EphemeralService)
        assert_type(service.user(), User)
    assert_type(refusal("HOLD_CLOSED", hold="h"), BalanceError)


async def loop(balance: AsyncClient) -> None:
    deposit = await balance.deposits.CreateDeposit(DEPOSIT)
    assert_type(deposit, v1.Deposit)
    assert_type(await balance.auth.RevokeToken(REVOKE), Empty)
    async for account in balance.accounts.WatchAccount(WATCH):
        assert_type(account, v1.Account)
    async for outcome in balance.transfers.StreamTransfers([v1.CreateTransferRequest()]):
        assert_type(outcome, v1.TransferOutcome)
    async for entry in async_each(balance.accounts.ListEntries, LIST, lambda page: page.entries):
        assert_type(entry, v1.Entry)
    assert_type(await balance.hold("a", 1, "RUB"), v1.Hold)
    assert_type((await balance.balance("a")).held, Decimal)
    async for entry in balance.entries("a"):
        assert_type(entry, v1.Entry)


def refused(error: BalanceError) -> str:
    assert_type(error.reason, Reason | str)
    assert_type(error.code(), grpc.StatusCode)
    if error.reason == Reason.INSUFFICIENT_FUNDS or error.reason == "ACCOUNT_FROZEN":
        return error.metadata["missing"]
    return error.localized_message
"""

WRONG = """
from balance_client import BalanceError, Client, Reason, v1


def wrong(balance: Client, error: BalanceError) -> None:
    balance.deposits.CreateDeposit(v1.GetMeRequest())
    balance.deposits.CreateDeposits(v1.CreateDepositRequest())
    balance.deposits.CreateDeposit(v1.CreateDepositRequest(amount=1))
    balance.deposits.CreateDeposit(v1.CreateDepositRequest()).balanse
    error.raeson
    Reason.INSUFFICIENT_FUND
    error.code().nmae
    balance.users.GetMe(v1.GetMeRequest(), timeout="1")
    balance.deposit("account", 0.1, "RUB")
    balance.balance("account").availabel
"""

SMOKE = """
import asyncio, sys
import google.protobuf, grpc
from balance_client import (
    AsyncClient, AsyncServiceCredentials, BalanceError, Client, Reason, ServiceCredentials, v1
)

target, secret, account = sys.argv[1:]
request = v1.GetAccountRequest(account=account)

async def loop() -> None:
    async with AsyncClient(target, AsyncServiceCredentials("billing", secret)) as balance:
        assert (await balance.accounts.GetAccount(request)).balance == "5.00"
        async for found in balance.accounts.WatchAccount(v1.WatchAccountRequest(account=account)):
            assert found.balance == "5.00"
            break

with Client(target, ServiceCredentials("billing", secret), language="ru") as balance:
    assert balance.accounts.GetAccount(request).balance == "5.00"
    try:
        balance.accounts.GetAccount(v1.GetAccountRequest(account=account[::-1]))
    except BalanceError as error:
        assert error.violations or error.reason is Reason.ACCOUNT_NOT_FOUND, error
    else:
        raise AssertionError
asyncio.run(loop())
print(google.protobuf.__version__, grpc.__version__)
"""


def run(*command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False, timeout=300
    )


def fetched(done: subprocess.CompletedProcess[str]) -> None:
    """Skips the test if what it needs cannot be fetched here."""
    if done.returncode and re.search(r"(?i)failed to fetch|connect|dns|offline", done.stderr):
        pytest.skip(f"no package index: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr


def environment(folder: Path, *requirements: str | Path) -> Path:
    """The Python of a new virtual environment."""
    assert run(*UV, "venv", "--python", sys.executable, folder).returncode == 0
    python = folder / "bin/python"
    fetched(run(*UV, "pip", "install", "--python", python, *requirements))
    return python


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    done = run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", out, cwd=CLIENT)
    assert done.returncode == 0, done.stderr
    (built,) = out.glob("*.whl")
    return built


def readme_programs() -> str:
    """The Python of both READMEs, as one module."""
    programs: list[str] = []
    for readme in (ROOT / "README.md", CLIENT / "README.md"):
        programs += re.findall(r"(?ms)^```python\n(.*?)^```$", readme.read_text())
    assert len(programs) >= 2
    known = "secret: str, account_id: str, movement_id: str, keys: dict[str, bytes]"
    return "\n\n".join(
        f"def program_{number}({known}) -> None:\n{indent(text, '    ')}"
        for number, text in enumerate(programs)
    )


def page_programs() -> dict[str, str]:
    """The Python of the documentation's pages, each of which is one module, by name."""
    pages = {"page": "clients/python"} | {
        name.replace("-", "_"): f"guides/{name}"
        for name in ("quickstart", "testing", "handling-refusals")
    }
    texts = {name: (ROOT / f"docs/{page}.md").read_text() for name, page in pages.items()}
    found = {name: re.findall(r"(?ms)^```python\n(.*?)^```$", text) for name, text in texts.items()}
    assert all(found.values())
    return {name: "\n".join(programs) for name, programs in found.items()}


def test_types_are_known_to_who_installs_the_client_alone(wheel: Path, tmp_path: Path) -> None:
    python = environment(tmp_path / "env", wheel, "mypy", "pytest")
    right = {"typed": TYPED, "readme": readme_programs(), **page_programs()}
    for name, text in {**right, "wrong": WRONG}.items():
        (tmp_path / f"{name}.py").write_text(text)
    mypy = (python, "-m", "mypy", "--strict", "--cache-dir", tmp_path / "cache")
    done = run(*mypy, *(f"{name}.py" for name in right), cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    wrong = run(*mypy, "wrong.py", cwd=tmp_path).stdout
    lines = {int(line) for line in re.findall(r"^wrong\.py:(\d+): error", wrong, re.MULTILINE)}
    assert lines == set(range(6, 16)), wrong


def test_pyright_knows_the_types_too(wheel: Path, tmp_path: Path) -> None:
    # Its engine in one package, where the package named pyright fetches it when it is run.
    python = environment(tmp_path / "env", wheel, "basedpyright", "pytest")
    programs = {"typed": TYPED, "readme": readme_programs(), **page_programs()}
    for name, text in programs.items():
        (tmp_path / f"{name}.py").write_text(text)
    config = (
        '{"typeCheckingMode": "strict", "reportUnusedVariable": false, "venvPath": ".",'
        ' "venv": "env", "include": ["*.py"]}'
    )
    (tmp_path / "config.json").write_text(config)
    done = run(python, "-m", "basedpyright", "-p", tmp_path / "config.json")
    assert done.returncode == 0, done.stdout


async def test_oldest_versions_that_are_allowed_work(
    wheel: Path, tmp_path: Path, service: Service
) -> None:
    person = await service.person()
    account = await person.open()
    await person.deposit("5", account.id)
    secret = await administration.create_service_principal(
        service.settings, "billing", "", [Scope.ACCOUNTS_READ]
    )
    lowest = ("--resolution", "lowest-direct", "--requirements", CLIENT / "pyproject.toml")
    python = await asyncio.to_thread(environment, tmp_path / "env", *lowest)
    installing = (*UV, "pip", "install", "--python", python, "--no-deps", wheel)
    assert (await asyncio.to_thread(run, *installing)).returncode == 0
    (tmp_path / "smoke.py").write_text(SMOKE)
    done = await asyncio.to_thread(
        run, python, "-W", "error", tmp_path / "smoke.py", service.target, secret, account.id
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["6.30.0", "1.67.0"]


def test_client_is_installed_beside_others_that_hold_protobuf_back(
    wheel: Path, tmp_path: Path
) -> None:
    wanted = (
        "opentelemetry-exporter-otlp-proto-grpc",
        "grpcio-status",
        "google-cloud-pubsub",
        "fastapi",
        "django",
        "celery",
        "sqlalchemy",
        "pydantic",
        "protobuf<7",
    )
    (tmp_path / "in.txt").write_text("\n".join([str(wheel), *wanted]))
    done = run(*UV, "pip", "compile", "--no-header", "--no-annotate", tmp_path / "in.txt")
    fetched(done)
    assert re.search(r"^protobuf==6\.", done.stdout, re.MULTILINE), done.stdout


def test_messages_are_those_of_the_old_compiler_to_the_byte(tmp_path: Path) -> None:
    """What they say of themselves is true: that they are for the oldest protobuf allowed."""
    # The annotations' descriptors become part of ours.
    import google.api

    annotations = Path(next(iter(google.api.__path__))).parent.parent
    python = environment(tmp_path / "env", "--only-binary", ":all:", OLD_PROTOC, "setuptools")
    own = run(
        python, "-c", "import grpc_tools, pathlib; print(pathlib.Path(grpc_tools.__file__).parent)"
    )
    protos = sorted((ROOT / "protos/balance").rglob("*.proto"))
    includes = (ROOT / "protos", annotations, f"{own.stdout.strip()}/_proto")
    arguments = [*(f"-I{folder}" for folder in includes), f"--python_out={tmp_path}"]
    done = run(python, "-m", "grpc_tools.protoc", *arguments, *protos)
    assert done.returncode == 0, done.stderr
    ours = resources.files("balance_client") / "_generated/balance/v1"
    made = sorted((tmp_path / "balance/v1").glob("*_pb2.py"))
    assert len(made) == len(protos)
    for module in made:
        text = (ours / module.name).read_text().replace("balance_client._generated.", "")
        assert text == module.read_text(), module.name
