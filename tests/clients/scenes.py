"""What the programs of every language do with a service, and what they must then say."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from balance_client import v1
from balance_service.domain import errors
from balance_service.domain.principals import Scope
from balance_service.operations import administration
from tests.clients.packages import tell
from tests.service import Service, StartService, free_port
from tests.tokens import TokenProbe, expired

# The reference is `examples/story` of each client.
STORY = [
    "deposit 5000.00: balance 5000.00, replayed true",
    "transfer 750.50: balance 4249.50",
    "purchase 499.00: balance 3750.50",
    "refund 499.00: balance 4249.50",
    "hold 300.00: available 3949.50",
    "capture 120.00: balance 4129.50",
    "refused INSUFFICIENT_FUNDS: missing 95870.50",
    "1 deposit 5000.00 5000.00",
    "2 transfer -750.50 4249.50",
    "3 purchase -499.00 3750.50",
    "4 refund 499.00 4249.50",
    "5 transfer -120.00 4129.50",
]

USER = ["kept 1", "ended REFRESH_TOKEN_INVALID", "ended REFRESH_TOKEN_INVALID"]


@dataclass(frozen=True)
class Caller:
    """The sibling service `billing`, and two people with accounts in roubles.

    Args:
        secret: Its client secret.
        users: The people's ids.
        accounts: Their accounts' ids; empty where they have none.
    """

    secret: str
    users: tuple[str, str]
    accounts: tuple[str, str]


async def billing(service: Service, amount: str = "1000") -> Caller:
    """A sibling service that may do everything, and two people, of whom the first has money.

    Args:
        service: Where they are made.
        amount: How much the first has; nobody has an account if it is empty.
    """
    secret = await administration.create_service_principal(
        service.settings, "billing", "", list(Scope)
    )
    anna, boris = await service.person(), await service.person()
    if not amount:
        return Caller(secret, (anna.user_id, boris.user_id), ("", ""))
    accounts = ((await anna.open()).id, (await boris.open()).id)
    await anna.deposit(amount, accounts[0])
    return Caller(secret, (anna.user_id, boris.user_id), accounts)


async def offer_coffee(service: Service) -> None:
    """Puts a service into the catalogue."""
    admin = await service.admin()
    coffee = v1.Service(name="Coffee", price="499", currency="RUB")
    await admin.client.purchases.CreateService(v1.CreateServiceRequest(service=coffee))


def doors(caller: Caller, target: str, ca: Path | None = None) -> dict[str, str]:
    """The environment of the programs that call in every way."""
    anna, boris = caller.accounts
    found = {"TARGET": target, "SECRET": caller.secret, "ANNA": anna, "BORIS": boris}
    return found | ({"CA": str(ca)} if ca else {})


def story(caller: Caller, target: str) -> dict[str, str]:
    """The environment of the programs that tell the story."""
    anna, boris = caller.users
    found = {"TARGET": target, "CLIENT_ID": "billing", "SECRET": caller.secret}
    return found | {"ANNA": anna, "BORIS": boris}


async def user(service: Service, probe: TokenProbe, target: str) -> dict[str, str]:
    """The environment of the programs that call as a user, whose access token has expired."""
    person = await service.person()
    token = expired(probe, person)
    return {"TARGET": target, "TOKEN": token.token, "REFRESH": token.refresh_token}


async def told_to_who_came_first(
    start_service: StartService, *command: str | Path, scheme: str = ""
) -> list[str]:
    """What a program says that begins two seconds before the service that it calls.

    Args:
        start_service: Starts the service.
        command: Runs the program.
        scheme: What stands before the service's address.
    """
    port = free_port()
    telling = asyncio.create_task(tell(*command, TARGET=f"{scheme}127.0.0.1:{port}"))
    done, _ = await asyncio.wait([telling], timeout=2)
    assert not done
    await start_service(grpc_port=port)
    return await telling


@contextmanager
def trouble(service: Service, probe: TokenProbe) -> Iterator[None]:
    """A service that twice is not there to sign in, then gives a token that has expired, and is not
    there for the first movement. A client that does what it should signs in four times.
    """
    probe.failures = [errors.Unavailable(), errors.Unavailable()]
    probe.expired = 1
    before = probe.sign_ins
    queue = service.app.queue
    room = queue.check_room
    missed: list[int] = []

    def miss_once(principal: str, commands: int) -> None:
        if not missed:
            missed.append(commands)
            raise errors.Unavailable
        room(principal, commands)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queue, "check_room", miss_once)
        yield
    assert missed
    assert probe.sign_ins - before == 4
