"""AuthService: signs callers in. Its methods need no token, so that step 1 has nothing to do."""

from google.protobuf.empty_pb2 import Empty

from balance_service._generated.balance.v1 import auth_pb2
from balance_service.auth.askers import SENDS
from balance_service.auth.codes import ConfirmationCodes
from balance_service.auth.keys import KeySet
from balance_service.auth.sign_in import SignIn
from balance_service.auth.tokens import Tokens
from balance_service.calls.call import Call
from balance_service.domain import errors
from balance_service.domain.addresses import parse_email
from balance_service.messages import convert, fields, people
from balance_service.messages.refused_sign_ins import RefusedSignIns, Tried


class AuthServicer:
    """Signs callers in.

    Args:
        codes: Sends and checks confirmation codes.
        sign_in: Signs in whose code is right.
        tokens: Issues tokens.
        keys: What tokens are signed with.
        refused: Records what is refused here.
    """

    service = auth_pb2.DESCRIPTOR.services_by_name["AuthService"]

    def __init__(
        self,
        codes: ConfirmationCodes,
        sign_in: SignIn,
        tokens: Tokens,
        keys: KeySet,
        refused: RefusedSignIns,
    ) -> None:
        self._codes = codes
        self._sign_in = sign_in
        self._tokens = tokens
        self._keys = keys
        self._refused = refused

    async def SendConfirmationCode(
        self, request: auth_pb2.SendConfirmationCodeRequest, call: Call
    ) -> auth_pb2.SendConfirmationCodeResponse:
        email = parse_email(request.email)

        try:
            async with self._refused.recorded(call, Tried(email=email)):
                sent = await self._codes.send(email, call.network)
        except errors.ConfirmationCodeLimit as refusal:
            _report_limit(call, 0, refusal.retry_after_seconds)
            raise

        _report_limit(call, sent.remaining, sent.full_in_seconds)
        return auth_pb2.SendConfirmationCodeResponse(
            email=email,
            expire_time=convert.timestamp(sent.expires_at),
            verification_id=sent.verification_id,
        )

    async def CreateToken(self, request: auth_pb2.CreateTokenRequest, call: Call) -> auth_pb2.Token:
        by_code = request.verification_id or request.email or request.confirmation_code
        by_secret = request.client_id or request.client_secret
        if bool(by_code) == bool(by_secret):
            choice = "is required with confirmation_code, or else client_id with client_secret"
            raise errors.invalid("verification_id", choice)
        if by_secret:
            return await self._sign_in_service(request, call)
        return await self._sign_in_user(request, call)

    async def _sign_in_user(
        self, request: auth_pb2.CreateTokenRequest, call: Call
    ) -> auth_pb2.Token:
        checks = fields.Checks()
        plainly = not request.verification_id
        if plainly:
            email = checks(parse_email, request.email)
        else:
            verification_id = checks(fields.text, request, "verification_id")
            if request.email:
                checks.refuse("email", "must be left out with verification_id")
        code = checks(fields.text, request, "confirmation_code")
        second_factor_code = checks(fields.text, request, "second_factor_code")
        checks.finish()

        tried = Tried(email=email) if plainly else Tried(verification_id=verification_id)
        async with self._refused.recorded(call, tried):
            if plainly:
                right = await self._codes.guess_plainly(email, code, call.network)
            else:
                right = await self._codes.guess(verification_id, code)
            issued = await self._sign_in.finish(right, second_factor_code, call.actor)

        return people.token(issued)

    async def _sign_in_service(
        self, request: auth_pb2.CreateTokenRequest, call: Call
    ) -> auth_pb2.Token:
        if call.certificate and not request.client_secret:
            client_id = fields.text(request, "client_id")
            async with self._refused.recorded(call, Tried(client_id=client_id)):
                issued = await self._tokens.sign_in_certified(
                    client_id, call.certificate, call.actor
                )
            return people.token(issued)
        checks = fields.Checks()
        client_id = checks(fields.text, request, "client_id")
        secret = checks(fields.text, request, "client_secret")
        checks.finish()

        async with self._refused.recorded(call, Tried(client_id=client_id)):
            issued = await self._tokens.sign_in_service(client_id, secret, call.actor)

        return people.token(issued)

    async def RefreshToken(
        self, request: auth_pb2.RefreshTokenRequest, call: Call
    ) -> auth_pb2.Token:
        refresh_token = fields.text(request, "refresh_token")

        issued = await self._tokens.refresh(refresh_token, call.actor)

        return people.token(issued)

    async def RevokeToken(self, request: auth_pb2.RevokeTokenRequest, call: Call) -> Empty:
        refresh_token = fields.text(request, "refresh_token")

        await self._tokens.revoke(refresh_token, call.actor)

        return Empty()

    async def GetJwks(self, request: auth_pb2.GetJwksRequest, call: Call) -> auth_pb2.Jwks:
        return people.jwks(self._keys.public())


def _report_limit(call: Call, remaining: int, full_in_seconds: int) -> None:
    """Tells how many more codes may be sent (draft-ietf-httpapi-ratelimit-headers)."""
    window = int(SENDS.whole.total_seconds())
    call.trailers["ratelimit-policy"] = f'"codes";q={SENDS.burst};w={window}'
    call.trailers["ratelimit"] = f'"codes";r={remaining};t={full_in_seconds}'
