"""TLS, as Envoy speaks it and as the service's own commands ask for it."""

import asyncio
import shutil
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest

from balance_service.config import Settings
from balance_service.development import demo_data
from balance_service.server import standalone_gateway
from balance_service.server.envoy import choice, process
from balance_service.server.health import serves
from tests.certificates import Authority
from tests.cli import Cli
from tests.e2e.test_envoy import LIST_SERVICES, client
from tests.http import Http
from tests.service import StartService

pytestmark = pytest.mark.skipif(bool(choice.find_obstacle()), reason="no Envoy")
pyqwest = pytest.importorskip("pyqwest")

GRPCURL = shutil.which("grpcurl", path=f"{Path(sys.executable).parent}") or shutil.which("grpcurl")


async def test_tls_http3_and_certificates_that_change(
    start_envoy: StartService, tmp_path: Path
) -> None:
    folder, authority, later = tmp_path / "tls", Authority("one"), Authority("two")
    folder.mkdir()
    certificate, key = authority.pair("server").write(folder)
    service = await start_envoy(tls_certificate=certificate, tls_key=key)
    target, url = service.target, service.http.url
    with pytest.raises(grpc.aio.AioRpcError):
        await listed(grpc.aio.insecure_channel(target))
    await listed(grpc.aio.secure_channel(target, trusting(authority)))

    assert await serves(target, service.settings)
    by_tcp = await client("HTTP2", tls_ca_cert=authority.pem).get(f"{url}/healthz")
    assert by_tcp.headers["alt-svc"].startswith(f'h3=":{service.settings.http_port}"')
    quic = client("HTTP3", tls_ca_cert=authority.pem)
    assert (await quic.get(f"{url}/healthz")).json() == {"status": "SERVING"}
    services = await asyncio.gather(*(quic.get(f"{url}/api/v1/services/") for _ in range(50)))
    assert {answer.status for answer in services} == {200}
    refused = await quic.post(
        f"{url}/api/v1/accounts/", {"content-type": "application/json"}, b"{}"
    )
    assert refused.status == 401

    later.pair("server").write(folder)
    async with asyncio.timeout(30):
        while not await trusted(target, later):
            await asyncio.sleep(0.1)
    assert not await trusted(target, authority)


def trusting(authority: Authority) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(authority.pem)


async def trusted(target: str, authority: Authority) -> bool:
    try:
        await listed(grpc.aio.secure_channel(target, trusting(authority)))
    except grpc.aio.AioRpcError:
        return False
    return True


async def listed(opened: grpc.aio.Channel) -> None:
    async with opened:
        call: Any = opened.unary_unary(LIST_SERVICES)
        await call(b"", timeout=30)


async def test_callers_must_show_a_certificate_of_the_authority(
    start_envoy: StartService, tmp_path: Path
) -> None:
    authority, other = Authority("one"), Authority("two")
    certificate, key = authority.pair("server").write(tmp_path)
    ca = tmp_path / "ca.pem"
    ca.write_bytes(authority.pem)
    service = await start_envoy(tls_certificate=certificate, tls_key=key, tls_client_ca=str(ca))
    for pair, welcome in ((authority.pair("a"), True), (other.pair("b"), False), (None, False)):
        shown = (pair.key, pair.certificate) if pair else (None, None)
        credentials = grpc.ssl_channel_credentials(authority.pem, *shown)
        channel = grpc.aio.secure_channel(
            service.target, credentials, [("grpc.use_local_subchannel_pool", 1)]
        )
        if welcome:
            await listed(channel)
        else:
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await listed(channel)
            assert error.value.code() == grpc.StatusCode.UNAVAILABLE
    quic = client("HTTP3", tls_ca_cert=authority.pem)
    with pytest.raises(Exception, match=r".*"):
        await asyncio.wait_for(quic.get(f"{service.http.url}/healthz"), 5)


def test_certificates_that_cannot_be_used_are_told_at_once(
    service_settings: Settings, tmp_path: Path
) -> None:
    certificate, _ = Authority("one").pair("a").write(tmp_path)
    (tmp_path / "b").mkdir()
    _, key = Authority("one").pair("b").write(tmp_path / "b")
    for wrong in (key, str(tmp_path / "none")):
        settings = service_settings.model_copy(
            update={"tls_certificate": certificate, "tls_key": wrong}
        )
        with pytest.raises(ValueError, match="certificates cannot be used"):
            process.become(settings)


