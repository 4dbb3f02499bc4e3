"""Scenes for the refusals of schedules."""

from uuid import uuid4

from balance_client import v1
from balance_service.domain import errors
from tests import schedules
from tests.refusal_scenes import Ask, World, provokes
from tests.service import somebody


async def _made(world: World) -> str:
    other = (await world.boris.open()).id
    await world.anna.open()
    return (await schedules.make(world.anna.client, schedules.daily(other))).id


@provokes(errors.ScheduleNotFound)
async def schedule_that_is_not_there(world: World) -> Ask:
    request = v1.GetScheduleRequest(schedule=str(uuid4()))
    return Ask("ScheduleService/GetSchedule", request, world.anna)


@provokes(errors.ScheduleNotActive)
async def cancelled_schedule_paused(world: World) -> Ask:
    schedule = await _made(world)
    cancel = v1.CancelScheduleRequest(schedule=schedule)
    await world.anna.client.schedules.CancelSchedule(cancel)
    request = v1.PauseScheduleRequest(schedule=schedule)
    return Ask("ScheduleService/PauseSchedule", request, world.anna)


@provokes(errors.ScheduleNotPaused)
async def active_schedule_resumed(world: World) -> Ask:
    request = v1.ResumeScheduleRequest(schedule=await _made(world))
    return Ask("ScheduleService/ResumeSchedule", request, world.anna)


@provokes(errors.ScheduleLimit)
async def one_schedule_too_many(world: World) -> Ask:
    other = (await world.boris.open()).id
    person, _ = await somebody(world.service)
    world.patch.setattr(world.service.app.settings, "schedules_max", 1)
    await schedules.make(person.client, schedules.once(other))
    request = v1.CreateScheduleRequest(schedule=schedules.once(other))
    return Ask("ScheduleService/CreateSchedule", request, person)
