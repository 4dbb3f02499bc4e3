"""Sign-in under abuse: nobody voids another's code, shuts an address, or guesses without end."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from itertools import count

import grpc
import psycopg
import pytest

from balance_client import AsyncClient, BalanceError, v1
from balance_service.gateway.remote import RemoteUpstream
from balance_service.server import http_server
from tests.http import Http
from tests.service import Service, StartService, free_port, reason, refused

EMAIL = "anna@example.com"
HOME = "192.0.2.1"
PROXY = {"trusted_proxies": "127.0.0.0/8, ::1/128"}
_numbers = count(1)


def elsewhere() -> str:
    """An address that nobody has called from."""
    return f"198.18.{(number := next(_numbers)) // 250}.{number % 250}"


@dataclass
class Caller:
    """Somebody who signs in, from an address of theirs."""

    service: Service
    client: AsyncClient
    address: str

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return (("x-forwarded-for", self.address),)

    async def ask(self, email: str = EMAIL) -> v1.CreateTokenRequest:
        """Has a code sent; what it is exchanged for a token with by who reads the mail."""
        request = v1.SendConfirmationCodeRequest(email=email)
        sent = await self.client.auth.SendConfirmationCode(request, metadata=self.metadata)
        code = self.service.mailbox.code(email)
        return v1.CreateTokenRequest(verification_id=sent.verification_id, confirmation_code=code)

    def exchange(self, request: v1.CreateTokenRequest) -> Awaitable[v1.Token]:
        return self.client.auth.CreateToken(request, metadata=self.metadata)


def caller(service: Service, address: str = "") -> Caller:
    return Caller(service, service.client(), address or elsewhere())


def guess(request: v1.CreateTokenRequest, by: int = 1) -> v1.CreateTokenRequest:
    """A wrong guess at a code."""
    code = f"{(int(request.confirmation_code) + by) % 10**8:08d}"
    return v1.CreateTokenRequest(verification_id=request.verification_id, confirmation_code=code)


def plainly(request: v1.CreateTokenRequest, email: str = EMAIL) -> v1.CreateTokenRequest:
    """The form of callers who know no verification."""
    return v1.CreateTokenRequest(email=email, confirmation_code=request.confirmation_code)


def later(database_url: str, interval: str = "30 seconds") -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute("UPDATE sign_in_quotas SET full_at = full_at - %s::interval", (interval,))


async def use_up_strangers(service: Service, email: str = EMAIL) -> list[v1.CreateTokenRequest]:
    """Has strangers ask for codes until they get no more; what the mailbox's reader could do."""
    asked: list[v1.CreateTokenRequest] = []
    for _ in range(20):
        try:
            asked.append(await caller(service).ask(email))
        except BalanceError as error:
            assert error.reason == "CONFIRMATION_CODE_LIMIT"
            return asked
    pytest.fail("strangers are not limited")


async def test_nobody_voids_the_code_of_another(start_service: StartService) -> None:
    service = await start_service(**PROXY)
    mine = await caller(service, HOME).ask()
    for _ in range(9):
        stranger = caller(service)
        theirs = await stranger.ask()
        for by in range(1, 6):
            await refused(stranger.exchange(guess(theirs, by)))
        await refused(stranger.exchange(plainly(guess(theirs))))
    await use_up_strangers(service)
    assert (await caller(service, HOME).exchange(mine)).token


async def test_address_is_shut_to_who_asks_too_often_and_to_nobody_else(
    start_service: StartService, database_url: str
) -> None:
    service = await start_service(**PROXY)
    attacker, owner = caller(service), caller(service, HOME)
    for _ in range(5):
        await attacker.ask()
        later(database_url)
    assert await reason(attacker.ask()) == "CONFIRMATION_CODE_LIMIT"
    assert (await owner.exchange(await owner.ask())).token


async def test_network_that_signed_in_keeps_its_share_whatever_strangers_do(
    start_service: StartService, database_url: str
) -> None:
    service = await start_service(**PROXY, network_codes_per_hour=12, codes_per_hour=12)
    owner = caller(service, HOME)
    await owner.exchange(await owner.ask())
    later(database_url)
    await use_up_strangers(service)
    assert (await owner.exchange(await owner.ask())).token


async def test_code_that_others_asked_for_signs_in_who_reads_it(
    start_service: StartService,
) -> None:
    service = await start_service(**PROXY)
    asked = await use_up_strangers(service)
    owner = caller(service)
    assert await reason(owner.ask()) == "CONFIRMATION_CODE_LIMIT"
    assert (await owner.exchange(plainly(asked[-1]))).token


