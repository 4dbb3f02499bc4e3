"""Streams over HTTP: lines and events, and how they end."""

import asyncio
import json

import pytest

from balance_client import BalanceError, v1
from balance_service.domain.principals import Scope
from tests.service import Service, somebody


@pytest.mark.usefixtures("within")
async def test_watched_account_is_told_of_changes_as_lines_and_as_events(
    service: Service,
) -> None:
    person, account = await somebody(service, "10")
    path = f"/api/v1/accounts/{account}:watch"

    async def lines(accept: str) -> list[str]:
        async with person.http.stream(path, accept) as answer:
            assert answer.headers["content-type"] == accept
            found = []
            async for line in answer.content:
                found += [line.decode()] if line.strip() else []
                if len(found) == 2:
                    return found
        raise AssertionError("the stream ended")

    async with asyncio.timeout(30):
        watching = [
            asyncio.create_task(lines(kind))
            for kind in ("application/x-ndjson", "text/event-stream")
        ]
        await asyncio.sleep(0.5)
        await person.deposit("5", account)
        as_lines, as_events = await asyncio.gather(*watching)
    assert [json.loads(line)["result"]["balance"] for line in as_lines] == ["10.00", "15.00"]
    assert [json.loads(event.removeprefix("data: "))["balance"] for event in as_events] == [
        "10.00",
        "15.00",
    ]
    async with asyncio.timeout(30):
        while service.app.watch_list._watchers:
            await asyncio.sleep(0.05)
    refused = await service.http("GET", f"/api/v1/accounts/{account}:watch")
    assert (refused.status, refused.reason) == (401, "TOKEN_MISSING")
    other = await service.person()
    hidden = await other.http("GET", f"/api/v1/accounts/{account}:watch")
    assert (hidden.status, hidden.reason) == (404, "ACCOUNT_NOT_FOUND")


@pytest.mark.usefixtures("within")
async def test_stream_ends_with_its_token_and_with_its_server(service: Service) -> None:
    person, account = await somebody(service, "10")
    path = f"/api/v1/accounts/{account}:watch"
    sibling = await service.sibling(Scope.DEPOSITS_WRITE, Scope.ACCOUNTS_READ)

    async def rest() -> list[dict[str, object]]:
        async with person.http.stream(path) as answer:
            return [json.loads(line) async for line in answer.content if line.strip()]

    async with asyncio.timeout(20):
        watching = asyncio.create_task(rest())
        await asyncio.sleep(0.5)
        token = person.token.refresh_token
        await service.http("POST", "/api/v1/auth/revoke", {"refresh_token": token})
        await sibling.deposits.CreateDeposit(
            v1.CreateDepositRequest(account=account, amount="1", currency="RUB")
        )
        *_, last = await watching
        assert last["error"]["details"][0]["reason"] == "TOKEN_INVALID"  # type: ignore[index]
        states = aiter(sibling.accounts.WatchAccount(v1.WatchAccountRequest(account=account)))
        assert (await anext(states)).balance == "11.00"
        stopping = asyncio.create_task(service.app.stop())
        with pytest.raises(BalanceError) as error:
            await anext(states)
        assert error.value.reason == "UNAVAILABLE"
        await stopping
