"""What Envoy does for the service: other protocols, TLS, limits; each as a client sees it."""

import asyncio
import base64
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from balance_client import v1
from balance_service.config import Settings
from balance_service.server.envoy import bootstrap, choice
from tests.http import Answer
from tests.service import Person, Service, StartService

pytestmark = pytest.mark.skipif(
    bool(choice.find_obstacle()), reason=choice.find_obstacle() or "it is there"
)
pyqwest = pytest.importorskip("pyqwest")

BUF = Path(sys.executable).parent / "buf"
ORIGIN = "https://shop.example"
LIST_SERVICES = "/balance.v1.PurchaseService/ListServices"
GET_ACCOUNT = "/balance.v1.AccountService/GetAccount"


def client(version: str = "HTTP1", **options: Any) -> Any:
    """An HTTP client of one version."""
    transport = pyqwest.HTTPTransport(
        http_version=getattr(pyqwest.HTTPVersion, version), enable_gzip=False, **options
    )
    return pyqwest.Client(transport)


def framed(message: bytes, flags: int = 0) -> bytes:
    return bytes([flags]) + len(message).to_bytes(4, "big") + message


def frames(body: bytes) -> list[tuple[int, bytes]]:
    found = []
    while body:
        end = 5 + int.from_bytes(body[1:5], "big")
        found.append((body[0], body[5:end]))
        body = body[end:]
    return found


def bearer(person: Person) -> dict[str, str]:
    return {"authorization": f"Bearer {person.token.token}"}


async def test_grpc_web_from_a_page_of_another_origin(start_envoy: StartService) -> None:
    service = await start_envoy(http_cors_origins=ORIGIN)
    person = await service.person()
    account = await person.open()
    url = service.http.url + GET_ACCOUNT
    preflight = await client().options(
        url,
        {
            "origin": ORIGIN,
            "access-control-request-method": "POST",
            "access-control-request-headers": "x-grpc-web,authorization,content-type",
        },
    )
    assert preflight.status == 200
    assert preflight.headers["access-control-allow-origin"] == ORIGIN
    assert "x-grpc-web" in preflight.headers["access-control-allow-headers"]

    request = framed(v1.GetAccountRequest(account=account.id).SerializeToString())
    headers = {
        "content-type": "application/grpc-web+proto",
        "x-grpc-web": "1",
        "origin": ORIGIN,
        **bearer(person),
    }
    answered = await client().post(url, headers, request)
    assert answered.headers["access-control-allow-origin"] == ORIGIN
    assert answered.headers["content-type"] == "application/grpc-web+proto"
    (_, message), (flags, trailers) = frames(answered.content)
    assert v1.Account.FromString(message).id == account.id
    assert flags == 0x80
    assert b"grpc-status:0" in trailers.replace(b" ", b"")

    media_type = "application/grpc-web-text+proto"
    as_text = {**headers, "content-type": media_type, "accept": media_type}
    answered = await client().post(url, as_text, base64.b64encode(request))
    body = b"".join(base64.b64decode(part + "==") for part in answered.text().split("==") if part)
    assert v1.Account.FromString(frames(body)[0][1]).id == account.id

    refused = await client().post(url, headers | {"authorization": "Bearer x"}, request)
    told = dict(refused.headers.items())
    assert (refused.status, told["grpc-status"]) == (200, "16")

    other = await client().post(url, headers | {"origin": "https://other.example"}, request)
    assert "access-control-allow-origin" not in other.headers


async def test_connect_with_json_and_with_proto(start_envoy: StartService) -> None:
    service = await start_envoy(connect=True)
    person = await service.person()
    account = await person.open()
    url = service.http.url + GET_ACCOUNT
    headers = {
        "content-type": "application/json",
        "connect-protocol-version": "1",
        **bearer(person),
    }
    answered = await client().post(url, headers, json.dumps({"account": account.id}).encode())
    assert (answered.status, answered.headers["content-type"]) == (200, "application/json")
    assert answered.json()["id"] == account.id

    request = v1.GetAccountRequest(account=account.id).SerializeToString()
    answered = await client().post(url, headers | {"content-type": "application/proto"}, request)
    assert v1.Account.FromString(answered.content).id == account.id

    refused = await client().post(url, headers, b'{"account": "?"}')
    assert (refused.status, refused.json()["code"]) == (400, "invalid_argument")
    assert refused.json()["details"][0]["type"].endswith("google.rpc.ErrorInfo")
    malformed = await client().post(url, headers, b'{"account": 5')
    assert (malformed.status, malformed.json()["code"]) == (400, "invalid_argument")
    late = await client().post(url, headers | {"connect-timeout-ms": "0"}, b"{}")
    assert late.json()["code"] == "deadline_exceeded"


