"""Schedules in the console: found, read, paused, resumed and cancelled, on the record."""

from balance_client import v1
from tests.console.visitors import Console
from tests.schedules import daily, make, pair, seen


async def test_schedules_are_read_and_stopped_by_admins(console: Console) -> None:
    payer, paying, _, receiving = await pair(console.service)
    schedule = await make(payer.client, daily(receiving, description="Rent <b>"))
    visitor, path = await console.admin(), f"/schedules/{schedule.id}"
    listed = await visitor.get(f"/schedules?status=active&account={paying}")
    assert (path in listed.links, "Rent <b>" in listed.text) == (True, True)
    assert path not in (await visitor.get("/schedules?status=paused")).links
    shown = await visitor.get(path)
    assert ("FREQ=DAILY" in shown.text, "10.00 RUB" in shown.text) == (True, True)
    assert shown.html.count("<li><time") == 5
    assert f"/acts/pause-schedule/{schedule.id}" in shown.links

    confirm = await visitor.check("pause-schedule", schedule.id, reason="Asked to")
    assert "active paused" in confirm.text
    assert (await seen(payer.client, schedule)).status == v1.SCHEDULE_STATUS_ACTIVE
    shown = await visitor.submit(confirm, ("step", "do"))
    assert (shown.path, "The schedule is paused." in shown.text) == (path, True)
    assert shown.html.count("<li><time") == 0
    assert "The schedule is resumed." in (await visitor.act("resume-schedule", schedule.id)).text
    assert "cancelled" in (await visitor.act("cancel-schedule", schedule.id, reason="Gone")).text
    assert (await seen(payer.client, schedule)).status == v1.SCHEDULE_STATUS_CANCELLED
    shown = await visitor.get(path)
    assert not [link for link in shown.links if "/acts/" in link]
    record = (await visitor.get(f"/audit?target=schedule:{schedule.id}")).text
    for action in ("schedule.paused", "schedule.resumed", "schedule.cancelled"):
        assert action in record
