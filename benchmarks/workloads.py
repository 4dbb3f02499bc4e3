"""What is asked: each workload makes calls, and names what it is held against."""

import json
import random
from collections.abc import Callable, Collection
from dataclasses import dataclass
from itertools import accumulate

from google.protobuf.message import Message

from balance_client import v1
from balance_client.policy import new_request_id

TRANSFER = "/balance.v1.TransferService/CreateTransfer"
BATCH = "/balance.v1.TransferService/BatchCreateTransfers"
DEPOSITS = "/balance.v1.DepositService/BatchCreateDeposits"
DEPOSIT = "/balance.v1.DepositService/CreateDeposit"
PURCHASE = "/balance.v1.PurchaseService/CreatePurchase"
ACCOUNT = "/balance.v1.AccountService/GetAccount"
ENTRIES = "/balance.v1.AccountService/ListEntries"
# What reads are held against: the same RPC behind the other door, gRPC's own server.
GRPC_AIO = "grpc.aio"

Call = Callable[[], tuple[str, bytes]]
Calls = Callable[[list[str], str, random.Random], Call]


@dataclass(frozen=True)
class Workload:
    """Something to ask of the service.

    Args:
        name: As on the command line.
        calls: Makes a generator's calls, from its accounts, a service's id and its own chance.
        weight: Movements that one call makes; of reads, 1.
        baseline: The pgbench script that it is held against, or GRPC_AIO; empty for none.
        bar: The least ratio to the baseline that the Envoy door is to reach; 0 for none.
        protocol: `grpc`, or one of those of `http1`.
    """

    name: str
    calls: Calls
    weight: int = 1
    baseline: str = ""
    bar: float = 0
    protocol: str = "grpc"

    @property
    def doors(self) -> Collection[str]:
        """The doors that answer it."""
        return ("envoy",) if self.protocol in ("grpc-web", "connect") else ("grpcio", "envoy")


def _sent(path: str, message: Message) -> tuple[str, bytes]:
    return path, message.SerializeToString()


def _transfer(sender: str, receiver: str) -> tuple[str, bytes]:
    request_id = str(new_request_id())
    return _sent(
        TRANSFER,
        v1.CreateTransferRequest(
            from_account=sender, to_account=receiver, amount="0.01", request_id=request_id
        ),
    )


def _one(accounts: list[str], rng: random.Random) -> str:
    return accounts[int(rng.random() * len(accounts))]


def _two(accounts: list[str], rng: random.Random) -> tuple[str, str]:
    count = len(accounts)
    first = int(rng.random() * count)
    return accounts[first], accounts[(first + 1 + int(rng.random() * (count - 1))) % count]


def spread(accounts: list[str], _: str, rng: random.Random) -> Call:
    """Between any two accounts."""
    return lambda: _transfer(*_two(accounts, rng))


def zipf(accounts: list[str], _: str, rng: random.Random) -> Call:
    """Between accounts of which a few are used most (Zipf, exponent 1)."""
    weights = list(accumulate(1 / rank for rank in range(1, len(accounts) + 1)))

    def call() -> tuple[str, bytes]:
        sender, receiver = rng.choices(accounts, cum_weights=weights, k=2)
        return call() if sender == receiver else _transfer(sender, receiver)

    return call


def hot_receiver(accounts: list[str], _: str, rng: random.Random) -> Call:
    """From any account to one."""
    return lambda: _transfer(_one(accounts[1:], rng), accounts[0])


def hot_sender(accounts: list[str], _: str, rng: random.Random) -> Call:
    """From one account to any."""
    return lambda: _transfer(accounts[0], _one(accounts[1:], rng))


def batch(size: int, *, hot: bool) -> Calls:
    """Many transfers a call."""

    def calls(accounts: list[str], _: str, rng: random.Random) -> Call:
        others = accounts[1:]

        def item() -> v1.CreateTransferRequest:
            sender, receiver = _two(others, rng)
            to_account = accounts[0] if hot else receiver
            return v1.CreateTransferRequest(
                from_account=sender, to_account=to_account, amount="0.01"
            )

        prepared = [
            v1.BatchCreateTransfersRequest(requests=[item() for _ in range(size)])
            for _ in range(40)
        ]

        def call() -> tuple[str, bytes]:
            message = prepared[int(rng.random() * len(prepared))]
            message.request_id = str(new_request_id())
            return _sent(BATCH, message)

        return call

    return calls


def deposits(accounts: list[str], _: str, rng: random.Random) -> Call:
    """From outside to any account."""

    def call() -> tuple[str, bytes]:
        request_id = str(new_request_id())
        account = _one(accounts, rng)
        return _sent(
            DEPOSIT,
            v1.CreateDepositRequest(account=account, amount="0.01", request_id=request_id),
        )

    return call


def deposits_batch(size: int) -> Calls:
    """Many deposits a call, each to any account."""

    def calls(accounts: list[str], _: str, rng: random.Random) -> Call:
        prepared = [
            v1.BatchCreateDepositsRequest(
                requests=[
                    v1.CreateDepositRequest(account=_one(accounts, rng), amount="0.01")
                    for _ in range(size)
                ]
            )
            for _ in range(40)
        ]

        def call() -> tuple[str, bytes]:
            message = prepared[int(rng.random() * len(prepared))]
            message.request_id = str(new_request_id())
            return _sent(DEPOSITS, message)

        return call

    return calls