async def test_after_ten_wrong_guesses_each_code_has_one_guess(
    start_service: StartService, database_url: str
) -> None:
    service = await start_service(**PROXY)
    owner = caller(service, HOME)
    for _ in range(2):
        request = await owner.ask()
        for by in range(1, 6):
            await refused(owner.exchange(guess(request, by)))
        later(database_url)
    wrong_first = await owner.ask()
    await refused(owner.exchange(guess(wrong_first)))
    assert await reason(owner.exchange(wrong_first)) == "CONFIRMATION_CODE_INVALID"
    later(database_url)
    assert (await owner.exchange(await owner.ask())).token


async def test_strangers_have_fifty_wrong_guesses_at_a_mailbox_and_then_one_a_code(
    start_service: StartService, database_url: str
) -> None:
    service = await start_service(**PROXY)
    # Meanwhile they get three guesses back, which the last of them uses up.
    for _ in range(11):
        stranger = caller(service)
        request = await stranger.ask()
        for by in range(1, 6):
            await refused(stranger.exchange(guess(request, by)))
        later(database_url, "10 minutes")
    unlucky, lucky = caller(service), caller(service)
    request = await unlucky.ask()
    await refused(unlucky.exchange(guess(request)))
    assert await reason(unlucky.exchange(request)) == "CONFIRMATION_CODE_INVALID"
    assert await reason(unlucky.exchange(plainly(request))) == "CONFIRMATION_CODE_LIMIT"
    assert (await lucky.exchange(await lucky.ask())).token


async def test_plain_guesses_are_limited_and_leave_the_other_form_alone(
    start_service: StartService,
) -> None:
    service = await start_service(**PROXY)
    owner, attacker = caller(service, HOME), caller(service)
    request = await owner.ask()
    for by in range(1, 6):
        wrong = plainly(guess(request, by))
        assert await reason(attacker.exchange(wrong)) == "CONFIRMATION_CODE_INVALID"
    error = await refused(attacker.exchange(plainly(request)))
    assert (error.code(), error.reason) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "CONFIRMATION_CODE_LIMIT",
    )
    assert 3600 < (error.retry_after_seconds or 0) <= 86_400 / 5
    assert (await caller(service).exchange(plainly(request))).token
    assert await reason(owner.exchange(request)) == "CONFIRMATION_CODE_INVALID"


async def test_unknown_address_is_answered_as_a_known_one(start_service: StartService) -> None:
    service = await start_service(**PROXY)
    owner = caller(service, HOME)
    await owner.exchange(await owner.ask())
    told = []
    for email in (EMAIL, "nobody@example.com"):
        stranger = caller(service)
        wrong = v1.CreateTokenRequest(email=email, confirmation_code="00000000")
        answers = [await refused(stranger.exchange(wrong)) for _ in range(7)]
        told.append([(error.code(), error.reason, error.details()) for error in answers])
    assert told[0] == told[1]


