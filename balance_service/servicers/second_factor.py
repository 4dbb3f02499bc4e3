"""Second factors of users: part of UserService."""

from balance_service._generated.balance.v1 import user_pb2
from balance_service.auth.second_factors import SecondFactors
from balance_service.calls.call import Call
from balance_service.domain import errors
from balance_service.messages import convert, fields


class SecondFactorCalls:
    """Answers the methods of UserService that are about second factors.

    Args:
        second_factors: Enrols and removes them.
    """

    def __init__(self, second_factors: SecondFactors) -> None:
        self._second_factors = second_factors

    async def enrol(self, call: Call) -> user_pb2.EnrolSecondFactorResponse:
        user_id = call.principal.require_user()

        enrolment = await self._second_factors.enrol(user_id)

        return user_pb2.EnrolSecondFactorResponse(secret=enrolment.secret, uri=enrolment.uri)

    async def confirm(
        self, request: user_pb2.ConfirmSecondFactorRequest, call: Call
    ) -> user_pb2.ConfirmSecondFactorResponse:
        user_id = call.principal.require_user()

        code = fields.text(request, "code")

        codes = await self._second_factors.confirm(user_id, call.principal.session_id, code)

        return user_pb2.ConfirmSecondFactorResponse(recovery_codes=codes)

    async def remove(
        self, request: user_pb2.RemoveSecondFactorRequest, call: Call
    ) -> user_pb2.User:
        user_id = call.principal.require_user()

        code = fields.text(request, "code")

        return convert.user(await self._second_factors.remove(user_id, code))

    async def reset(self, request: user_pb2.ResetSecondFactorRequest, call: Call) -> user_pb2.User:
        call.principal.require_admin()

        user_id = fields.identifier(request.user, "user")
        if user_id == call.principal.user_id:
            raise errors.invalid("user", "must be somebody else: remove your own with its code")

        return convert.user(await self._second_factors.reset(user_id))
