"""Everything that a service logs, at its lowest level, holds no secret that it was told or gave."""

import asyncio
import secrets
from pathlib import Path

import pytest

from balance_client import AsyncUserCredentials, BalanceError, v1
from balance_service.config import Settings
from balance_service.domain.principals import Scope
from balance_service.operations import administration
from tests import postgres
from tests.authenticators import ask_again, enrol
from tests.service import Person, Service, start_beside, stop_service


class Planted:
    """What must be in no log, by what it is."""

    def __init__(self) -> None:
        self._secrets: dict[str, str] = {}

    def add(self, kind: str, secret: str) -> str:
        assert len(secret) > 5, kind
        self._secrets[f"{kind} {len(self._secrets)}"] = secret
        return secret

    def found(self, log: str) -> list[str]:
        return [kind for kind, secret in self._secrets.items() if secret in log]

    def __len__(self) -> int:
        return len(self._secrets)


@pytest.fixture
def planted() -> Planted:
    return Planted()


def plant_token(planted: Planted, token: v1.Token) -> None:
    planted.add("access token", token.token.rpartition(".")[2])
    if token.refresh_token:
        planted.add("refresh token", token.refresh_token)


async def fails(call: object) -> None:
    with pytest.raises(BalanceError):
        await call  # type: ignore[misc]


async def sign_in_scene(service: Service, database_url: str, planted: Planted) -> Person:
    """A user signs in, rightly and wrongly, renews the token, and has a second factor."""
    person = await service.person()
    plant_token(planted, person.token)
    planted.add("code", service.mailbox.code(person.email))
    auth = service.client().auth
    wrong = await ask_again(service, person.email, database_url)
    wrong.confirmation_code = planted.add("wrong code", "90817263")
    await fails(auth.CreateToken(wrong))
    renewed = await auth.RefreshToken(
        v1.RefreshTokenRequest(refresh_token=person.token.refresh_token)
    )
    plant_token(planted, renewed)
    false = planted.add("false refresh token", secrets.token_urlsafe(32))
    await fails(auth.RefreshToken(v1.RefreshTokenRequest(refresh_token=false)))
    person.client = service.client(AsyncUserCredentials(renewed))
    authenticator = await enrol(person)
    planted.add("TOTP secret", authenticator.secret)
    planted.add("TOTP code", authenticator.code())
    for code in authenticator.recovery_codes:
        planted.add("recovery code", code)
    again = await ask_again(service, person.email, database_url)
    planted.add("code", again.confirmation_code)
    again.second_factor_code = authenticator.recovery_codes[0]
    plant_token(planted, await auth.CreateToken(again))
    return person


async def service_scene(service: Service, planted: Planted) -> None:
    """A sibling service signs in, rightly and wrongly."""
    secret = await administration.create_service_principal(
        service.settings, "billing", "", [Scope.DEPOSITS_WRITE]
    )
    planted.add("client secret", secret)
    auth = service.client().auth
    request = v1.CreateTokenRequest(client_id="billing", client_secret=secret)
    plant_token(planted, await auth.CreateToken(request))
    request.client_secret = planted.add("wrong client secret", secrets.token_urlsafe(32))
    await fails(auth.CreateToken(request))


async def wrong_place_scene(service: Service, person: Person, planted: Planted) -> None:
    """Secrets where they do not belong: other fields, paths, queries, headers and bodies."""
    for kind in ("path", "query", "body", "header", "field"):
        secret = planted.add(f"secret in a {kind}", secrets.token_urlsafe(24))
        match kind:
            case "path":
                await person.http("GET", f"/api/v1/accounts/{secret}")
            case "query":
                await person.http("GET", f"/api/v1/actions?access_token={secret}")
            case "body":
                await person.http("POST", "/api/v1/actions", f'{{"token": "{secret}"')
            case "header":
                await service.http.signed_in(secret)("GET", "/api/v1/users/me")
            case "field":
                await fails(
                    person.client.deposits.CreateDeposit(v1.CreateDepositRequest(amount=secret))
                )


def _read(log: Path) -> str:
    return log.read_text()


async def test_log_holds_none_of_the_secrets_that_passed_by(
    service_settings: Settings, database_url: str, planted: Planted
) -> None:
    changes = {"log_level": "debug", "access_log": True}
    settings = service_settings.model_copy(update=changes)
    planted.add("BALANCE_SECRET", settings.secret.get_secret_value())
    planted.add("database password", postgres.PASSWORD)
    service = await start_beside(settings)
    try:
        person = await sign_in_scene(service, database_url, planted)
        await service_scene(service, planted)
        await wrong_place_scene(service, person, planted)
        assert service.log
        async with asyncio.timeout(30):
            while "CreateDeposit" not in (text := _read(service.log)):
                await asyncio.sleep(0.1)
        # It says who called, what and how it ended.
        assert '"event": "call"' in text
        assert len(planted) > 20
        assert planted.found(text) == []
    finally:
        await stop_service(service)
