"""Tokens that no issuer of ours signed, at both doors: refused before anything else is looked at.

What each claim must be is in `tests/e2e/test_access_tokens.py`.
"""

import base64
import json
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from balance_client import v1
from tests.contract import METHODS
from tests.security.callers import over_one_channel
from tests.service import Person, Service

GET_ME = next(method for method in METHODS if method.descriptor.name == "GetMe")
REFUSED = {"TOKEN_INVALID"}


def part(value: object) -> str:
    text = json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


async def public_key(service: Service, key_id: str) -> tuple[bytes, str]:
    """The key that tokens are verified with, as bytes and as JWK's `x`."""
    jwks = await service.client().auth.GetJwks(v1.GetJwksRequest())
    x = next(key.x for key in jwks.keys if key.kid == key_id)
    return base64.urlsafe_b64decode(x + "=" * (-len(x) % 4)), x


def forgeries(person: Person, raw_key: bytes, x: str) -> Iterator[str]:
    """Tokens with the claims of a good one."""
    good = person.token.token
    header: dict[str, Any] = jwt.get_unverified_header(good)
    claims = jwt.decode(good, options={"verify_signature": False}) | {"role": "admin"}
    mine = Ed25519PrivateKey.generate()
    pem = serialization.load_der_public_key(
        bytes.fromhex("302a300506032b6570032100") + raw_key
    ).public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for algorithm in ("none", "None", "nOnE", "NONE"):
        yield f"{part(header | {'alg': algorithm})}.{part(claims)}."
    # The public key as the secret of an algorithm that takes any bytes: signed by hand, because
    # libraries refuse to.
    for secret in (raw_key, x.encode(), pem):
        signing = f"{part(header | {'alg': 'HS256'})}.{part(claims)}"
        signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(
            signing.encode(), secret
        )
        yield f"{signing}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
    own = mine.public_key().public_bytes_raw()
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": base64.urlsafe_b64encode(own).decode().rstrip("=")}
    # Headers by which a token would say itself what it is to be verified with.
    for headers in (
        {"jwk": jwk, "kid": header["kid"]},
        {"jku": "http://127.0.0.1:1/jwks", "kid": header["kid"]},
        {"x5u": "http://127.0.0.1:1/x", "kid": header["kid"]},
        {"kid": "../../../../dev/null"},
        {"kid": "' OR 1=1 --"},
        {"kid": "\x00"},
        {"kid": "x" * 4000},
        {"crit": ["exp"], "kid": header["kid"]},
    ):
        yield jwt.encode(claims, mine, algorithm="EdDSA", headers=headers)
    for odd in ({"kid": None}, {"kid": 7}, {"kid": ["x"]}, {"kid": {"x": 1}}, {}):
        yield f"{part({'alg': 'EdDSA', **odd})}.{part(claims)}.{'A' * 86}"
    head, body, signature_text = good.split(".")
    yield f"{head}.{body}.{signature_text}.{signature_text}"
    yield f"{head}.{part(claims)}.{signature_text}"
    yield f"{head}..{signature_text}"
    yield f"{part([1])}.{body}.{signature_text}"
    yield f"{head}.{part([1])}.{signature_text}"
    yield f"{head}.{body}"
    yield "." * 50
    yield part({"a": [[]] * 1000})


async def test_no_forgery_signs_anybody_in(service: Service) -> None:
    person = await service.person()
    key_id = jwt.get_unverified_header(person.token.token)["kid"]
    forged = list(forgeries(person, *await public_key(service, key_id)))
    async with over_one_channel(service) as grpc:
        for token in forged:
            assert await grpc.reason(GET_ME, b"", token) in REFUSED, token[:200]
            answer = await service.http.signed_in(token)("GET", "/api/v1/users/me")
            assert (answer.status, answer.reason) == (401, "TOKEN_INVALID"), token[:200]
        assert await grpc.reason(GET_ME, b"", person.token.token) == ""


@pytest.mark.parametrize("length", [8_000, 60_000, 1_000_000])
async def test_very_long_token_costs_its_caller_alone(service: Service, length: int) -> None:
    person = await service.person()
    long = f"{person.token.token}{'A' * length}"
    async with over_one_channel(service) as grpc:
        # By the service, by gRPC's bound on heads, or by Envoy, which resets the stream.
        refusals = {"TOKEN_INVALID", "RESOURCE_EXHAUSTED", "UNAVAILABLE"}
        assert await grpc.reason(GET_ME, b"", long) in refusals
    answer = await service.http.signed_in("x" * min(length, 30_000))("GET", "/api/v1/users/me")
    assert answer.status == 401
    assert (await person.client.users.GetMe(v1.GetMeRequest())).id == person.user_id
