"""How users sign in: their second factors, sign-ins and addresses. Part of UserService."""

from google.protobuf.empty_pb2 import Empty

from balance_service._generated.balance.v1 import user_pb2
from balance_service.auth.second_factors import SecondFactors
from balance_service.auth.sessions import Sessions
from balance_service.auth.sign_in import CodeOfAddress, SignIn
from balance_service.calls.access import Condition
from balance_service.calls.call import Call
from balance_service.domain import errors
from balance_service.messages import fields, people
from balance_service.messages.refused_sign_ins import RefusedSignIns, Tried


class UserSignIn:
    """Answers the methods of UserService that are about signing in.

    Args:
        second_factors: Enrols and removes second factors.
        sign_in: Changes addresses.
        sessions: Lists and ends sign-ins.
        refused: Records proofs that are refused.
    """

    def __init__(
        self,
        second_factors: SecondFactors,
        sign_in: SignIn,
        sessions: Sessions,
        refused: RefusedSignIns,
    ) -> None:
        self._second_factors = second_factors
        self._sign_in = sign_in
        self._sessions = sessions
        self._refused = refused

    async def enrol_second_factor(self, call: Call) -> user_pb2.EnrolSecondFactorResponse:
        user_id = call.principal.require_user()

        enrolment = await self._second_factors.enrol(user_id)

        return user_pb2.EnrolSecondFactorResponse(secret=enrolment.secret, uri=enrolment.uri)

    async def confirm_second_factor(
        self, request: user_pb2.ConfirmSecondFactorRequest, call: Call
    ) -> user_pb2.ConfirmSecondFactorResponse:
        user_id = call.principal.require_user()

        code = fields.text(request, "code")

        async with self._refused.recorded(call, Tried(user_id=user_id)):
            codes = await self._second_factors.confirm(user_id, code, call.actor)

        return user_pb2.ConfirmSecondFactorResponse(recovery_codes=codes)

    async def remove_second_factor(
        self, request: user_pb2.RemoveSecondFactorRequest, call: Call
    ) -> user_pb2.User:
        user_id = call.principal.require_user()

        code = fields.text(request, "code")

        async with self._refused.recorded(call, Tried(user_id=user_id)):
            user = await self._second_factors.remove(user_id, code, call.actor)

        return people.user(user)

    async def reset_second_factor(
        self, request: user_pb2.ResetSecondFactorRequest, call: Call
    ) -> user_pb2.User:
        user_id = fields.identifier(request.user, "user")
        call.prove(Condition.OTHERS)
        if user_id == call.principal.user_id:
            raise errors.invalid("user", "must be somebody else: remove your own with its code")

        return people.user(await self._second_factors.reset(user_id, call.actor))

    async def list_sessions(self, call: Call) -> user_pb2.ListSessionsResponse:
        user_id = call.principal.require_user()

        listed = await self._sessions.list(user_id)

        current = call.principal.session_id
        sessions = [people.session(session, current) for session in listed]
        return user_pb2.ListSessionsResponse(sessions=sessions)

    async def end_session(self, request: user_pb2.EndSessionRequest, call: Call) -> Empty:
        user_id = call.principal.require_user()

        session_id = fields.identifier(request.session, "session")

        await self._sessions.end(user_id, session_id, call.actor)

        return Empty()

    async def end_sessions(self, request: user_pb2.EndSessionsRequest, call: Call) -> Empty:
        user_id = call.principal.require_user()

        kept = None if request.include_current else call.principal.session_id

        await self._sessions.end_all(user_id, call.actor, kept)

        return Empty()

    async def end_user_sessions(
        self, request: user_pb2.EndUserSessionsRequest, call: Call
    ) -> Empty:
        user_id = fields.identifier(request.user, "user")

        await self._sessions.end_all(user_id, call.actor)

        return Empty()

    async def change_email(self, request: user_pb2.ChangeEmailRequest, call: Call) -> user_pb2.User:
        user_id = call.principal.require_user()
        checks = fields.Checks()
        old = CodeOfAddress(
            checks(fields.text, request, "verification_id"),
            checks(fields.text, request, "confirmation_code"),
        )
        new = CodeOfAddress(
            checks(fields.text, request, "new_verification_id"),
            checks(fields.text, request, "new_confirmation_code"),
        )
        second_factor_code = checks(fields.text, request, "second_factor_code")
        checks.finish()

        async with self._refused.recorded(call, Tried(user_id=user_id)):
            user = await self._sign_in.change_email(
                call.principal, old, new, second_factor_code, call.actor
            )

        return people.user(user)