@pytest.mark.usefixtures("within")
async def test_limits_hold_for_many_at_once_on_several_workers(
    start_service: StartService, database_url: str
) -> None:
    services = [await start_service(**PROXY), await start_service(**PROXY)]
    strangers = [caller(services[index % 2]) for index in range(20)]
    results = await asyncio.gather(*(each.ask() for each in strangers), return_exceptions=True)
    refusals = [result for result in results if isinstance(result, BalanceError)]
    assert {error.reason for error in refusals} == {"CONFIRMATION_CODE_LIMIT"}
    assert len(refusals) == 10
    assert sum(len(service.mailbox.mails) for service in services) == 10

    one = elsewhere()
    wrong = v1.CreateTokenRequest(email="boris@example.com", confirmation_code="00000000")
    calls = [caller(services[index % 2], one).exchange(wrong) for index in range(20)]
    reasons = [await reason(call) for call in calls]
    assert sorted(reasons) == ["CONFIRMATION_CODE_INVALID"] * 5 + ["CONFIRMATION_CODE_LIMIT"] * 15

    two = elsewhere()
    calls = [caller(services[index % 2], two).exchange(wrong) for index in range(20)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    told = [outcome.reason for outcome in outcomes if isinstance(outcome, BalanceError)]
    assert sorted(told) == ["CONFIRMATION_CODE_INVALID"] * 5 + ["CONFIRMATION_CODE_LIMIT"] * 15


async def test_right_codes_use_up_no_guesses(
    start_service: StartService, database_url: str
) -> None:
    service = await start_service(**PROXY)
    owner = caller(service, HOME)
    for index in range(12):
        request = await owner.ask()
        assert (await owner.exchange(plainly(request) if index % 2 else request)).token
        later(database_url, "10 minutes")


async def test_addresses_of_one_mailbox_share_its_limits(start_service: StartService) -> None:
    service = await start_service(**PROXY)
    person = caller(service)
    await person.ask("anna.k@gmail.com")
    for email in ("annak@gmail.com", "anna.k+x@gmail.com", "a.n.n.a.k@googlemail.com"):
        assert await reason(person.ask(email)) == "CONFIRMATION_CODE_LIMIT"
    await person.ask("annak@example.com")


async def test_subscriber_of_ipv6_is_one_asker(start_service: StartService) -> None:
    service = await start_service(**PROXY)
    await caller(service, "2001:db8:1:1::1").ask()
    assert await reason(caller(service, "2001:db8:1:1:ffff::2").ask()) == "CONFIRMATION_CODE_LIMIT"
    await caller(service, "2001:db8:1:2::1").ask()


async def test_caller_does_not_choose_an_address_without_a_proxy(service: Service) -> None:
    await caller(service).ask()
    assert await reason(caller(service).ask()) == "CONFIRMATION_CODE_LIMIT"


async def test_network_is_limited_over_all_mailboxes_but_those_it_is_known_to(
    start_service: StartService, database_url: str
) -> None:
    service = await start_service(**PROXY, network_codes_per_hour=3)
    office = caller(service)
    await office.exchange(await office.ask("known@example.com"))
    for index in range(2):
        await office.ask(f"p{index}@example.com")
    error = await refused(office.ask("p2@example.com"))
    assert error.reason == "CONFIRMATION_CODE_LIMIT"
    assert 600 < (error.retry_after_seconds or 0) <= 1200
    later(database_url)
    await office.ask("known@example.com")
    await caller(service).ask("p2@example.com")


async def test_service_sends_so_many_in_all(start_service: StartService) -> None:
    service = await start_service(**PROXY, codes_per_hour=3)
    for index in range(3):
        await caller(service).ask(f"p{index}@example.com")
    assert await reason(caller(service).ask("p3@example.com")) == "CONFIRMATION_CODE_LIMIT"


async def test_http_callers_are_told_apart_too_also_by_a_gateway_alone(
    start_service: StartService,
) -> None:
    service = await start_service(**PROXY)
    port = free_port()
    upstream = RemoteUpstream(service.settings, service.target)
    gateway = http_server.build(service.settings.model_copy(update={"http_port": port}), upstream)
    await gateway.start()
    alone = Http(f"http://127.0.0.1:{port}")
    try:
        for http in (service.http, alone):
            here, there = elsewhere(), elsewhere()
            email = {"email": f"p{next(_numbers)}@example.com"}
            statuses = [
                (await http("POST", "/api/v1/auth/email", email, x_forwarded_for=address)).status
                for address in (here, here, there)
            ]
            assert statuses == [200, 429, 200], http.url
    finally:
        await alone.client.close()
        await gateway.stop()
        await upstream.close()


@pytest.mark.usefixtures("within")
async def test_what_limits_nothing_any_more_is_forgotten(
    start_service: StartService, database_url: str
) -> None:
    service = await start_service(**PROXY)
    owner, other = caller(service, HOME), caller(service)
    await owner.exchange(await owner.ask())
    await other.ask("other@example.com")
    tables = ("verifications", "sign_in_quotas", "known_askers")

    def counts() -> list[int]:
        with psycopg.connect(database_url) as conn:
            return [
                len(conn.execute(f"SELECT * FROM {table}".encode()).fetchall()) for table in tables
            ]

    await service.app.maintenance.delete_expired()
    assert min(counts()) > 0
    assert await reason(other.ask("other@example.com")) == "CONFIRMATION_CODE_LIMIT"
    with psycopg.connect(database_url) as conn:
        conn.execute("UPDATE verifications SET expires_at = expires_at - interval '3 days'")
        conn.execute("UPDATE sign_in_quotas SET full_at = full_at - interval '3 days'")
        conn.execute("UPDATE known_askers SET seen_at = seen_at - interval '91 days'")
    await service.app.maintenance.delete_expired()
    assert counts() == [0, 0, 0]


async def test_what_is_refused_leaves_nothing_behind(
    start_service: StartService, database_url: str
) -> None:
    service = await start_service(**PROXY, network_codes_per_hour=1)
    office = caller(service)
    await office.ask()

    def count() -> int:
        with psycopg.connect(database_url) as conn:
            return len(conn.execute("SELECT key FROM sign_in_quotas").fetchall())

    before = count()
    for index in range(5):
        assert await reason(office.ask(f"p{index}@example.com")) == "CONFIRMATION_CODE_LIMIT"
    assert count() == before


async def test_network_does_not_try_its_luck_at_every_mailbox(
    start_service: StartService,
) -> None:
    service = await start_service(**PROXY)
    request, attacker = await caller(service, HOME).ask(), caller(service)
    told = [
        await reason(
            attacker.exchange(
                v1.CreateTokenRequest(email=f"p{index}@example.com", confirmation_code="00000000")
            )
        )
        for index in range(110)
    ]
    assert set(told[:100]) == {"CONFIRMATION_CODE_INVALID"}
    assert "CONFIRMATION_CODE_LIMIT" in told[100:]
    assert (await caller(service).exchange(plainly(request))).token
