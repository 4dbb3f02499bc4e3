"""AuthService: signs callers in."""

import base64

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from google.protobuf.empty_pb2 import Empty

from balance_service._generated.balance.v1 import auth_pb2
from balance_service.auth.codes import SENDS_AN_HOUR_MAX, ConfirmationCodes
from balance_service.auth.keys import KeySet
from balance_service.auth.tokens import Tokens
from balance_service.calls.call import Call
from balance_service.domain import errors
from balance_service.domain.addresses import parse_email
from balance_service.messages import convert, fields


class AuthServicer:
    """Signs callers in."""

    service = auth_pb2.DESCRIPTOR.services_by_name["AuthService"]

    def __init__(self, codes: ConfirmationCodes, tokens: Tokens, keys: KeySet) -> None:
        self._codes = codes
        self._tokens = tokens
        self._keys = keys

    async def SendConfirmationCode(
        self, request: auth_pb2.SendConfirmationCodeRequest, call: Call
    ) -> auth_pb2.SendConfirmationCodeResponse:
        email = parse_email(request.email)
        try:
            sent = await self._codes.send(email)
        except errors.ConfirmationCodeLimit as refusal:
            _tell_limit(call, 0, refusal.retry_after_seconds)
            raise
        _tell_limit(call, sent.remaining, sent.resets_in_seconds)
        return auth_pb2.SendConfirmationCodeResponse(
            email=email, expire_time=convert.timestamp(sent.expires_at)
        )

    async def CreateToken(self, request: auth_pb2.CreateTokenRequest, call: Call) -> auth_pb2.Token:
        by_code = request.email or request.confirmation_code
        by_secret = request.client_id or request.client_secret
        if bool(by_code) == bool(by_secret):
            choice = "is required with confirmation_code, or else client_id with client_secret"
            raise errors.invalid("email", choice)
        checks = fields.Checks()
        if by_code:
            email = checks(parse_email, request.email)
            code = checks(fields.text, request, "confirmation_code")
            checks.finish()
            return convert.token(await self._tokens.sign_in(await self._codes.check(email, code)))
        client_id = checks(fields.text, request, "client_id")
        secret = checks(fields.text, request, "client_secret")
        checks.finish()
        return convert.token(await self._tokens.sign_in_service(client_id, secret))

    async def RefreshToken(
        self, request: auth_pb2.RefreshTokenRequest, call: Call
    ) -> auth_pb2.Token:
        refresh_token = fields.text(request, "refresh_token")
        return convert.token(await self._tokens.refresh(refresh_token))

    async def RevokeToken(self, request: auth_pb2.RevokeTokenRequest, call: Call) -> Empty:
        refresh_token = fields.text(request, "refresh_token")
        await self._tokens.revoke(refresh_token)
        return Empty()

    async def GetJwks(self, request: auth_pb2.GetJwksRequest, call: Call) -> auth_pb2.Jwks:
        jwks = auth_pb2.Jwks()
        for key in self._keys.public():
            raw = key.public_key.public_bytes(Encoding.Raw, PublicFormat.Raw)
            x = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
            jwks.keys.add(kty="OKP", crv="Ed25519", kid=key.key_id, alg="EdDSA", use="sig", x=x)
        return jwks


def _tell_limit(call: Call, remaining: int, resets_in_seconds: int) -> None:
    """How many more codes may be sent (draft-ietf-httpapi-ratelimit-headers)."""
    trailers = call.trailers
    trailers["ratelimit-policy"] = f'"codes";q={SENDS_AN_HOUR_MAX};w=3600'
    trailers["ratelimit"] = f'"codes";r={remaining};t={resets_in_seconds}'
