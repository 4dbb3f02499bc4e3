"""Noise: bytes that are no request, to every RPC at both doors, and paths that lead nowhere.

Whoever sends them is known to the service, for a stranger's body is not read at all. No answer may
be a fault of ours.
"""

import random
from collections.abc import Iterator

import pytest

from tests.contract import METHODS
from tests.http import BINDINGS
from tests.security.callers import over_one_channel
from tests.service import Service

SOMEBODY = "0190a1b2-0000-7000-8000-00000000abcd"
HOSTILE = (
    "..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e%2f%2e%2e%2f",
    "..%5c..%5cwindows",
    "%00",
    "%0d%0aset-cookie:%20a=b",
    "'%20OR%201=1%20--",
    "%24%7bjndi:ldap:%2f%2fx%7d",
    "%7b%7b7*7%7d%7d",
    "%25n%25s",
    "%c0%ae%c0%ae",
    "%ef%bf%be",
    "x" * 3000,
    "-1",
    "null",
)
HEADERS = ("x-request-id", "accept-language", "idempotency-key", "traceparent", "x-forwarded-for")


def noise(rng: random.Random, count: int) -> Iterator[bytes]:
    """Bytes: some at random, some that begin as a message does and go wrong."""
    for _ in range(count):
        yield rng.randbytes(rng.choice([1, 3, 17, 200]))
        field = rng.randrange(1, 30)
        yield bytes([field << 3 | rng.randrange(8)]) + rng.randbytes(rng.randrange(12))
    # A length beyond the end, endless nesting, a number without an end, text that is not UTF-8.
    yield b"\x0a\xff\xff\xff\x7f"
    yield b"\x0a\x80" * 2000
    yield b"\x08" + b"\xff" * 11
    yield b"\x0a\x04\xff\xfe\xfd\xfc"


def json_noise(rng: random.Random) -> Iterator[bytes]:
    yield rng.randbytes(40)
    yield b"[" * 100_000
    yield b'{"a":' * 20_000
    yield b"{" + b",".join(b'"k%d":1' % n for n in range(20_000)) + b"}"
    yield b'{"amount": ' + b"9" * 100_000 + b"}"
    yield b'{"amount": 1e999999999}'
    yield b'{"\\ud800": "\\udc00"}'
    yield b'{"request_id": "\\u0000"}'
    yield b"\xef\xbb\xbf{}"
    yield b"nul"


async def every_rpc(service: Service, seed: int, count: int) -> None:
    token = (await service.admin()).token.token
    rng = random.Random(seed)
    async with over_one_channel(service) as grpc:
        for method in METHODS:
            # These end the sign-in that the others are made with, whatever the bytes.
            if method.descriptor.name == "EndSessions":
                continue
            for sent in noise(rng, count):
                reason = await grpc.reason(method, sent, token)
                assert reason not in {"INTERNAL", "UNKNOWN"}, (seed, method.full_name, sent)


async def test_bytes_are_no_fault_of_any_rpc(service: Service) -> None:
    await every_rpc(service, 1, 2)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 12))
async def test_many_bytes_are_no_fault_of_any_rpc(service: Service, seed: int) -> None:
    await every_rpc(service, seed, 60)


async def test_bodies_are_no_fault_of_any_path(service: Service) -> None:
    admin = await service.admin()
    rng = random.Random(3)
    bodies = list(json_noise(rng))
    for binding in BINDINGS:
        path = binding.template
        for name in binding.variables:
            path = path.replace(f"{{{name}}}", SOMEBODY)
        # Each path with some of them, and every one with several paths.
        for body in rng.sample(bodies, 3) if binding.body else ():
            answer = await admin.http(binding.verb, path, body)
            assert 400 <= answer.status < 500, (path, body[:60], answer.text)


async def test_no_path_leads_out_of_the_contract(service: Service) -> None:
    admin = await service.admin()
    rng = random.Random(4)
    for binding in BINDINGS:
        if not binding.variables or binding.method.descriptor.server_streaming:
            continue
        for hostile in rng.sample(HOSTILE, 4):
            path = binding.template
            for name in binding.variables:
                path = path.replace(f"{{{name}}}", hostile)
            answer = await admin.http(binding.verb, path, {} if binding.body else None)
            assert 400 <= answer.status < 500, (binding.verb, path, answer.text)
            assert "set-cookie" not in answer.headers
            assert "root:" not in answer.text


async def test_files_are_given_by_name_alone(service: Service) -> None:
    for folder in ("assets", "swagger", "redoc", ""):
        for hostile in HOSTILE:
            answer = await service.http("GET", f"/{folder}/{hostile}")
            assert answer.status in {400, 404}, (folder, hostile)
            assert "root:" not in answer.text


async def test_headers_come_back_clean_or_not_at_all(service: Service) -> None:
    person = await service.person()
    for header in HEADERS:
        for value in ("' OR 1=1 --", "${jndi:ldap://x}", "../" * 50, "x" * 3000, '"\\"', "%0d%0a"):
            name = header.replace("-", "_")
            answer = await person.http("GET", "/api/v1/users/me", None, **{name: value})
            assert answer.status in {200, 400}, (header, value)
            assert value not in str(dict(answer.headers)), (header, value)
