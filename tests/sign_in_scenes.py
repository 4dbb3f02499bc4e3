"""Scenes for the refusals of second factors and of sessions."""

from uuid import uuid4

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


@provokes(errors.UserDisabled)
async def sign_in_of_a_disabled_user(world: World) -> Ask:
    person = await world.service.person()
    await world.admin.client.users.DisableUser(v1.DisableUserRequest(user=person.user_id))
    request = await ask_again(world.service, person.email, world.database_url)
    return Ask("AuthService/CreateToken", request)


@provokes(errors.SessionNotFound)
async def session_of_nobody(world: World) -> Ask:
    request = v1.EndSessionRequest(session=str(uuid4()))
    return Ask("UserService/EndSession", request, world.anna)


@provokes(errors.EmailTaken)
async def address_of_another(world: World) -> Ask:
    codes = [
        await ask_again(world.service, person.email, world.database_url)
        for person in (world.anna, world.boris)
    ]
    request = v1.ChangeEmailRequest(
        verification_id=codes[0].verification_id,
        confirmation_code=codes[0].confirmation_code,
        new_verification_id=codes[1].verification_id,
        new_confirmation_code=codes[1].confirmation_code,
    )
    return Ask("UserService/ChangeEmail", request, world.anna)


@provokes(errors.UserErased)
async def change_of_an_erased_user(world: World) -> Ask:
    person = await world.service.person()
    erase = v1.EraseUserRequest(user=person.user_id, reason="asked for")
    await world.admin.client.users.EraseUser(erase)
    return Ask("UserService/EnableUser", v1.EnableUserRequest(user=person.user_id), world.admin)
