"""Reads from a standby: never older than is accepted, never older than what was seen."""

import asyncio
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr

from balance_client import BalanceError, v1
from balance_service.database.roles import ROLE
from balance_service.gateway import openapi_freshness
from rehearsals.standbys import run
from tests.http import BINDINGS
from tests.postgres import TEMPLATE, of_database, of_service
from tests.service import Person, Service, StartService, rich
from tests.standbys import (
    PATIENCE_SECONDS,
    Pair,
    Told,
    ask,
    balance,
    caught_up,
    locked,
    pair,
    until,
)

pytestmark = [pytest.mark.xdist_group("standbys"), pytest.mark.usefixtures("within")]

BY_NAME = {binding.method.descriptor.name: binding for binding in reversed(BINDINGS)}


@pytest.fixture
def server_url(servers: Pair) -> str:
    """Where the databases of these tests are."""
    return servers.url


async def test_standby_answers_whoever_accepts_it_as_the_primary_does(
    owner: tuple[Person, str],
) -> None:
    person, account = owner
    by_standby = await until(lambda: balance(person, account, "5s"), "standby")
    by_primary = await balance(person, account, max_staleness="0s")
    assert by_primary.read_from == "primary"
    assert by_standby.answer == by_primary.answer
    assert (by_primary.as_of, by_primary.position, by_standby.position) == ("", "", "")
    assert datetime.fromisoformat(by_standby.as_of) <= datetime.now(UTC)


async def test_whoever_says_nothing_is_answered_by_the_primary_and_told_nothing(
    owner: tuple[Person, str],
) -> None:
    told = await balance(*owner, max_staleness=None)
    assert told == Told(told.answer, "", "", "")


async def test_own_write_is_seen_on_whichever_account_by_the_movement_it_made(
    servers: Pair, replicated: Service, owner: tuple[Person, str]
) -> None:
    (person, account), (friend, received) = owner, await rich(replicated)
    await until(lambda: balance(friend, received, "2s"), "standby")
    with servers.paused():
        request = v1.CreateTransferRequest(
            from_account=account, to_account=received, amount="10", currency="RUB"
        )
        made = await person.client.transfers.CreateTransfer(request)
        old = await balance(friend, received)
        assert (old.read_from, old.answer.balance) == ("standby", "1000.00")
        assert datetime.fromisoformat(old.as_of) <= made.date.ToDatetime(UTC)
        new = await balance(friend, received, at_least=made.id)
        assert (new.read_from, new.answer.balance) == ("primary", "1010.00")
    seen = await until(lambda: balance(friend, received, at_least=made.id), "standby")
    assert seen.answer.balance == "1010.00"


async def test_reads_do_not_go_back_for_whoever_passes_on_the_position(
    servers: Pair, owner: tuple[Person, str]
) -> None:
    person, account = owner
    with servers.paused():
        await person.deposit("1", account)
        new = await balance(person, account, "0s", at_least="")
        assert (new.read_from, new.answer.balance) == ("primary", "1001.00")
        assert (await balance(person, account)).answer.balance == "1000.00"
        again = await balance(person, account, at_least=new.position)
        assert (again.read_from, again.answer.balance) == ("primary", "1001.00")
    seen = await until(lambda: balance(person, account, at_least=new.position), "standby")
    assert seen.answer.balance == "1001.00"
    # What the standby showed is known to the primary, and to the standby itself.
    after = await balance(person, account, at_least=f"{new.position},{seen.position}")
    assert after.answer.balance == "1001.00"


async def test_write_tells_its_position_to_whoever_asks(
    servers: Pair, owner: tuple[Person, str]
) -> None:
    person, account = owner
    with servers.paused():
        request = v1.CreateDepositRequest(account=account, amount="2", currency="RUB")
        made = await ask(person.client.deposits.CreateDeposit, request, None, at_least="")
        assert (made.read_from, bool(made.position)) == ("", True)
        told = await balance(person, account, at_least=made.position)
    assert (told.read_from, told.answer.balance) == ("primary", "1002.00")


