"""Access tokens (JWT, RFC 7519, signed with EdDSA, RFC 8037) and refresh tokens that rotate.

A refresh token works once. Using it again means that it was stolen by one of two parties, so the
whole sign-in is revoked (RFC 9700, 4.14.2); but for some seconds, and until its successor is used,
it may be that the answer was lost, and the same successor is given again.

Workers' clocks differ. A token is good from LEEWAY before its `iat` and `nbf` until LEEWAY after
its `exp`, and no longer than the configured life and LEEWAY after its `iat`. A revoked token is not
good at any time: the revocation is remembered for as long as that, and for MARGIN.
"""

import base64
import hmac
import secrets as random_source
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import jwt

from balance_service.auth.keys import KeySet
from balance_service.auth.sealing import Secrets
from balance_service.auth.sessions import Sessions
from balance_service.database.pool import Connection, Pool, transaction
from balance_service.domain import errors, ids
from balance_service.domain.audit import Action, Actor, AuditEvent, yes_or_no
from balance_service.domain.principals import Principal
from balance_service.domain.users import Role, User
from balance_service.repositories import audit, credentials, users
from balance_service.repositories.credentials import NewSession, RefreshToken

_ALGORITHM = "EdDSA"
_CLAIMS = ["exp", "iat", "iss", "aud", "sub", "jti"]
LEEWAY = timedelta(seconds=60)
MARGIN = timedelta(minutes=1)
KNOWN_TOKENS_MAX = 100_000
TOKEN_LENGTH_MAX = 4096


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """What a sign-in gives; the refresh token only to a person."""

    access_token: str
    expires_at: datetime
    life: timedelta
    refresh_token: str = ""
    refresh_expires_at: datetime | None = None


class IssuedRefreshToken(NamedTuple):
    """A refresh token, and when it expires."""

    token: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What tokens say and how long they live.

    Args:
        refresh_grace: How long a refresh token that was used is answered again.
        second_factor_required: Whether moderators and admins who did not prove a second factor
            get the tokens of plain users.
    """

    issuer: str
    audience: str
    access_life: timedelta
    refresh_life: timedelta
    refresh_grace: timedelta
    second_factor_required: bool = False

    @property
    def access_life_at_most(self) -> timedelta:
        """For how long after its end a session's access tokens have to be refused."""
        return self.access_life + LEEWAY + MARGIN


@dataclass(frozen=True, slots=True)
class _VerifiedToken:
    """What is known of a token whose signature was verified.

    Args:
        principal: Who it stands for.
        good_until: When it expires, with LEEWAY; seconds since the epoch.
    """

    principal: Principal
    good_until: float


