"""Tasks end though they forget that they were cancelled."""

import asyncio

import pytest

from balance_service.database import cancelling


async def test_task_that_forgets_a_cancellation_is_cancelled_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cancelling, "AGAIN_SECONDS", 0.01)
    forgotten = 0

    async def forget(times: int) -> str:
        nonlocal forgotten
        while forgotten < times:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                forgotten += 1
        await asyncio.sleep(60)
        return "never"

    async def fail() -> None:
        raise ValueError

    tasks = [asyncio.create_task(forget(2)), asyncio.create_task(fail())]
    await asyncio.sleep(0)
    await asyncio.wait_for(cancelling.end(tasks), 30)
    assert (forgotten, tasks[0].cancelled()) == (2, True)
    assert isinstance(tasks[1].exception(), ValueError)