def purchases(accounts: list[str], service: str, rng: random.Random) -> Call:
    """Of one service, all into one revenue account; most accounts soon have it already."""

    def call() -> tuple[str, bytes]:
        request_id = str(new_request_id())
        account = _one(accounts, rng)
        return _sent(
            PURCHASE,
            v1.CreatePurchaseRequest(account=account, service=service, request_id=request_id),
        )

    return call


def balances(accounts: list[str], _: str, rng: random.Random) -> Call:
    """The balance of any account."""
    return lambda: _sent(ACCOUNT, v1.GetAccountRequest(account=_one(accounts, rng)))


def statements(accounts: list[str], _: str, rng: random.Random) -> Call:
    """The last ten entries of any account."""
    return lambda: _sent(ENTRIES, v1.ListEntriesRequest(account=_one(accounts, rng)))


def mixed(accounts: list[str], service: str, rng: random.Random) -> Call:
    """Four reads for each transfer."""
    read, write = balances(accounts, service, rng), spread(accounts, service, rng)
    return lambda: write() if rng.random() < 0.2 else read()


def spread_http(accounts: list[str], _: str, rng: random.Random) -> Call:
    """As `spread`, in JSON."""

    def call() -> tuple[str, bytes]:
        sender, receiver = _two(accounts, rng)
        request = {
            "from_account": sender,
            "to_account": receiver,
            "amount": "0.01",
            "request_id": str(new_request_id()),
        }
        return "/api/v1/transfers", json.dumps(request).encode()

    return call


def balances_http(accounts: list[str], _: str, rng: random.Random) -> Call:
    """As `balances`, in JSON."""
    return lambda: (f"/api/v1/accounts/{_one(accounts, rng)}", b"")


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("spread", spread, baseline="plain", bar=1.8),
        Workload("zipf", zipf, baseline="plain-zipf"),
        Workload("hot-receiver", hot_receiver, baseline="plain-hot", bar=6),
        Workload("hot-sender", hot_sender, baseline="plain-hot"),
        Workload("batch-100", batch(100, hot=False), 100, "plain"),
        Workload("batch-1000", batch(1000, hot=False), 1000, "plain", 3.5),
        Workload("batch-1000-hot", batch(1000, hot=True), 1000, "plain-hot", 18),
        Workload("deposits", deposits, baseline="plain", bar=1.5),
        Workload("deposits-100", deposits_batch(100), 100, "plain"),
        Workload("purchases", purchases, baseline="plain", bar=1.5),
        Workload("mixed", mixed, baseline=GRPC_AIO),
        Workload("balance", balances, baseline=GRPC_AIO),
        Workload("statement", statements, baseline=GRPC_AIO),
        Workload("spread-http", spread_http, protocol="http"),
        Workload("spread-web", spread, protocol="grpc-web"),
        Workload("spread-connect", spread, protocol="connect"),
        Workload("balance-http", balances_http, protocol="http"),
        Workload("balance-web", balances, protocol="grpc-web"),
        Workload("balance-connect", balances, protocol="connect"),
    )
}


def _anonymous(method: str, message: Callable[[], Message]) -> Workload:
    """Calls without a token, of which each may be another."""
    service, _, name = method.partition(".")
    path = f"/balance.v1.{service}/{name}"
    return Workload(name, lambda *_: lambda: _sent(path, message()))


def _uuid() -> str:
    return str(new_request_id())


def _email() -> str:
    return f"{random.getrandbits(64):x}@example.com"


# What needs no token, as somebody sends it who wants to shut the door to others.
FLOODS = {
    workload.name: workload
    for workload in (
        _anonymous(
            "AuthService.SendConfirmationCode",
            lambda: v1.SendConfirmationCodeRequest(email=_email()),
        ),
        _anonymous(
            "AuthService.CreateToken",
            lambda: v1.CreateTokenRequest(email=_email(), confirmation_code="00000000"),
        ),
        _anonymous(
            "AuthService.RefreshToken", lambda: v1.RefreshTokenRequest(refresh_token="x" * 43)
        ),
        _anonymous(
            "AuthService.RevokeToken", lambda: v1.RevokeTokenRequest(refresh_token="x" * 43)
        ),
        _anonymous("AuthService.GetJwks", v1.GetJwksRequest),
        _anonymous("PurchaseService.ListServices", v1.ListServicesRequest),
        _anonymous("PurchaseService.GetService", lambda: v1.GetServiceRequest(service=_uuid())),
        _anonymous("RateService.ListCurrencies", v1.ListCurrenciesRequest),
        _anonymous(
            "RateService.GetRate", lambda: v1.GetRateRequest(from_currency="USD", to_currency="RUB")
        ),
        _anonymous("RateService.ListRates", lambda: v1.ListRatesRequest(base_currency="USD")),
    )
}