class Tokens:
    """Issues, verifies, refreshes and revokes.

    Args:
        pool: Where refresh tokens are kept.
        keys: What access tokens are signed with.
        secrets: What refresh tokens are hashed with.
        rules: What tokens say and how long they live.
        sessions: Remembers which sign-ins have ended.
    """

    def __init__(
        self, pool: Pool, keys: KeySet, secrets: Secrets, rules: TokenRules, sessions: Sessions
    ) -> None:
        self._pool = pool
        self._keys = keys
        self._secrets = secrets
        self._rules = rules
        self._sessions = sessions
        # Verifying a signature costs more than a small call: each token is verified once.
        self._known_tokens: dict[str, _VerifiedToken] = {}

    async def sign_in(
        self, user_id: UUID, actor: Actor, *, second_factor: bool = False
    ) -> IssuedToken:
        """Starts a session of a user who proved their address.

        Args:
            user_id: The user's id.
            actor: By which call.
            second_factor: Whether they proved their second factor besides.

        Raises:
            UserDisabled: They may not sign in.
            SecondFactorRequired: They did not, and have one.
        """
        now = datetime.now(UTC)
        session_id, expires_at = ids.new_id(), now + self._rules.refresh_life
        async with transaction(self._pool) as conn:
            # The user's row is locked, so that a change of their role cannot overlap: it either
            # waits, and then revokes this session, or ends first, and its role is read here.
            user = await users.hold(conn, user_id)
            if user.disabled_at:
                raise errors.UserDisabled
            if user.second_factor and not second_factor:
                raise errors.SecondFactorRequired
            session = NewSession(session_id, user_id, now, expires_at, second_factor)
            await credentials.create_session(conn, session)
            refresh_token = random_source.token_urlsafe(32)
            await self._keep_refresh_token(conn, refresh_token, session_id, expires_at)
            name = f"user:{user_id}"
            signed_in = actor._replace(principal=name, session_id=session_id)
            proof = {"second_factor": yes_or_no(value=second_factor)}
            await audit.record(conn, AuditEvent(Action.SIGNED_IN, signed_in, name, after=proof))
        issued = IssuedRefreshToken(refresh_token, expires_at)
        return self._issue(user, session_id, now, issued, second_factor=second_factor)

    async def sign_in_service(
        self, client_id: str, client_secret: str, actor: Actor
    ) -> IssuedToken:
        """Gives a sibling service an access token.

        Raises:
            ClientCredentialsInvalid: The id is unknown or the secret is wrong.
        """
        async with self._pool.connection() as conn:
            principal = await credentials.find_principal(conn, client_id)
        # An unknown id is refused as a wrong secret is, after the same work.
        secret_hash, scopes = principal or (b"", [])
        if not hmac.compare_digest(
            secret_hash, client_secret_hash(self._secrets, client_id, client_secret)
        ):
            raise errors.ClientCredentialsInvalid
        name = f"service:{client_id}"
        async with self._pool.connection() as conn:
            signed_in = actor._replace(principal=name)
            await audit.record(conn, AuditEvent(Action.SIGNED_IN, signed_in, name))
        now = datetime.now(UTC)
        expires_at = now + self._rules.access_life
        claims = {"sub": name, "scope": " ".join(sorted(scopes))}
        return IssuedToken(self._sign(claims, now, expires_at), expires_at, self._rules.access_life)

    async def refresh(self, refresh_token: str, actor: Actor) -> IssuedToken:
        """Exchanges a refresh token for new tokens.

        Raises:
            RefreshTokenInvalid: It is unknown, expired or revoked; or it was used before, longer
                ago than the grace, and now the whole sign-in is revoked.
        """
        now = datetime.now(UTC)
        token_hash = self._refresh_hash(refresh_token)
        successor = self._successor(refresh_token)
        async with transaction(self._pool) as conn:
            stored = await credentials.find_refresh_token(conn, token_hash)
            if stored is None or stored.revoked_at or now >= stored.session_expires_at:
                raise errors.RefreshTokenInvalid
            if stored.used_for is None:
                await credentials.use_refresh_token(conn, token_hash)
                await self._keep_refresh_token(
                    conn, successor, stored.session_id, stored.expires_at
                )
                await credentials.refresh_session(conn, stored.session_id, now)
                reused = False
            else:
                reused = not await self._is_repeated(conn, stored.used_for, successor)
            if reused:
                await credentials.revoke_session(conn, stored.session_id, now)
                await audit.record(conn, _reuse(stored, actor))
            user = await users.hold(conn, stored.user_id)
        if reused:  # Raised here, so that the revocation is committed.
            self._sessions.remember_ended(stored.session_id)
            raise errors.RefreshTokenInvalid
        issued = IssuedRefreshToken(successor, stored.session_expires_at)
        return self._issue(user, stored.session_id, now, issued, second_factor=stored.second_factor)

    async def _is_repeated(self, conn: Connection, used_for: timedelta, successor: str) -> bool:
        """Whether a token is used again because the first answer was lost, and not stolen."""
        if used_for > self._rules.refresh_grace:
            return False
        return await credentials.is_unused(conn, self._refresh_hash(successor))

    async def revoke(self, refresh_token: str, actor: Actor) -> None:
        """Revokes the sign-in that a refresh token belongs to; an unknown token is no error."""
        async with transaction(self._pool) as conn:
            stored = await credentials.find_refresh_token(conn, self._refresh_hash(refresh_token))
            if stored:
                now = datetime.now(UTC)
                if await credentials.revoke_session(conn, stored.session_id, now):
                    await audit.record(conn, _sign_out(stored, actor))
                self._sessions.remember_ended(stored.session_id)

    async def verify(self, access_token: str) -> Principal:
        """Who a token stands for.

        Raises:
            TokenExpired: It was good once.
            TokenInvalid: It never was, or it is revoked.
        """
        token = self._known_tokens.get(access_token) or await self._decode(access_token)
        if token.good_until <= time.time():
            self._known_tokens.pop(access_token, None)
            raise errors.TokenExpired
        if self._sessions.is_ended(token.principal.session_id):
            raise errors.TokenInvalid
        return token.principal

    async def _decode(self, access_token: str) -> _VerifiedToken:
        if len(access_token) > TOKEN_LENGTH_MAX:
            raise errors.TokenInvalid
        try:
            key_id = jwt.get_unverified_header(access_token).get("kid")
            key = await self._keys.verifying(key_id) if isinstance(key_id, str) else None
            if key is None:
                raise errors.TokenInvalid
            claims = jwt.decode(
                access_token,
                key,
                algorithms=[_ALGORITHM],
                audience=self._rules.audience,
                issuer=self._rules.issuer,
                leeway=LEEWAY,
                options={"require": _CLAIMS},
            )
            token = _read_claims(claims, self._rules.access_life)
        except jwt.ExpiredSignatureError:
            raise errors.TokenExpired from None
        except (jwt.InvalidTokenError, ValueError, KeyError, OverflowError):
            raise errors.TokenInvalid from None
        if len(self._known_tokens) >= KNOWN_TOKENS_MAX:
            # The oldest, for a dictionary keeps the order in which its keys were added.
            self._known_tokens.pop(next(iter(self._known_tokens)))
        self._known_tokens[access_token] = token
        return token

    def _issue(
        self,
        user: User,
        session_id: UUID,
        now: datetime,
        refresh: IssuedRefreshToken,
        *,
        second_factor: bool,
    ) -> IssuedToken:
        expires_at = now + self._rules.access_life
        proved = second_factor and user.second_factor
        role = user.role if proved or not self._rules.second_factor_required else Role.USER
        claims = {
            "sub": f"user:{user.user_id}",
            "role": role.name.lower(),
            "scope": "",
            "sid": str(session_id),
        }
        access_token = self._sign(claims, now, expires_at)
        life = self._rules.access_life
        return IssuedToken(access_token, expires_at, life, refresh.token, refresh.expires_at)

    def _sign(self, claims: dict[str, str], now: datetime, expires_at: datetime) -> str:
        key_id, key = self._keys.signing()
        registered = {
            "iss": self._rules.issuer,
            "aud": self._rules.audience,
            "iat": now,
            "exp": expires_at,
            "jti": ids.new_id().hex,
        }
        return jwt.encode(
            {**registered, **claims}, key, algorithm=_ALGORITHM, headers={"kid": key_id}
        )

    async def _keep_refresh_token(
        self, conn: Connection, token: str, session_id: UUID, expires_at: datetime
    ) -> None:
        token_hash = self._refresh_hash(token)
        await credentials.insert_refresh_token(conn, token_hash, session_id, expires_at)

    def _successor(self, refresh_token: str) -> str:
        """The token that follows one: always the same, so that it can be given again, unkept."""
        digest = self._secrets.keyed_hash("refresh successors", refresh_token)
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def _refresh_hash(self, token: str) -> bytes:
        return self._secrets.keyed_hash("refresh tokens", token)


