"""A rolling upgrade from the last release under load: no call fails, nothing is done twice.

Usage: python -m rehearsals.upgrade [--seconds 5] [--seed N] [--clients 12]

Two instances of the last release on one Postgres, as two hosts behind one name, and clients that
know both addresses. This version's migrations are applied while the release serves; then one
instance after the other is stopped and started anew with this version. Between the steps, requests
that one version carried out are sent again to the other, under their ids. In the end the ledger is
verified. Status 1 if any call failed, anything was done twice, or the ledger does not add up.
"""

import argparse
import asyncio
import contextlib
import functools
import json
import random
import secrets
from pathlib import Path

from balance_client import AsyncClient, AsyncServiceCredentials, v1
from rehearsals import stage, versions
from rehearsals.history import REFUSALS
from rehearsals.servers import Postgres
from rehearsals.upgrade_load import Load
from rehearsals.versions import Version

WORKERS = 2
# Users, and services that they can buy.
MADE = 400
# What verify finds until the day ends, for the release's workers do not count debits.
EXPECTED = {"0.1.0": "verify: spent_is_counted"}
# What the last release knows, which is less than this version does.
SCOPES = ("accounts:read", "accounts:write", "deposits:write", "withdrawals:write",
          "purchases:write", "transfers:write")  # fmt: skip


class Host:
    """One host, on which one version after another serves."""

    def __init__(self, folder: Path, grpc_port: int, http_port: int) -> None:
        self.target = f"127.0.0.1:{grpc_port}"
        self._ports = {"BALANCE_GRPC_PORT": str(grpc_port), "BALANCE_HTTP_PORT": str(http_port)}
        self._log = folder / f"{grpc_port}.log"
        self._serving = contextlib.ExitStack()

    async def start(self, version: Version) -> None:
        self._serving.enter_context(version.serve(self._ports, self._log))
        try:
            await stage.wait_until_serving(self.target)
        except TimeoutError:
            raise RuntimeError(f"{version.name}: {self._log.read_text()[-2000:]}") from None

    async def stop(self) -> None:
        await asyncio.to_thread(self._serving.close)


async def main(options: argparse.Namespace, folder: Path) -> int:
    rng = random.Random(options.seed)
    number, commit = options.release
    postgres = Postgres(folder / "postgres")
    try:
        postgres.start()
        versions.unpack(commit, folder / "release")
        old, new = _choose_versions(folder, postgres.url, number)
        await asyncio.to_thread(old.run, "migrate", "up")
        load = _make_load(postgres)
        async with contextlib.AsyncExitStack() as running:
            ports = stage.free_ports(4)
            hosts = [Host(folder, *ports[:2]), Host(folder, *ports[2:])]
            for host in hosts:
                running.push_async_callback(host.stop)
                await host.start(old)
            secret = await asyncio.to_thread(_create_principal, old, stage.CALLER, SCOPES)
            sent = await _open_accounts(hosts[0], secret, load)
            await _upgrade(options, rng, hosts, new, secret, load)
            await _use_what_is_new(hosts[1], new, load, sent)
        faults = await stage.verify(postgres.url)
        anomalies = [*load.twice, *(each for each in faults if not _is_expected(number, each))]
    finally:
        postgres.close()
    failed = sum(count for end, count in load.ended.items() if end not in ("OK", *REFUSALS))
    print(f"upgraded from {number} under load; calls by their end:")
    for end, count in load.ended.most_common():
        print(f"  {end:<24}{count:>8}")
    for failure in load.failed:
        print(f"FAILED   {failure}")
    for fault in anomalies:
        print(f"ANOMALY  {fault}")
    print(f"seed {options.seed}: {failed} failed calls, {len(anomalies)} anomalies")
    return 1 if failed or anomalies else 0


def _is_expected(number: str, fault: str) -> bool:
    """Whether docs/operating/upgrades.md says that an upgrade from a release has a fault."""
    return number in EXPECTED and fault.startswith(EXPECTED[number])


def _choose_versions(folder: Path, owner_url: str, number: str) -> tuple[Version, Version]:
    """The last release, which signs in to Postgres as it did, and this version as it has to."""
    common = {
        "BALANCE_SECRET": secrets.token_urlsafe(48),
        "BALANCE_DATA_DIR": str(folder),
        "BALANCE_WORKERS": str(WORKERS),
        "BALANCE_DEVELOPMENT": "true",
    }
    signs_in = {
        "BALANCE_DATABASE_URL": stage.service_url(owner_url),
        "BALANCE_OWNER_DATABASE_URL": owner_url,
        "BALANCE_NETWORK_CALLS_PER_SECOND": "0",
        # Both hosts are this machine, on which one alone could have the port.
        "BALANCE_OPERATORS_PORT": "0",
    }
    return (
        Version(number, folder / "release", common | {"BALANCE_DATABASE_URL": owner_url}),
        Version("this version", versions.ROOT, common | signs_in),
    )