async def test_standby_that_is_too_old_is_not_read_from(
    servers: Pair, owner: tuple[Person, str]
) -> None:
    person, account = owner
    with servers.paused():
        await person.deposit("1", account)
        assert (await balance(person, account)).read_from == "standby"
        told = await until(lambda: balance(person, account, "1s"), "primary")
        assert told.answer.balance == "1001.00"


async def test_service_bounds_what_callers_accept(
    servers: Pair, database_url: str, start_service: StartService
) -> None:
    url = SecretStr(servers.behind(database_url))
    service = await start_service(replica_url=url, replica_staleness_max_seconds=1.0)
    person, account = await rich(service)
    await until(lambda: balance(person, account), "standby")
    with servers.paused():
        await person.deposit("1", account)
        told = await until(lambda: balance(person, account, "3600s"), "primary")
    assert told.answer.balance == "1001.00"


async def test_standby_refuses_nobody(servers: Pair, owner: tuple[Person, str]) -> None:
    person, _ = owner
    with servers.paused():
        opened = await person.open("USD")
        told = await balance(person, opened.id)
        assert (told.read_from, told.answer.id) == ("primary", opened.id)
        with pytest.raises(BalanceError) as refused:
            await balance(person, "00000000-0000-7000-8000-000000000000")
    assert refused.value.reason == "ACCOUNT_NOT_FOUND"


async def test_list_goes_on_where_the_primary_began_it(
    servers: Pair, owner: tuple[Person, str]
) -> None:
    person, account = owner
    entries = person.client.accounts.ListEntries
    with servers.paused():
        for amount in ("1", "2", "3"):
            await person.deposit(amount, account)
        request = v1.ListEntriesRequest(account=account, page_size=1, order_by="date")
        page = (await ask(entries, request, "0s")).answer
        amounts = [page.entries[0].amount]
        while page.next_page_token:
            request.page_token = page.next_page_token
            page = (await ask(entries, request)).answer
            amounts.append(page.entries[0].amount)
    assert amounts == ["1000.00", "1.00", "2.00", "3.00"]


async def test_standby_that_hangs_is_passed_in_time(
    servers: Pair, database_url: str, owner: tuple[Person, str]
) -> None:
    person, account = owner
    async with locked(servers, database_url, "accounts"):
        told = await balance(person, account)
    assert (told.read_from, told.answer.balance) == ("primary", "1000.00")


async def test_standby_that_is_away_is_missed_by_nobody_and_found_again(
    servers: Pair, replicated: Service, owner: tuple[Person, str]
) -> None:
    person, account = owner
    servers.standby.stop("immediate")
    try:
        told = await balance(person, account)
        assert told.answer.balance == "1000.00"
        await until(lambda: balance(person, account), "primary")
        assert replicated.app.calls.serving
    finally:
        servers.standby.start()
    await until(lambda: balance(person, account), "standby")


async def test_service_starts_without_its_standby(start_service: StartService) -> None:
    service = await start_service(replica_url=SecretStr("host=127.0.0.1 port=1 dbname=x"))
    person, account = await rich(service)
    assert (await balance(person, account)).read_from == "primary"


async def test_header_that_cannot_be_understood_is_refused(owner: tuple[Person, str]) -> None:
    person, account = owner
    method = person.client.accounts.GetAccount
    for header, value in (
        ("balance-max-staleness", "5"),
        ("balance-max-staleness", "-1s"),
        ("balance-max-staleness", "3601s"),
        ("balance-max-staleness", ""),
        ("balance-at-least", "x"),
        ("balance-at-least", "gAAAAABx"),
        ("balance-at-least", "zzzzzzzz-zzzz-zzzz-zzzz-zzzzzzzzzzzz"),
        ("balance-at-least", ",".join(["00000000-0000-7000-8000-000000000000"] * 11)),
    ):
        with pytest.raises(BalanceError) as refused:
            await method(v1.GetAccountRequest(account=account), metadata=[(header, value)])
        assert [violation.field for violation in refused.value.violations] == [header], value
        answer = await person.http("GET", f"/api/v1/accounts/{account}", **{header: value})
        assert (answer.status, answer.fields) == (400, [header]), value