def client_secret_hash(secrets: Secrets, client_id: str, client_secret: str) -> bytes:
    """What is kept of a service's secret. It is random, so it needs no slow hash."""
    return secrets.keyed_hash("client secrets", f"{client_id} {client_secret}")


def _reuse(stored: RefreshToken, actor: Actor) -> AuditEvent:
    """That a refresh token was used again: by whom is not known, for one of two stole it."""
    return AuditEvent(
        Action.REFRESH_TOKEN_REUSED,
        actor,
        f"user:{stored.user_id}",
        after={"session": str(stored.session_id)},
        refusal="REFRESH_TOKEN_INVALID",
    )


def _sign_out(stored: RefreshToken, actor: Actor) -> AuditEvent:
    name, session = f"user:{stored.user_id}", stored.session_id
    signed_in = actor._replace(principal=name, session_id=session)
    return AuditEvent(Action.SESSION_ENDED, signed_in, name, after={"session": str(session)})


def _read_claims(claims: dict[str, Any], life: timedelta) -> _VerifiedToken:
    """Reads our own claims; raises ValueError or KeyError if they are not ours."""
    # A revocation is remembered for the configured life of access tokens. A token that was issued
    # under a longer life is cut to that, or it would be accepted again once that is forgotten.
    expires_at = min(float(claims["exp"]), float(claims["iat"]) + life.total_seconds())
    good_until = expires_at + LEEWAY.total_seconds()
    subject = str(claims["sub"])
    kind, _, name = subject.partition(":")
    if kind == "user":
        role = Role[str(claims["role"]).upper()]
        session_id = UUID(str(claims["sid"]))
        principal = Principal(subject, UUID(name), role, session_id=session_id)
        return _VerifiedToken(principal, good_until)
    if kind != "service":
        raise ValueError(subject)
    scopes = frozenset(str(claims["scope"]).split())
    return _VerifiedToken(Principal(subject, None, None, scopes), good_until)
