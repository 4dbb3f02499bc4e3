"""A probe at the service's issuing of tokens, and the callers that it watches."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import jwt
import pytest

from balance_client import (
    AsyncClient,
    v1,
)
from balance_service.auth.tokens import IssuedToken, Tokens
from balance_service.domain import errors
from balance_service.domain.audit import Actor
from balance_service.domain.principals import Scope
from balance_service.operations import administration
from tests.service import Person, Service

ME = v1.GetMeRequest()


class TokenProbe:
    """Counts the tokens that a service is asked for, and can delay, fail or spoil them."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.sign_ins = 0
        self.refreshes: list[str] = []
        self.refreshing = 0
        self.refreshing_max = 0
        self.failures: list[Exception] = []
        self.open = asyncio.Event()
        self.open.set()
        self.expired = 0
        self.lost = 0
        sign_in, refresh, sign_in_user = Tokens.sign_in_service, Tokens.refresh, Tokens.sign_in
        self.tokens: Tokens | None = None

        async def remember(
            tokens: Tokens, user_id: UUID, actor: Actor, **proved: bool
        ) -> IssuedToken:
            self.tokens = tokens
            return await sign_in_user(tokens, user_id, actor, **proved)

        async def count_sign_in(
            tokens: Tokens, client_id: str, secret: str, actor: Actor
        ) -> IssuedToken:
            self.sign_ins += 1
            await self.open.wait()
            self._fail()
            return self._spoil(tokens, await sign_in(tokens, client_id, secret, actor))

        async def count_refresh(tokens: Tokens, token: str, actor: Actor) -> IssuedToken:
            self.refreshes.append(token)
            self.refreshing += 1
            self.refreshing_max = max(self.refreshing_max, self.refreshing)
            try:
                await self.open.wait()
                self._fail()
                issued = await refresh(tokens, token, actor)
            finally:
                self.refreshing -= 1
            if self.lost:
                self.lost -= 1
                raise errors.Unavailable
            return self._spoil(tokens, issued)

        patch.setattr(Tokens, "sign_in_service", count_sign_in)
        patch.setattr(Tokens, "refresh", count_refresh)
        patch.setattr(Tokens, "sign_in", remember)

    def _fail(self) -> None:
        if self.failures:
            raise self.failures.pop(0)

    def _spoil(self, tokens: Tokens, issued: IssuedToken) -> IssuedToken:
        """The token, or for the next few one that has expired though its caller cannot know."""
        if not self.expired:
            return issued
        self.expired -= 1
        past = datetime.now(UTC) - timedelta(minutes=3)
        spoilt = tokens._sign({"sub": "service:billing", "scope": ""}, past, past)
        return IssuedToken(
            spoilt, issued.expires_at, issued.life, issued.refresh_token, issued.refresh_expires_at
        )


async def sibling(service: Service) -> str:
    """The secret of `billing`, which may read and pay in."""
    scopes = [Scope.ACCOUNTS_READ, Scope.DEPOSITS_WRITE, Scope.TRANSFERS_WRITE]
    return await administration.create_service_principal(service.settings, "billing", "", scopes)


def signed(service: Service, token: str, **changes: object) -> str:
    """The token's claims with changes, under the service's own key."""
    claims = jwt.decode(token, options={"verify_signature": False}) | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    key_id, key = service.app.keys.signing()
    return jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": key_id})


def expired(probe: TokenProbe, person: Person) -> v1.Token:
    """What a caller holds whose clock is slow: a token that has expired, without its looking so."""
    past = datetime.now(UTC) - timedelta(seconds=90)
    token = v1.Token()
    token.CopyFrom(person.token)
    subject = {"sub": f"user:{person.user_id}", "role": "user", "scope": ""}
    assert probe.tokens
    token.token = probe.tokens._sign(subject, past, past + timedelta(seconds=30))
    return token


Account = tuple[Person, v1.GetAccountRequest]


async def account(service: Service) -> Account:
    person = await service.person()
    opened = await person.open()
    await person.deposit("100", opened.id)
    return person, v1.GetAccountRequest(account=opened.id)


async def read(client: AsyncClient, request: v1.GetAccountRequest) -> v1.Account:
    return await client.accounts.GetAccount(request, timeout=20)
