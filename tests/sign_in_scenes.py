"""Scenes for the refusals of second factors and of sessions."""

from balance_client import v1
from balance_service.domain import errors
from tests.authenticators import ask_again, enrol
from tests.refusal_scenes import Ask, World, provokes
from tests.service import refused

WRONG = v1.RemoveSecondFactorRequest(code="AAAAA-AAAAA")


@provokes(errors.SecondFactorRequired)
async def sign_in_with_a_code_alone(world: World) -> Ask:
    person = await world.service.person()
    await enrol(person)
    request = await ask_again(world.service, person.email, world.database_url)
    return Ask("AuthService/CreateToken", request)


@provokes(errors.SecondFactorInvalid)
async def recovery_code_that_is_none(world: World) -> Ask:
    person = await world.service.person()
    await enrol(person)
    return Ask("UserService/RemoveSecondFactor", WRONG, person)


@provokes(errors.SecondFactorLimit)
async def sixth_wrong_code(world: World) -> Ask:
    person = await world.service.person()
    await enrol(person)
    for _ in range(5):
        await refused(person.client.users.RemoveSecondFactor(WRONG))
    return Ask("UserService/RemoveSecondFactor", WRONG, person)


@provokes(errors.SecondFactorEnrolled)
async def second_enrolment(world: World) -> Ask:
    person = await world.service.person()
    await enrol(person)
    return Ask("UserService/EnrolSecondFactor", v1.EnrolSecondFactorRequest(), person)
