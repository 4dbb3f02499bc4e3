"""The gateway: paths, bodies, headers and status codes, over real HTTP."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import psycopg
import pytest

from balance_service.gateway import transcoder
from balance_service.server import standalone_gateway
from balance_service.server.door import GrpcioDoor
from balance_service.server.http_server import HttpServer
from tests.commits import LOCK_ACCOUNTS
from tests.http import BINDINGS, Http
from tests.service import Service, StartService, somebody


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
    # It is for those who know it: nobody else is told.
    for verb in ("HEAD", "PUT", "OPTIONS"):
        other = await person.http(verb, path)
        assert other.status == (204 if verb == "OPTIONS" else 405)
        assert other.headers["allow"] == "POST, OPTIONS"


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


async def test_mask_names_fields_in_either_case(service: Service) -> None:
    person = await service.person()
    body = {"first_name": "Anna", "last_name": "K", "bio": "x"}
    for mask in ("first_name,last_name", "firstName,lastName", "last_name,firstName"):
        changed = await person.http("PATCH", f"/api/v1/users/me?update_mask={mask}", body)
        told = (changed.json["first_name"], changed.json["last_name"], changed.json["bio"])
        assert told == ("Anna", "K", "")
    for mask in ("first__name", "first_name_", "_first_name", "first_Name", "first%20name"):
        wrong = await person.http("PATCH", f"/api/v1/users/me?update_mask={mask}", body)
        assert (wrong.status, wrong.fields) == (400, ["update_mask"]), mask


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
    upper = {"amount": "5", "request_id": key.upper()}
    again = await person.http("POST", "/api/v1/actions", upper, idempotency_key=key)
    assert (again.status, again.headers["idempotency-replayed"]) == (201, "true")
    for key in ("x" * 256, '"x', '"a"b"', '""', "\u00e9"):
        answer = await person.http("POST", "/api/v1/actions", body, idempotency_key=key)
        assert (answer.status, answer.fields) == (400, ["request_id"]), key


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
    assert first.headers["ratelimit-policy"] == '"codes";q=5;w=3000'
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
        locker.execute(LOCK_ACCOUNTS)
        answer = await person.http("POST", "/api/v1/actions", body, idempotency_key=key)
        assert (answer.status, answer.reason) == (504, "ANSWER_TIMEOUT")
    again = await person.http("POST", "/api/v1/actions", body, idempotency_key=key)
    assert (again.status, again.json["balance"]) == (201, "5.00")
    assert await person.balance(account) == "5.00"


@pytest.mark.usefixtures("within")
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
    if isinstance(service.app.door, GrpcioDoor):
        assert int(small.headers["content-length"]) < len(plain.text) / 2
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


@pytest.mark.usefixtures("within")
async def test_health_is_http_too(service: Service) -> None:
    answer = await service.http("GET", "/healthz")
    assert (answer.status, answer.json) == (200, {"status": "SERVING"})
    service.app.calls.serving = False
    assert (await service.http("GET", "/healthz")).status == 503


@pytest.mark.usefixtures("within")
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
        return standalone_gateway.build(
            service.settings.model_copy(update={"http_port": 0}), target
        )[0]

    return build


async def test_slow_body_is_given_up(
    within: None, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcoder, "BODY_TIMEOUT_SECONDS", 0.2)
    host, port = service.http.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    token = (await service.person()).token.token
    writer.write(
        b"POST /api/v1/actions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b"authorization: Bearer " + token.encode() + b"\r\ncontent-length: 50\r\n\r\n{"
    )
    head = await asyncio.wait_for(reader.readuntil(b"\r\n"), 5)
    assert b" 408 " in head
    writer.close()


def test_changes_by_get_are_deprecated_and_for_purchases_alone() -> None:
    assert [b.template for b in BINDINGS if b.deprecated] == ["/api/v1/services/{service}/purchase"]
    # What is looked for by an address is no part of a URL.
    others = [b.method.descriptor.name for b in BINDINGS if b.method.reads and b.verb != "GET"]
    assert others == ["LookupUser"]


@pytest.mark.usefixtures("within")
async def test_answers_do_not_wait_for_acknowledgements(service: Service) -> None:
    await service.http("GET", "/healthz")
    assert isinstance(service.app.door, GrpcioDoor)
    assert service.app.door.http is not None
    connections = service.app.door.http._server.server_state.connections
    assert connections, "the client keeps its connection"
    for connection in connections:
        accepted = connection.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
