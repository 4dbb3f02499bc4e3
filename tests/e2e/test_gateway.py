"""The gateway: paths, bodies, headers, status codes, pages and streams, over real HTTP."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import psycopg
import pytest

from balance_client import BalanceError, v1
from balance_service.domain.principals import Scope
from balance_service.gateway import app
from balance_service.server import gateway
from balance_service.server.door import GrpcioDoor
from balance_service.server.http_port import HttpServer
from tests.conftest import Contents, Person, Service, StartService
from tests.http import BINDINGS, Http


async def somebody(service: Service, amount: str = "") -> tuple[Person, str]:
    person = await service.person()
    account = await person.open()
    if amount:
        await person.deposit(amount, account.id)
    return person, account.id


async def test_story_of_an_earlier_caller(service: Service) -> None:
    email = "anna@example.com"
    http = service.http
    sent = await http("POST", "/api/v1/auth/email/", {"email": email})
    assert (sent.status, sent.json["email"]) == (200, email)
    code = service.mailbox.code(email)
    token = await http("POST", "/api/v1/auth/token/", {"email": email, "confirmation_code": code})
    assert token.status == 200
    anna = http.signed_in(token.json["token"])
    me = await anna("PATCH", "/api/v1/users/me/", {"first_name": "Anna", "bio": "Likes tea."})
    assert (me.status, me.json["first_name"], me.json["bio"]) == (200, "Anna", "Likes tea.")
    account = await anna("POST", "/api/v1/accounts/")
    assert (account.status, account.json["balance"]) == (201, "0.00")
    again = await anna("POST", "/api/v1/accounts/")
    assert (again.status, again.json["id"]) == (200, account.json["id"])
    body = {"account": account.json["id"], "amount": "100.50", "currency": "RUB"}
    deposit = await anna("POST", "/api/v1/actions/", body)
    assert (deposit.status, deposit.json["balance"]) == (201, "100.50")
    dollars = await anna("GET", "/api/v1/accounts/?currency=USD")
    assert dollars.json["accounts"][0]["currency"] == "USD"
    broke = await anna("POST", "/api/v1/withdrawals/", {"amount": "1000"})
    assert (broke.status, broke.reason) == (402, "INSUFFICIENT_FUNDS")
    listed = await anna("GET", f"/api/v1/accounts/{account.json['id']}/entries/")
    assert [entry["amount"] for entry in listed.json["entries"]] == ["100.50"]


async def test_purchase_by_get_charges_once(service: Service) -> None:
    admin = await service.admin()
    sold = await admin.http("POST", "/api/v1/services/", {"name": "Tea", "price": "40"})
    assert sold.status == 201
    person, account = await somebody(service, "100")
    path = f"/api/v1/services/{sold.json['id']}/purchase/"
    first = await person.http("GET", path)
    again = await person.http("GET", path)
    assert (first.status, first.json["already_purchased"]) == (201, False)
    assert (again.status, again.json["already_purchased"]) == (200, True)
    assert await person.balance(account) == "60.00"
    assert (await person.http("HEAD", path)).status == 405


@pytest.mark.parametrize("slash", ["", "/"])
async def test_every_path_answers_with_and_without_its_slash(service: Service, slash: str) -> None:
    for binding in BINDINGS:
        path = binding.template
        for name in binding.variables:
            path = path.replace(f"{{{name}}}", str(uuid4()))
        answer = await service.http(binding.verb, path + slash)
        assert answer.status not in (404, 405) or answer.reason != "ROUTE_NOT_FOUND", path
        assert answer.status != 405, path


async def test_names_are_accepted_in_both_cases_and_answered_in_snake_case(
    service: Service,
) -> None:
    person, account = await somebody(service, "10")
    other, received = await somebody(service)
    body = {"fromAccount": account, "to_account": received, "amount": "1"}
    answer = await person.http("POST", "/api/v1/transfers", body)
    assert (answer.status, answer.json["from_account"]) == (201, account)
    for name in ("page_size", "pageSize"):
        listed = await other.http("GET", f"/api/v1/transfers/to_my_account/?{name}=1")
        assert [t["amount"] for t in listed.json["transfers"]] == ["1.00"]
    until = "filter.endTime=2001-01-01T00:00:00Z"
    assert (await person.http("GET", f"/api/v1/transfers?{until}")).json["transfers"] == []


WRONG = [
    ("POST", "/api/v1/actions", {"amout": "5"}, "amout"),
    ("POST", "/api/v1/actions", {"amount": 5}, "amount"),
    ("POST", "/api/v1/actions", {"amount": "5", "metadata": ["x"]}, "metadata"),
    ("POST", "/api/v1/actions", '{"amount": "5", "amount": "500"}', "amount"),
    ("POST", "/api/v1/actions?amount=5", {}, "amount"),
    ("POST", "/api/v1/transfers:batchCreate", {"requests": [{"to": "x"}]}, "requests[0].to"),
    ("POST", "/api/v1/transfers:batchCreate", {"requests": [5]}, "requests[0]"),
    ("POST", "/api/v1/transfers:batchCreate", {"requests": "x"}, "requests"),
    ("POST", "/api/v1/transfers:batchCreate", {"all_or_nothing": "yes"}, "all_or_nothing"),
    ("GET", "/api/v1/actions?pagesize=5", None, "pagesize"),
    ("GET", "/api/v1/actions?page_size=x", None, "page_size"),
    ("GET", "/api/v1/actions?page_size=1&pageSize=2", None, "page_size"),
    ("GET", "/api/v1/actions?filter.min=5", None, "filter.min"),
    ("GET", "/api/v1/actions?filter=5", None, "filter"),
    ("GET", "/api/v1/actions?filter.start_time=today", None, "filter.start_time"),
    ("GET", "/api/v1/actions?page=0", None, "page"),
    ("GET", "/api/v1/actions?page=x", None, "page"),
    ("GET", "/api/v1/actions?page=1&page_token=x", None, "page"),
    ("GET", "/api/v1/actions?skip=-1", None, "skip"),
    ("GET", "/api/v1/actions?ordering=balance", None, "order_by"),
    ("GET", "/api/v1/actions", {"account": "x"}, "account"),
    ("PATCH", "/api/v1/users/me", {"nick": "x"}, "user.nick"),
    ("PATCH", "/api/v1/users/me?update_mask=bio&update_mask=bio", {}, "update_mask"),
]


@pytest.mark.parametrize(("verb", "path", "body", "field"), WRONG, ids=[str(w[1:]) for w in WRONG])
async def test_what_is_no_field_or_no_value_is_named(
    service: Service,
    contents: Callable[[], Contents],
    verb: str,
    path: str,
    body: object,
    field: str,
) -> None:
    person, _ = await somebody(service)
    before = contents()
    answer = await person.http(verb, path, body)
    assert (answer.status, answer.reason, answer.fields) == (400, "INVALID_FIELD", [field])
    assert contents() == before


@pytest.mark.parametrize("body", ["{", "[]", '"x"', "{}{}", '{"amount": NaN}', b"\xff", "[" * 9999])
async def test_body_that_is_no_object_is_refused(service: Service, body: str | bytes) -> None:
    person, _ = await somebody(service)
    answer = await person.http("POST", "/api/v1/actions", body)
    assert (answer.status, answer.reason) == (400, "MALFORMED_REQUEST")


async def test_path_may_be_repeated_in_the_body_but_not_contradicted(service: Service) -> None:
    admin = await service.admin()
    _, account = await somebody(service)
    path = f"/api/v1/accounts/{account}:setLimit"
    answer = await admin.http("POST", path, {"account": account, "limit": "5"})
    assert (answer.status, answer.json["limit"]) == (200, "5.00")
    answer = await admin.http("POST", path, {"account": str(uuid4()), "limit": "6"})
    assert (answer.status, answer.fields) == (400, ["account"])


async def test_patch_changes_what_its_body_names(service: Service) -> None:
    admin = await service.admin()
    body = {"name": "Tea", "price": "40", "description": "Green"}
    made = (await admin.http("POST", "/api/v1/services", body)).json
    path = f"/api/v1/services/{made['id']}"
    changed = (await admin.http("PATCH", path, {"price": "50", "etag": made["etag"]})).json
    assert (changed["price"], changed["description"]) == ("50.00", "Green")
    masked = await admin.http("PATCH", f"{path}?update_mask=name", {"name": "T", "price": "60"})
    assert (masked.json["name"], masked.json["price"]) == ("T", "50.00")
    stale = await admin.http("PATCH", path, {"price": "70", "etag": made["etag"]})
    assert (stale.status, stale.reason) == (409, "ETAG_MISMATCH")
    assert (await admin.http("DELETE", path)).json == {}
    assert (await admin.http("GET", path)).status == 404


async def test_idempotency_key_is_the_request_id(service: Service) -> None:
    person, account = await somebody(service)
    key, body = str(uuid4()), {"amount": "5"}
    first = await person.http("POST", "/api/v1/actions", body, idempotency_key=key)
    again = await person.http("POST", "/api/v1/actions", body, idempotency_key=f'"{key}"')
    assert first.json == again.json
    assert ("idempotency-replayed" in first.headers, again.headers["idempotency-replayed"]) == (
        False,
        "true",
    )
    assert await person.balance(account) == "5.00"
    other = await person.http("POST", "/api/v1/actions", {"amount": "6"}, idempotency_key=key)
    assert (other.status, other.reason) == (409, "IDEMPOTENCY_KEY_REUSED")
    contradicted = {"amount": "5", "request_id": str(uuid4())}
    answer = await person.http("POST", "/api/v1/actions", contradicted, idempotency_key=key)
    assert (answer.status, answer.fields) == (400, ["request_id"])
    answer = await person.http("POST", "/api/v1/actions", body, idempotency_key="x")
    assert (answer.status, answer.fields) == (400, ["request_id"])


async def test_request_id_and_language_come_back(service: Service) -> None:
    answer = await service.http(
        "GET", "/api/v1/users/me", x_request_id="abc-1", accept_language="de, ru;q=0.9, en;q=0.8"
    )
    assert (answer.status, answer.headers["x-request-id"]) == (401, "abc-1")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert (answer.headers["content-language"], answer.detail("LocalizedMessage")["locale"]) == (
        "ru",
        "ru",
    )
    assert answer.json["message"] == answer.detail("LocalizedMessage")["message"]
    lost = await service.http("GET", "/api/v1/nothing", x_request_id="abc-2")
    assert (lost.status, lost.reason, lost.headers["x-request-id"]) == (
        404,
        "ROUTE_NOT_FOUND",
        "abc-2",
    )
    made_up = await service.http("GET", "/api/v1/nothing", x_request_id="no good")
    assert made_up.headers["x-request-id"] != "no good"


async def test_answers_tell_browsers_and_caches_to_keep_away(service: Service) -> None:
    headers = (await service.http("GET", "/api/v1/services")).headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "server" not in headers


async def test_wrong_verb_media_type_and_size_are_refused(start_service: StartService) -> None:
    service = await start_service(http_body_bytes_max=2000)
    person, _ = await somebody(service)
    http = person.http
    wrong = await http("PUT", "/api/v1/actions")
    assert (wrong.status, wrong.reason) == (405, "METHOD_NOT_ALLOWED")
    assert set(wrong.headers["allow"].split(", ")) == {"GET", "POST", "OPTIONS"}
    options = await http("OPTIONS", "/api/v1/actions")
    assert (options.status, options.text) == (204, "")
    form = await http("POST", "/api/v1/actions", "amount=5", content_type="text/plain")
    assert (form.status, form.reason) == (415, "MEDIA_TYPE_UNSUPPORTED")
    large = await http("POST", "/api/v1/actions", {"description": "x" * 3000})
    assert (large.status, large.reason) == (413, "BODY_TOO_LARGE")

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b" " * 100

    chunked = await http("POST", "/api/v1/actions", parts())
    assert chunked.status == 413


async def test_refusal_for_rate_says_when_to_come_again(service: Service) -> None:
    body = {"email": "often@example.com"}
    first = await service.http("POST", "/api/v1/auth/email", body)
    assert first.headers["ratelimit-policy"] == '"codes";q=5;w=3600'
    assert first.headers["ratelimit"].startswith('"codes";r=4;t=')
    second = await service.http("POST", "/api/v1/auth/email", body)
    assert (second.status, second.reason) == (429, "CONFIRMATION_CODE_LIMIT")
    assert 1 <= int(second.headers["retry-after"]) <= 31
    assert second.headers["ratelimit"].startswith('"codes";r=0;t=')


async def test_answer_that_takes_too_long_is_given_up_and_its_key_tells_the_outcome(
    start_service: StartService, database_url: str
) -> None:
    service = await start_service(http_timeout_seconds=0.5)
    person, account = await somebody(service)
    key, body = str(uuid4()), {"amount": "5"}
    with psycopg.connect(database_url) as locker:
        locker.execute("SELECT 1 FROM accounts FOR UPDATE")
        answer = await person.http("POST", "/api/v1/actions", body, idempotency_key=key)
        assert (answer.status, answer.reason) == (504, "ANSWER_TIMEOUT")
    again = await person.http("POST", "/api/v1/actions", body, idempotency_key=key)
    assert (again.status, again.json["balance"]) == (201, "5.00")
    assert await person.balance(account) == "5.00"


async def test_large_answers_are_compressed(service: Service) -> None:
    person, account = await somebody(service, "10")
    for _ in range(10):
        await person.deposit("1", account)
    path = f"/api/v1/accounts/{account}/entries"
    plain = await person.http("GET", path, accept_encoding="identity")
    small = await person.http("GET", path, accept_encoding="gzip")
    assert "content-encoding" not in plain.headers
    assert small.headers["content-encoding"] == "gzip"
    # Envoy compresses as it sends, and does not know how long that will be.
    assert int(small.headers.get("content-length", "0")) < len(plain.text) / 2
    assert small.json == plain.json


async def test_other_origins_are_allowed_only_by_name(start_service: StartService) -> None:
    closed = await start_service()
    answer = await closed.http("GET", "/api/v1/services", origin="https://shop.example")
    assert "access-control-allow-origin" not in answer.headers
    opened = await start_service(http_cors_origins="https://shop.example, https://b.example")
    answer = await opened.http("GET", "/api/v1/services", origin="https://shop.example")
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    answer = await opened.http("GET", "/api/v1/services", origin="https://evil.example")
    assert "access-control-allow-origin" not in answer.headers
    asked = {"origin": "https://shop.example", "access_control_request_method": "PATCH"}
    answer = await opened.http(
        "OPTIONS", "/api/v1/services", **asked, access_control_request_headers="idempotency-key"
    )
    assert answer.status == 200


async def test_pages_by_number_show_everything_once(service: Service) -> None:
    person, account = await somebody(service)
    euros = await person.open("EUR")
    for amount in ("3", "1", "2", "5", "4"):
        await person.deposit(amount, account)
        await person.deposit(amount, euros.id, "EUR")
    expected = [f"{amount}.00" for amount in (4, 4, 5, 5, 2, 2, 1, 1, 3, 3)]
    url, seen = "/api/v1/actions/?page=1&page_size=4", []
    while url:
        page = (await person.http("GET", url.removeprefix(service.http.url))).json
        assert set(page) == {"count", "next", "previous", "results"}
        assert page["count"] == 10
        seen += [deposit["amount"] for deposit in page["results"]]
        url = page["next"]
    assert seen == expected
    assert page["previous"].endswith("page=2")
    beyond = await person.http("GET", "/api/v1/actions/?page=4&page_size=4")
    assert (beyond.status, beyond.reason) == (404, "PAGE_NOT_FOUND")
    query = f"?account={account}&ordering=-amount&page=2&page_size=2"
    page = (await person.http("GET", f"/api/v1/actions/{query}")).json
    assert [deposit["amount"] for deposit in page["results"]] == ["3.00", "2.00"]
    smallest = await person.http("GET", f"/api/v1/actions/?account={account}&ordering=amount")
    assert [d["amount"] for d in smallest.json["deposits"]] == [f"{n}.00" for n in range(1, 6)]


async def test_every_list_has_pages_by_number(service: Service) -> None:
    admin = await service.admin()
    await admin.open()
    for name in ("Tea", "Coffee", "Milk"):
        await admin.http("POST", "/api/v1/services", {"name": name, "price": "4"})
    lists = [b for b in BINDINGS if "total_size" in b.method.output.fields_by_name]
    assert len(lists) == 9
    for binding in lists:
        account = (await admin.http("GET", "/api/v1/accounts")).json["accounts"][0]["id"]
        path = binding.template.replace("{account}", account)
        page = (await admin.http("GET", f"{path}/?page=1&page_size=2")).json
        assert page["count"] >= len(page["results"]), binding
        assert page["previous"] is None
    services = (await admin.http("GET", "/api/v1/services?page=2&page_size=2")).json
    assert ([s["name"] for s in services["results"]], services["count"]) == (["Milk"], 3)


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

    async with asyncio.timeout(15):
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
    async with asyncio.timeout(5):
        while service.app.watch_list._watchers:
            await asyncio.sleep(0.05)
    refused = await service.http("GET", f"/api/v1/accounts/{account}:watch")
    assert (refused.status, refused.reason) == (401, "TOKEN_MISSING")
    other = await service.person()
    hidden = await other.http("GET", f"/api/v1/accounts/{account}:watch")
    assert (hidden.status, hidden.reason) == (404, "ACCOUNT_NOT_FOUND")


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


async def test_health_is_http_too(service: Service) -> None:
    answer = await service.http("GET", "/healthz")
    assert (answer.status, answer.json) == (200, {"status": "SERVING"})
    service.app.calls.serving = False
    assert (await service.http("GET", "/healthz")).status == 503


async def test_gateway_alone_answers_from_a_server_elsewhere(
    service: Service, unused_gateway: Callable[[str], HttpServer]
) -> None:
    person, account = await somebody(service, "10")
    server = unused_gateway(service.target)
    await server.start()
    try:
        http = Http(f"http://127.0.0.1:{server.port}", person.http.token, person.http.client)
        assert (await http("GET", f"/api/v1/accounts/{account}/")).json["balance"] == "10.00"
        key = str(uuid4())
        first = await http("POST", "/api/v1/actions", {"amount": "5"}, idempotency_key=key)
        again = await http("POST", "/api/v1/actions", {"amount": "5"}, idempotency_key=key)
        assert (first.status, again.headers["idempotency-replayed"]) == (201, "true")
        broke = await http("POST", "/api/v1/withdrawals", {"amount": "50"}, accept_language="ru")
        assert (broke.status, broke.reason) == (402, "INSUFFICIENT_FUNDS")
        assert broke.headers["content-language"] == "ru"
        async with http.stream(f"/api/v1/accounts/{account}:watch") as answer:
            async for line in answer.content:
                assert json.loads(line)["result"]["balance"] == "15.00"
                break
        assert (await http("GET", "/healthz")).status == 200
        await service.app.stop()
        assert (await http("GET", "/healthz")).status == 503
        away = await http("GET", "/api/v1/services")
        assert (away.status, away.headers["retry-after"]) == (503, "1")
    finally:
        await server.stop()


@pytest.fixture
def unused_gateway(service: Service) -> Callable[[str], HttpServer]:
    def build(target: str) -> HttpServer:
        return gateway.build(service.settings.model_copy(update={"http_port": 0}), target)[0]

    return build


async def test_slow_body_is_given_up(
    within: None, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "BODY_TIMEOUT_SECONDS", 0.2)
    host, port = service.http.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /api/v1/actions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b"content-length: 50\r\n\r\n{"
    )
    head = await asyncio.wait_for(reader.readuntil(b"\r\n"), 5)
    assert b" 408 " in head
    writer.close()


def test_changes_by_get_are_deprecated_and_for_purchases_alone() -> None:
    assert [b.template for b in BINDINGS if b.deprecated] == ["/api/v1/services/{service}/purchase"]
    reads = [b for b in BINDINGS if b.method.reads]
    assert {b.verb for b in reads} == {"GET"}


async def test_answers_do_not_wait_for_acknowledgements(service: Service) -> None:
    await service.http("GET", "/healthz")
    assert isinstance(service.app.door, GrpcioDoor)
    assert service.app.door.http is not None
    connections = service.app.door.http._server.server_state.connections
    assert connections, "the client keeps its connection"
    for connection in connections:
        accepted = connection.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
