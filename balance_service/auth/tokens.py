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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import jwt

from balance_service.auth import token_claims, token_events
from balance_service.auth.keys import KeySet
from balance_service.auth.sealing import Secrets
from balance_service.auth.sessions import Sessions
from balance_service.auth.token_claims import LEEWAY, VerifiedToken
from balance_service.database.pool import Connection, Pool, transaction
from balance_service.domain import errors, ids
from balance_service.domain.audit import Action, Actor, AuditEvent, yes_or_no
from balance_service.domain.client_certificates import ClientCertificate
from balance_service.domain.principals import Principal
from balance_service.domain.users import Role, User
from balance_service.repositories import audit, credentials, principals, users
from balance_service.repositories import client_certificates as certificates
from balance_service.repositories.credentials import NewSession, RefreshToken
from balance_service.repositories.principals import KeptHash

_ALGORITHM = "EdDSA"
_CLIENT_SECRETS = "client secrets"
_CLAIMS = ["exp", "iat", "iss", "aud", "sub", "jti"]
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
        self._known_tokens: dict[str, VerifiedToken] = {}

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
        """Gives a sibling service an access token, which ends with its secret at the latest.

        Raises:
            ClientCredentialsInvalid: The id is unknown or the secret is wrong.
        """
        hashes = self._secrets.keyed_hashes(_CLIENT_SECRETS, f"{client_id} {client_secret}")
        async with self._pool.connection() as conn:
            live = await principals.live_secrets(conn, client_id)
            # All of them are compared, whichever it is.
            right = [
                each
                for each in live
                for expected in hashes
                if hmac.compare_digest(each.secret_hash, expected)
            ]
            if not right:
                raise errors.ClientCredentialsInvalid
            secret = right[0]
            if secret.secret_hash != hashes[0]:
                kept = KeptHash(hashes[0], self._secrets.mark)
                await principals.replace_hash(conn, client_id, secret.secret_id, kept)
            if not secret.used_today:
                await principals.use_secret(conn, client_id, secret.secret_id)
            await audit.record(conn, token_events.service_sign_in(client_id, actor))
        life = self._rules.access_life
        if secret.expires_at:
            life = min(life, max(secret.expires_at - datetime.now(UTC), timedelta(seconds=1)))
        return self._issue_to_service(client_id, secret.scopes, secret.secret_id, life)

    async def sign_in_certified(
        self, client_id: str, shown: ClientCertificate, actor: Actor
    ) -> IssuedToken:
        """Gives a sibling service a token that is good with the certificate that it showed alone.

        Raises:
            ClientCredentialsInvalid: The id is unknown, or bound to no such certificate.
        """
        async with self._pool.connection() as conn:
            bound = await certificates.find(conn, client_id, shown.names)
            if bound is None:
                raise errors.ClientCredentialsInvalid
            if not bound.used_today:
                await certificates.use(conn, client_id, bound.certificate_id)
            await audit.record(conn, token_events.service_sign_in(client_id, actor))
        return self._issue_to_service(
            client_id, bound.scopes, bound.certificate_id, self._rules.access_life, shown
        )

    async def refresh(self, refresh_token: str, actor: Actor) -> IssuedToken:
        """Exchanges a refresh token for new tokens.

        Raises:
            RefreshTokenInvalid: It is unknown, expired or revoked; or it was used before, longer
                ago than the grace, and now the whole sign-in is revoked.
        """
        now = datetime.now(UTC)
        successor: str | None
        async with transaction(self._pool) as conn:
            stored = await self._find(conn, refresh_token)
            if stored is None or stored.revoked_at or now >= stored.session_expires_at:
                raise errors.RefreshTokenInvalid
            if stored.used_for is None:
                successor = self._successors(refresh_token)[0]
                await credentials.use_refresh_token(conn, stored.token_hash)
                await self._keep_refresh_token(
                    conn, successor, stored.session_id, stored.expires_at
                )
                await credentials.refresh_session(conn, stored.session_id, now)
            else:
                successor = await self._find_successor(conn, refresh_token, stored.used_for)
            if successor is None:
                await credentials.revoke_session(conn, stored.session_id, now)
                await audit.record(conn, token_events.reuse(stored, actor))
            user = await users.hold(conn, stored.user_id)
        if successor is None:  # Raised here, so that the revocation is committed.
            self._sessions.remember_ended(stored.session_id)
            raise errors.RefreshTokenInvalid
        issued = IssuedRefreshToken(successor, stored.session_expires_at)
        return self._issue(user, stored.session_id, now, issued, second_factor=stored.second_factor)

    async def _find_successor(
        self, conn: Connection, refresh_token: str, used_for: timedelta
    ) -> str | None:
        """What was given for a token, if it is used again because that answer was lost."""
        if used_for <= self._rules.refresh_grace:
            for successor in self._successors(refresh_token):
                if await credentials.is_unused(conn, self._refresh_hashes(successor)):
                    return successor
        return None

    async def revoke(self, refresh_token: str, actor: Actor) -> None:
        """Revokes the sign-in that a refresh token belongs to; an unknown token is no error."""
        async with transaction(self._pool) as conn:
            stored = await self._find(conn, refresh_token)
            if stored:
                now = datetime.now(UTC)
                if await credentials.revoke_session(conn, stored.session_id, now):
                    await audit.record(conn, token_events.sign_out(stored, actor))
                self._sessions.remember_ended(stored.session_id)

    def knows(self, access_token: str) -> bool:
        """Whether a token was verified before, so that it costs little."""
        return access_token in self._known_tokens

    async def verify(self, access_token: str, shown: ClientCertificate | None = None) -> Principal:
        """Who a token stands for.

        Args:
            access_token: The token.
            shown: The certificate that its bearer showed, if any.

        Raises:
            TokenExpired: It was good once.
            TokenInvalid: It never was, it is revoked, or it is bound to another certificate.
        """
        token = self._known_tokens.get(access_token) or await self._decode(access_token)
        if token.good_until <= time.time():
            self._known_tokens.pop(access_token, None)
            raise errors.TokenExpired
        if token.certificate and (shown is None or shown.sha256 != token.certificate):
            raise errors.TokenInvalid
        if not self._keys.has(token.key_id):
            self._known_tokens.pop(access_token, None)
            raise errors.TokenInvalid
        if self._sessions.is_ended(token.principal.session_id):
            raise errors.TokenInvalid
        return token.principal

    async def _decode(self, access_token: str) -> VerifiedToken:
        if len(access_token) > TOKEN_LENGTH_MAX:
            raise errors.TokenInvalid
        try:
            key_id = jwt.get_unverified_header(access_token).get("kid")
            if not isinstance(key_id, str):
                raise errors.TokenInvalid
            key = await self._keys.verifying(key_id)
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
            token = token_claims.read(key_id, claims, self._rules.access_life)
        except jwt.ExpiredSignatureError:
            raise errors.TokenExpired from None
        except (jwt.InvalidTokenError, ValueError, KeyError, OverflowError):
            raise errors.TokenInvalid from None
        if len(self._known_tokens) >= KNOWN_TOKENS_MAX:
            # The oldest, for a dictionary keeps the order in which its keys were added.
            self._known_tokens.pop(next(iter(self._known_tokens)))
        self._known_tokens[access_token] = token
        return token

    def _issue_to_service(
        self,
        client_id: str,
        scopes: Sequence[str],
        proof_id: UUID,
        life: timedelta,
        shown: ClientCertificate | None = None,
    ) -> IssuedToken:
        """A service's token, which ends with the secret or the binding that it proved."""
        claims: dict[str, Any] = {
            "sub": f"service:{client_id}",
            "scope": " ".join(sorted(scopes)),
            "sid": str(proof_id),
        }
        if shown:
            digest = base64.urlsafe_b64encode(bytes.fromhex(shown.sha256)).rstrip(b"=")
            claims["cnf"] = {"x5t#S256": digest.decode()}
        now = datetime.now(UTC)
        return IssuedToken(self._sign(claims, now, now + life), now + life, life)

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

    def _sign(self, claims: Mapping[str, Any], now: datetime, expires_at: datetime) -> str:
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
        token_hash = self._refresh_hashes(token)[0]
        await credentials.insert_refresh_token(conn, token_hash, session_id, expires_at)

    async def _find(self, conn: Connection, refresh_token: str) -> RefreshToken | None:
        return await credentials.find_refresh_token(conn, self._refresh_hashes(refresh_token))

    def _successors(self, refresh_token: str) -> list[str]:
        """The token that follows one: always the same, so that it can be given again, unkept.

        The second, if any, is what it would be by the previous secret.
        """
        digests = self._secrets.keyed_hashes("refresh successors", refresh_token)
        return [base64.urlsafe_b64encode(digest).rstrip(b"=").decode() for digest in digests]

    def _refresh_hashes(self, token: str) -> list[bytes]:
        return self._secrets.keyed_hashes("refresh tokens", token)


def client_secret_hash(secrets: Secrets, client_id: str, client_secret: str) -> KeptHash:
    """What is kept of a service's secret. It is random, so it needs no slow hash."""
    hashed = secrets.keyed_hash(_CLIENT_SECRETS, f"{client_id} {client_secret}")
    return KeptHash(hashed, secrets.mark)