async def test_own_commands_speak_tls(start_envoy: StartService, tmp_path: Path) -> None:
    authority = Authority("one")
    certificate, key = authority.pair("server").write(tmp_path)
    own, other = tmp_path / "own.pem", tmp_path / "other.pem"
    own.write_bytes(authority.pem)
    other.write_bytes(Authority("two").pem)
    service = await start_envoy(
        tls_certificate=certificate,
        tls_key=key,
        tls_client_ca=str(own),
        http=False,
        checkpoint_seconds=1,
    )
    await demo_data.load(service.settings)
    target = ("--target", service.target)
    cli = Cli(service.settings.environment())
    assert "is serving" in await asyncio.to_thread(cli, "health", *target)
    assert await asyncio.to_thread(cli, "health", *target, BALANCE_TLS_CA=str(own))
    for name, value in (("BALANCE_TLS_CA", str(other)), ("BALANCE_TLS_CERTIFICATE", "")):
        wrong = Cli(cli.env | {name: value})
        assert "does not serve" in await asyncio.to_thread(wrong, "health", *target, status=1)
    token = await asyncio.to_thread(cli, "token", "demo@example.com", *target)
    assert token.count(".") == 2
    assert "Anna sent Boris" in await asyncio.to_thread(cli, "demo", *target)


async def test_certificate_of_another_host_is_known_by_itself(
    start_envoy: StartService, tmp_path: Path
) -> None:
    authority, ca = Authority("one"), tmp_path / "ca.pem"
    ca.write_bytes(authority.pem)
    pair = authority.pair("server", host="*.ledger.example")
    certificate, key = pair.write(tmp_path)
    service = await start_envoy(tls_certificate=certificate, tls_key=key)
    assert await serves(service.target, service.settings)
    by_name = service.settings.model_copy(update={"tls_ca": str(ca)})
    assert not await serves(service.target, by_name)


async def test_gateway_alone_calls_by_tls(start_envoy: StartService, tmp_path: Path) -> None:
    authority = Authority("one")
    certificate, key = authority.pair("server").write(tmp_path)
    ca = tmp_path / "ca.pem"
    ca.write_bytes(authority.pem)
    service = await start_envoy(tls_certificate=certificate, tls_key=key)
    for trusted_file, status in ((str(ca), 200), ("", 503)):
        settings = Settings(http_port=0, tls_ca=trusted_file)
        server, upstream = standalone_gateway.build(settings, service.target)
        await server.start()
        http = Http(f"http://127.0.0.1:{server.port}")
        assert (await http("GET", "/api/v1/services/")).status == status
        await http.client.close()
        await server.stop()
        await upstream.close()


async def test_certificate_that_has_expired_is_told_and_replaced(
    start_envoy: StartService, tmp_path: Path
) -> None:
    folder, authority = tmp_path / "tls", Authority("one")
    folder.mkdir()
    certificate, key = authority.pair("server", days=-1).write(folder)
    service = await start_envoy(tls_certificate=certificate, tls_key=key)
    assert service.log
    assert "certificate_expired" in service.log.read_text()
    assert not await serves(service.target, service.settings)

    authority.pair("server").write(folder)
    async with asyncio.timeout(30):
        while not await trusted(service.target, authority):
            await asyncio.sleep(0.1)
    # A certificate that does not belong to its key is not taken.
    Path(certificate).with_suffix(".new").write_bytes(authority.pair("other").certificate)
    Path(certificate).with_suffix(".new").rename(certificate)
    await asyncio.sleep(1)
    assert await trusted(service.target, authority)


@pytest.mark.skipif(GRPCURL is None, reason="grpcurl is not here")
async def test_grpcurl_calls_by_tls(start_envoy: StartService, tmp_path: Path) -> None:
    authority = Authority("one")
    certificate, key = authority.pair("server").write(tmp_path)
    service = await start_envoy(tls_certificate=certificate, tls_key=key)
    assert GRPCURL
    # As the greeting of `run` says it: the certificate itself is what is trusted.
    for trusted_file, status in ((certificate, 0), (key, 1)):
        called = await asyncio.create_subprocess_exec(
            *(GRPCURL, "-cacert", trusted_file, service.target, "list"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        listed_services, _ = await called.communicate()
        assert (called.returncode, b"balance.v1" in listed_services) == (status, not status)