@pytest.mark.parametrize("protocol", ["grpc", "grpcweb", "connect"])
async def test_buf_curl_speaks_each_protocol(start_envoy: StartService, protocol: str) -> None:
    service = await start_envoy(connect=True)
    person = await service.person()
    account = await person.open()
    token = f"authorization: {bearer(person)['authorization']}"

    async def curl(method: str, data: str, *more: str) -> tuple[int, str]:
        """The exit status and output of a call, by what the service's reflection tells."""
        process = await asyncio.create_subprocess_exec(
            *(BUF, "curl", "--http2-prior-knowledge", "--protocol", protocol),
            *("--data", data, "--reflect-protocol", "grpc-v1alpha", *more),
            f"http://{service.target}/balance.v1.{method}",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await asyncio.wait_for(process.communicate(), 30)
        return process.returncode or 0, out.decode()

    asked = json.dumps({"account": account.id})
    status, out = await curl("AccountService/GetAccount", asked, "--header", token)
    assert (status, json.loads(out)["id"]) == (0, account.id)
    status, out = await curl("AccountService/GetAccount", asked)
    assert status != 0
    assert json.loads(out)["code"] == "unauthenticated"
    status, out = await curl("TransferService/StreamTransfers", "{}", "--header", token)
    assert (status, "INVALID_FIELD" in out) == (0, True), out


async def test_connect_is_off_unless_asked_for(start_envoy: StartService) -> None:
    service = await start_envoy()
    headers = {"content-type": "application/json", "connect-protocol-version": "1"}
    answered = await client().post(service.http.url + LIST_SERVICES, headers, b"{}")
    assert answered.status == 415


async def test_http_as_ever(start_envoy: StartService) -> None:
    service = await start_envoy()
    url = service.http.url
    document = await client().get(f"{url}/openapi.json", {"accept-encoding": "gzip"})
    assert document.headers["content-encoding"] == "gzip"
    plain = await client("HTTP2").get(f"{url}/openapi.json")
    assert "content-encoding" not in plain.headers
    assert len(document.content) < len(plain.content) / 4
    for version in ("HTTP1", "HTTP2"):
        head = await client(version).execute("HEAD", f"{url}/healthz")
        assert (head.status, head.content) == (200, b"")
    assert "server" not in plain.headers
    assert not [name for name in plain.headers if name.startswith("x-envoy")]


async def test_body_may_come_without_its_length(start_envoy: StartService) -> None:
    service = await start_envoy()
    person = await service.person()
    account = await person.open()

    async def parts() -> AsyncIterator[bytes]:
        for part in ('{"amount": "5", ', f'"account": "{account.id}"}}'):
            yield part.encode()

    for version in ("HTTP1", "HTTP2"):
        headers = {"content-type": "application/json", **bearer(person)}
        url = f"{service.http.url}/api/v1/actions/"
        made = await client(version).post(url, headers, parts())
        assert made.status == 201, (version, made.text())
    assert await person.balance(account.id) == "10.00"


async def test_both_ports_answer_alike(start_envoy: StartService) -> None:
    service = await start_envoy()
    both = await client("HTTP2").get(f"http://{service.target}/healthz")
    assert both.json() == {"status": "SERVING"}


@pytest.mark.parametrize(
    "path",
    [
        "%ff",
        "a/%",
        "%zz",
        "%c0%af",
        "%ed%a0%80",
        "%f4%90%80%80",
        "%e2%82",
        "%80",
        "%C3%28",
        "%E2%82x",
    ],
)
async def test_paths_that_are_no_utf8_are_refused(start_envoy: StartService, path: str) -> None:
    service = await start_envoy()
    status, body = await sent(service, f"GET /{path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    assert status == 400
    assert json.loads(body) == {
        "code": 3,
        "message": "The path is not percent-encoded UTF-8.",
        "details": [],
    }


async def test_other_paths_pass_and_large_heads_do_not(start_envoy: StartService) -> None:
    service = await start_envoy()
    for path in ("%D0%B6", "%e2%82%ac", "%F0%9F%98%80", "a%2Fb", "%00", "%7f", "a?q=%ff"):
        status, _ = await sent(service, f"GET /{path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        assert status in (400, 404)
    large = f"GET / HTTP/1.1\r\nhost: x\r\nx-a: {'a' * 100_000}\r\n\r\n".encode()
    status, body = await sent(service, large)
    assert (status, json.loads(body)["code"]) == (431, 8)
    many = "".join(f"x-{number}: a\r\n" for number in range(200))
    status, _ = await sent(service, f"GET / HTTP/1.1\r\nhost: x\r\n{many}\r\n".encode())
    assert status == 431


async def sent(service: Service, request: bytes) -> tuple[int, bytes]:
    """The status and body that answer raw bytes."""
    host, port = service.http.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(request)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        lines = dict(line.split(": ", 1) for line in head.decode().lower().split("\r\n")[1:-2])
        body = await reader.readexactly(int(lines.get("content-length", "0")))
        return int(head.split()[1]), body
    finally:
        writer.close()


async def test_requests_of_an_address_are_limited_where_asked(start_envoy: StartService) -> None:
    service = await start_envoy(address_requests_per_second=5, access_log=True)
    url = f"{service.http.url}/healthz"
    answers = [await client().get(url) for _ in range(8)]
    refused = [answer for answer in answers if answer.status == 429]
    assert refused
    assert refused[0].json()["code"] == 8
    async with grpc.aio.insecure_channel(service.target) as channel:
        call: Any = channel.unary_unary(LIST_SERVICES)
        codes = set()
        for _ in range(8):
            try:
                await call(b"")
            except grpc.aio.AioRpcError as error:
                codes.add(error.code())
    assert codes == {grpc.StatusCode.RESOURCE_EXHAUSTED}


@pytest.mark.parametrize("proxies", ["", "10.0.0.0/8, fd00::/8"])
async def test_strangers_who_go_on_though_refused_are_refused_before_python(
    start_envoy: StartService, proxies: str
) -> None:
    service = await start_envoy(network_calls_per_second=40.0, trusted_proxies=proxies)
    anna = await service.person()
    heard = await refused_at_last(service, "/api/v1/services/", with_reason=True)
    unheard = await refused_at_last(service, "/api/v1/services/", with_reason=False)
    assert heard.reason == "QUOTA_EXCEEDED"
    assert heard.headers["retry-after"] == unheard.headers["retry-after"] == "1"
    assert (heard.json["code"], unheard.json["code"]) == (8, 8)
    # Health has a bucket of its own, and who is signed in has none.
    assert (await service.http("GET", "/healthz")).status == 200
    await refused_at_last(service, "/healthz", with_reason=False)
    for _ in range(100):
        assert (await anna.client.users.GetMe(v1.GetMeRequest())).id == anna.user_id


async def refused_at_last(service: Service, path: str, *, with_reason: bool) -> Answer:
    while True:
        answer = await service.http("GET", path)
        if answer.status == 429 and bool(answer.json["details"]) is with_reason:
            return answer


async def test_who_a_proxy_speaks_for_is_refused_by_python_alone(start_envoy: StartService) -> None:
    service = await start_envoy(network_calls_per_second=40.0, trusted_proxies="127.0.0.0/8")
    answers = [await service.http("GET", "/api/v1/services/") for _ in range(300)]
    assert {answer.reason for answer in answers if answer.status == 429} == {"QUOTA_EXCEEDED"}


def test_admin_is_no_port(service_settings: Settings, tmp_path: Path) -> None:
    written = bootstrap.write(service_settings, tmp_path)
    assert written.stat().st_mode & 0o777 == 0o600
    config = json.loads(written.read_text())
    assert config["admin"]["address"]["pipe"]["path"] == str(tmp_path / "admin.sock")
    assert "only-for-tests" not in written.read_text()


@pytest.mark.parametrize("name", ["authorization", "content-type", "host", "idempotency-key"])
async def test_header_given_twice_is_refused(start_envoy: StartService, name: str) -> None:
    service = await start_envoy()
    person = await service.person()
    headers = {
        "host": "x",
        "content-length": "2",
        "content-type": "application/json",
        "idempotency-key": "k",
        **bearer(person),
    }
    lines = [f"{each}: {value}" for each, value in (*headers.items(), (name, headers[name]))]
    head = "\r\n".join(("POST /api/v1/accounts/ HTTP/1.1", *lines, "", "{}"))
    status, body = await sent(service, head.encode())
    assert (status, json.loads(body)["code"]) == (400, 3), body
    assert not (await person.http("GET", "/api/v1/accounts/")).json["accounts"]
