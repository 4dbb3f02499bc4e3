"""Sibling services that sign in by a certificate that they show, over mutual TLS (RFC 8705)."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest
from google.rpc import error_details_pb2, status_pb2

from balance_client import v1
from balance_service.calls.refusals import DETAILS_KEY
from balance_service.domain.client_certificates import parse_name
from balance_service.domain.principals import Scope
from balance_service.operations import administration, service_principals
from balance_service.server.envoy import choice
from tests.certificates import Authority, Pair
from tests.e2e.test_envoy import client
from tests.service import Service, StartService, refused

NO_ENVOY = pytest.mark.skipif(bool(choice.find_obstacle()), reason="no Envoy")
URI = "spiffe://example.org/billing"
CREATE_TOKEN, GET_USER = "/balance.v1.AuthService/CreateToken", "/balance.v1.UserService/GetUser"
BY_CERTIFICATE = v1.CreateTokenRequest(client_id="billing")
NOBODY = v1.GetUserRequest(user="00000000-0000-4000-8000-000000000000")


class Caller:
    """Calls a service by TLS, showing a certificate or none."""

    def __init__(self, service: Service, authority: Authority, pair: Pair | None) -> None:
        shown = (pair.key, pair.certificate) if pair else (None, None)
        credentials = grpc.ssl_channel_credentials(authority.pem, *shown)
        options = [("grpc.use_local_subchannel_pool", 1)]
        self._channel = grpc.aio.secure_channel(service.target, credentials, options)

    async def token(self, **metadata: str) -> str:
        create: Any = self._channel.unary_unary(CREATE_TOKEN)
        answer = await create(
            BY_CERTIFICATE.SerializeToString(), metadata=tuple(metadata.items()), timeout=10
        )
        return v1.Token.FromString(answer).token

    async def call(self, token: str) -> None:
        get: Any = self._channel.unary_unary(GET_USER)
        metadata = (("authorization", f"Bearer {token}"),)
        await get(NOBODY.SerializeToString(), metadata=metadata, timeout=10)

    async def close(self) -> None:
        await self._channel.close()


async def told(call: Any) -> str:
    """The reason of a call that is refused; the code of one that no servicer answered."""
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    for key, value in error.value.trailing_metadata() or ():
        if key == DETAILS_KEY:
            info = error_details_pb2.ErrorInfo()
            details = status_pb2.Status.FromString(value).details
            assert any(detail.Unpack(info) for detail in details)
            return str(info.reason)
    return error.value.code().name


@NO_ENVOY
async def test_service_signs_in_by_its_certificate(
    start_envoy: StartService, tmp_path: Path
) -> None:
    authority = Authority("one")
    certificate, key = authority.pair("server").write(tmp_path)
    ca = tmp_path / "ca.pem"
    ca.write_bytes(authority.pem)
    service = await start_envoy(
        tls_certificate=certificate,
        tls_key=key,
        tls_client_ca=str(ca),
        tls_client_certificate="optional",
    )
    await administration.create_service_principal(
        service.settings, "billing", "", [Scope.ACCOUNTS_READ]
    )
    bound = await service_principals.bind(service.settings, "billing", parse_name("uri", URI))
    pairs = {
        "own": authority.pair("billing", uri=URI),
        "renewed": authority.pair("billing", uri=URI),
        "other": authority.pair("shop", uri="spiffe://example.org/shop"),
        "none": None,
        "expired": authority.pair("billing", uri=URI, days=-1),
        "of another": Authority("two").pair("billing", uri=URI),
    }
    callers = {name: Caller(service, authority, pair) for name, pair in pairs.items()}

    token = await callers["own"].token()
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["sub"], set(claims["cnf"])) == ("service:billing", {"x5t#S256"})
    assert await told(callers["own"].call(token)) == "PERMISSION_MISSING"
    # The token is of no use without the certificate that it was given for (RFC 8705, 3).
    for name in ("renewed", "other", "none"):
        assert await told(callers[name].call(token)) == "TOKEN_INVALID", name
    await callers["renewed"].token()
    assert await told(callers["other"].token()) == "CLIENT_CREDENTIALS_INVALID"
    # What a caller says of a certificate that they do not show is nothing.
    forged = {"x-forwarded-client-cert": f"Hash={'a' * 64};URI={URI}"}
    assert await told(callers["none"].token(**forged)) == "INVALID_FIELD"
    assert await told(callers["other"].token(**forged)) == "CLIENT_CREDENTIALS_INVALID"
    for name in ("expired", "of another"):
        assert await told(callers[name].token()) == "UNAVAILABLE", name

    over_http = client(
        "HTTP2",
        tls_ca_cert=authority.pem,
        tls_key=pairs["own"].key,  # type: ignore[union-attr]
        tls_cert=pairs["own"].certificate,  # type: ignore[union-attr]
    )
    url = f"{service.http.url}/api/v1/auth/token/"
    answer = await over_http.post(
        url, {"content-type": "application/json"}, b'{"client_id": "billing"}'
    )
    assert answer.status == 200, await answer.text()

    await service_principals.unbind(service.settings, "billing", bound)
    assert await told(callers["own"].token()) == "CLIENT_CREDENTIALS_INVALID"
    async with asyncio.timeout(30):
        while await told(callers["own"].call(token)) != "TOKEN_INVALID":
            await asyncio.sleep(0.1)
    for caller in callers.values():
        await caller.close()


@pytest.mark.usefixtures("within")
async def test_without_mutual_tls_nobody_shows_a_certificate(service: Service) -> None:
    await administration.create_service_principal(service.settings, "billing", "", [])
    await service_principals.bind(service.settings, "billing", parse_name("uri", URI))
    forged = (("x-forwarded-client-cert", f"Hash={'a' * 64};URI={URI}"),)
    error = await refused(service.client().auth.CreateToken(BY_CERTIFICATE, metadata=forged))
    assert [violation.field for violation in error.violations] == ["client_secret"]
    over_http = await service.http(
        "POST",
        "/api/v1/auth/token/",
        {"client_id": "billing"},
        **{"x-forwarded-client-cert": forged[0][1]},
    )
    assert over_http.status == 400


@pytest.mark.usefixtures("within")
async def test_door_that_speaks_no_tls_does_not_start_with_it(
    start_service: StartService, tmp_path: Path
) -> None:
    for setting in ("tls_certificate", "tls_client_ca"):
        with pytest.raises(ValueError, match="BALANCE_DOOR=grpcio speaks plain text alone"):
            await start_service(**{setting: str(tmp_path / "x.pem")})