def _create_principal(version: Version, client_id: str, scopes: tuple[str, ...]) -> str:
    asked = [word for scope in scopes for word in ("--scope", scope)]
    printed = version.run("service-principal", "create", client_id, *asked)
    secret: str = json.loads(printed)["client_secret"]
    return secret


def _make_load(postgres: Postgres) -> Load:
    """Users and a catalogue, which callers of this kind cannot make."""
    users = postgres.execute(
        "INSERT INTO users (user_id, email, username, created_at, updated_at)"
        " SELECT gen_random_uuid(), n || '@example.com', 'user' || n, now(), now()"
        f" FROM generate_series(1, {MADE}) AS n RETURNING user_id"
    )
    services = postgres.execute(
        "INSERT INTO services (service_id, name, price_minor, currency, created_at, updated_at)"
        " SELECT gen_random_uuid(), 'Service ' || n, 100, 'RUB', now(), now()"
        f" FROM generate_series(1, {MADE}) AS n RETURNING service_id"
    )
    return Load([str(user) for (user,) in users], [str(service) for (service,) in services])


async def _open_accounts(host: Host, secret: str, load: Load) -> str:
    """Opens accounts with money on them; the id of a transfer between two of them."""
    async with AsyncClient(host.target, AsyncServiceCredentials(stage.CALLER, secret)) as client:
        for user in load.users[: stage.ACCOUNTS]:
            account = (await client.open_account(user)).id
            await client.deposit(account, "1000000.00", "RUB")
            load.accounts.append(account)
        return (await client.transfer(load.accounts[0], load.accounts[1], "3.00", "RUB")).id


async def _upgrade(
    options: argparse.Namespace,
    rng: random.Random,
    hosts: list[Host],
    new: Version,
    secret: str,
    load: Load,
) -> None:
    """Brings both hosts to the new version while clients call."""
    stop = asyncio.Event()
    credentials = AsyncServiceCredentials(stage.CALLER, secret)
    both = "ipv4:" + ",".join(host.target for host in hosts)
    async with contextlib.AsyncExitStack() as opened:
        client = await opened.enter_async_context(AsyncClient(both, credentials))
        first, second = [
            await opened.enter_async_context(AsyncClient(host.target, credentials))
            for host in hosts
        ]
        calling = [
            asyncio.create_task(load.go_on(client, random.Random(n), stop))
            for n in range(options.clients)
        ]
        await asyncio.sleep(options.seconds)
        await asyncio.to_thread(new.run, "migrate", "up")
        await asyncio.sleep(options.seconds)
        await load.repeat(first, second, rng)
        await hosts[0].stop()
        await hosts[0].start(new)
        for _ in range(5):
            await load.repeat(first, second, rng)
            await load.repeat(second, first, rng)
        await asyncio.sleep(options.seconds)
        await hosts[1].stop()
        await hosts[1].start(new)
        await asyncio.sleep(options.seconds)
        stop.set()
        await asyncio.gather(*calling)


async def _use_what_is_new(host: Host, new: Version, load: Load, sent: str) -> None:
    """Makes calls that the release did not know, once none of its workers is left.

    Args:
        host: Where the new version serves.
        new: That version.
        load: Counts them.
        sent: A transfer that the release carried out, which is taken back.
    """
    scopes = ("holds:write", "transfers:reverse")
    secret = await asyncio.to_thread(_create_principal, new, "newcomer", scopes)
    async with AsyncClient(host.target, AsyncServiceCredentials("newcomer", secret)) as client:
        back = v1.ReverseTransferRequest(transfer=sent, reason="Back")
        await load.make(client, ("transfers", "ReverseTransfer", back))
        place = v1.CreateHoldRequest(
            account=load.accounts[0], to_account=load.accounts[1], amount="2.00"
        )
        hold = await load.make(client, ("holds", "CreateHold", place))
        capture = v1.CaptureHoldRequest(hold=hold.id, amount="1.00")
        await load.make(client, ("holds", "CaptureHold", capture))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--clients", type=int, default=12)
    arguments = parser.parse_args()
    try:
        arguments.release = versions.find_last_release()
    except LookupError as error:
        parser.error(str(error))
    print(f"seed {arguments.seed}", flush=True)
    stage.run("upgrade", functools.partial(main, arguments))
