"""The ledger as a whole from a standby: trial balances and balances of now."""

from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from balance_client import v1
from tests.service import Person, Service, rich
from tests.standbys import Pair, Told, ask, balance, until

pytestmark = [pytest.mark.xdist_group("standbys"), pytest.mark.usefixtures("within")]


@pytest.fixture
def server_url(servers: Pair) -> str:
    """Where the databases of these tests are."""
    return servers.url


def of_now(
    admin: Person, max_staleness: str = "60s", at_least: str | None = None
) -> Awaitable[Told]:
    request = v1.GetTrialBalanceRequest()
    return ask(admin.client.ledgers.GetTrialBalance, request, max_staleness, at_least)


def of_all(
    admin: Person,
    max_staleness: str | None = "60s",
    at_least: str | None = None,
    request: v1.ListBalancesRequest | None = None,
) -> Awaitable[Told]:
    wanted = request or v1.ListBalancesRequest()
    return ask(admin.client.reports.ListBalances, wanted, max_staleness, at_least)


def held(told: Told) -> str:
    """What all users have, by a trial balance in one currency, which has to balance."""
    (roubles,) = told.answer.currencies
    assert told.answer.balanced
    return str(roubles.lines[1].credit_balance)


def moment(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(UTC)


async def test_trial_balance_of_now_is_one_moment_of_the_standby(
    servers: Pair, keeper: tuple[Person, str]
) -> None:
    admin, account = keeper
    with servers.paused():
        made = await admin.deposit("10", account)
        old = await of_now(admin)
        assert (old.read_from, held(old)) == ("standby", "1000.00")
        told = datetime.fromisoformat(old.as_of)
        assert told <= moment(old.answer.time) <= moment(made.date)
        new = await of_now(admin, at_least=made.id)
        assert (new.read_from, held(new)) == ("primary", "1010.00")
        assert moment(new.answer.time) >= moment(made.date)
    seen = await until(lambda: of_now(admin, at_least=made.id), "standby")
    assert held(seen) == "1010.00"


async def test_balances_of_now_are_of_the_last_moment_that_is_over_on_the_standby(
    servers: Pair, replicated: Service, keeper: tuple[Person, str]
) -> None:
    admin, account = keeper
    await rich(replicated)

    async def over() -> Told:
        told = await of_all(admin)
        return told if len(told.answer.balances) == 2 else Told(told.answer, "", "", "")

    await until(over, "standby")
    with servers.paused():
        made = await admin.deposit("10", account)
        old = await of_all(admin)
        of = moment(old.answer.as_of)
        assert (old.read_from, len(old.answer.balances)) == ("standby", 2)
        assert {each.balance for each in old.answer.balances} == {"1000.00"}
        told = datetime.fromisoformat(old.as_of)
        assert timedelta() <= of + timedelta(microseconds=1) - told < timedelta(milliseconds=1)
        assert of < moment(made.date)
    same = v1.ListBalancesRequest(as_of=old.answer.as_of)
    assert (await of_all(admin, None, request=same)).answer == old.answer


async def test_balances_of_now_are_never_older_than_accepted_nor_than_what_was_seen(
    keeper: tuple[Person, str],
) -> None:
    admin, account = keeper
    made = await admin.deposit("10", account)
    await until(lambda: balance(admin, account, at_least=made.id), "standby")
    assert (await of_all(admin, at_least=made.id)).read_from == "primary"
    await until(lambda: of_all(admin, at_least=""), "standby")
    await until(lambda: balance(admin, account, "1s"), "standby")
    # What is over is more than a second ago.
    assert (await of_all(admin, "1s")).read_from == "primary"


async def test_pages_go_on_where_a_standby_began_them(
    replicated: Service, keeper: tuple[Person, str]
) -> None:
    admin, _ = keeper
    await rich(replicated)
    first = v1.ListBalancesRequest(page_size=1)

    async def both() -> Told:
        told = await of_all(admin, request=first)
        return told if told.answer.next_page_token else Told(told.answer, "", "", "")

    page = await until(both, "standby")
    second = v1.ListBalancesRequest(page_size=1, page_token=page.answer.next_page_token)
    for max_staleness in ("60s", "0s"):
        rest = await of_all(admin, max_staleness, request=second)
        assert rest.answer.as_of == page.answer.as_of
        assert len({each.account for each in (*page.answer.balances, *rest.answer.balances)}) == 2