async def test_headers_are_those_of_http_too(owner: tuple[Person, str]) -> None:
    person, account = owner
    await until(lambda: balance(person, account), "standby")
    headers = {"balance-max-staleness": "60s", "balance-at-least": ""}
    answer = await person.http("GET", f"/api/v1/accounts/{account}", **headers)
    assert answer.headers["balance-read-from"] == "standby"
    told = {name.lower() for name in answer.headers if name.lower().startswith("balance-")}
    assert told == set(openapi_freshness.headers(BY_NAME["GetAccount"].method))
    again = {**headers, "balance-at-least": answer.headers["balance-position"]}
    assert (await person.http("GET", f"/api/v1/accounts/{account}", **again)).status == 200


async def test_standby_that_was_promoted_is_not_read_from(
    servers: Pair, database_url: str, start_service: StartService
) -> None:
    with ExitStack() as stack:
        promoted = servers.another("promoted")
        stack.callback(promoted.close)
        url = SecretStr(servers.behind(database_url, promoted))
        service = await start_service(replica_url=url)
        person, account = await rich(service)
        await until(lambda: balance(person, account), "standby")
        caught_up(servers.primary, promoted)
        await asyncio.to_thread(promoted.promote)
        await until(lambda: balance(person, account), "primary")
        await person.deposit("1", account)
        told = await balance(person, account)
        assert (told.read_from, told.answer.balance) == ("primary", "1001.00")


async def test_no_answer_is_older_than_it_says_nor_leaves_out_what_it_has_to_show(
    servers: Pair, database_url: str, keeper: tuple[Person, str]
) -> None:
    course = await run(servers, database_url, *keeper, seconds=3, seed=1)
    assert course.faults == []
    assert course.reads["standby"]
    assert course.movements


@pytest.mark.long
async def test_standby_of_a_primary_that_lost_its_place_is_not_read_from(
    start_service: StartService,
) -> None:
    with pair() as servers, ExitStack() as stack:
        first, second, reads = servers.primary, servers.standby, servers.another("reads")
        stack.callback(reads.close)
        first.execute(f"CREATE DATABASE balance TEMPLATE {TEMPLATE}")
        url = of_database(servers.url, "balance")
        hosts = ",".join(str(server.socket.parent) for server in (first, second))
        both = make_conninfo(of_service(url), host=hosts, target_session_attrs="read-write")
        service = await start_service(
            database_url=SecretStr(both), replica_url=SecretStr(servers.behind(url, reads))
        )
        person, account = await rich(service)
        await until(lambda: balance(person, account, "2s"), "standby")
        # It must not be ahead of the one that takes over, or it could not follow.
        await asyncio.to_thread(reads.stop)
        caught_up(first, second)
        first.vanish()
        await asyncio.to_thread(second.promote)
        await asyncio.to_thread(reads.start)

        await person.deposit("1", account)
        (known,) = service.app.standbys.standbys
        async with asyncio.timeout(PATIENCE_SECONDS):
            while known.fault != "of another history than the primary":
                await asyncio.sleep(0.05)
        told = await balance(person, account)
        assert (told.read_from, told.answer.balance) == ("primary", "1001.00")

        reads.execute(f"ALTER SYSTEM SET primary_conninfo = '{second.url}'")
        reads.execute("SELECT pg_reload_conf()")
        # Replayed, it lets the service read which timeline is received.
        second.execute(f"GRANT pg_read_all_stats TO {ROLE}")
        told = await until(lambda: balance(person, account), "standby")
        assert told.answer.balance == "1001.00"
