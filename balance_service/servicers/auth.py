"""AuthService: signs callers in. Its methods need no token, so that step 1 has nothing to do."""

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
    """Signs callers in.

    Args:
        codes: Sends and checks confirmation codes.
        tokens: Issues tokens.
        keys: What tokens are signed with.
    """

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
            _report_limit(call, 0, refusal.retry_after_seconds)
            raise

        _report_limit(call, sent.remaining, sent.resets_in_seconds)
        return auth_pb2.SendConfirmationCodeResponse(
            email=email, expire_time=convert.timestamp(sent.expires_at)
        )

    async def CreateToken(self, request: auth_pb2.CreateTokenRequest, call: Call) -> auth_pb2.Token:
        by_code = request.email or request.confirmation_code
        by_secret = request.client_id or request.client_secret
        if bool(by_code) == bool(by_secret):
            choice = "is required with confirmation_code, or else client_id with client_secret"
            raise errors.invalid("email", choice)
        return await (self._sign_in_user if by_code else self._sign_in_service)(request)

    async def _sign_in_user(self, request: auth_pb2.CreateTokenRequest) -> auth_pb2.Token:
        checks = fields.Checks()
        email = checks(parse_email, request.email)
        code = checks(fields.text, request, "confirmation_code")
        checks.finish()

        user_id = await self._codes.check(email, code)
        issued = await self._tokens.sign_in(user_id)

        return convert.token(issued)

    async def _sign_in_service(self, request: auth_pb2.CreateTokenRequest) -> auth_pb2.Token:
        checks = fields.Checks()
        client_id = checks(fields.text, request, "client_id")
        secret = checks(fields.text, request, "client_secret")
        checks.finish()

        issued = await self._tokens.sign_in_service(client_id, secret)

        return convert.token(issued)

    async def RefreshToken(
        self, request: auth_pb2.RefreshTokenRequest, call: Call
    ) -> auth_pb2.Token:
        refresh_token = fields.text(request, "refresh_token")

        issued = await self._tokens.refresh(refresh_token)

        return convert.token(issued)

    async def RevokeToken(self, request: auth_pb2.RevokeTokenRequest, call: Call) -> Empty:
        refresh_token = fields.text(request, "refresh_token")

        await self._tokens.revoke(refresh_token)

        return Empty()

    async def GetJwks(self, request: auth_pb2.GetJwksRequest, call: Call) -> auth_pb2.Jwks:
        return convert.jwks(self._keys.public())


def _report_limit(call: Call, remaining: int, resets_in_seconds: int) -> None:
    """Tells how many more codes may be sent (draft-ietf-httpapi-ratelimit-headers)."""
    call.trailers["ratelimit-policy"] = f'"codes";q={SENDS_AN_HOUR_MAX};w=3600'
    call.trailers["ratelimit"] = f'"codes";r={remaining};t={resets_in_seconds}'
