"""Lines of the log: JSON whoever writes them, and bounded when there are too many."""

import asyncio
import json
import subprocess
import sys

import structlog

from balance_service.server.logs import LINES_A_SECOND, Sparing


def written(sparing: Sparing, level: str = "info", **line: object) -> bool:
    try:
        sparing(None, level, dict(line))
    except structlog.DropEvent:
        return False
    return True


async def test_lines_of_a_flood_are_left_out_and_counted() -> None:
    now = 7.0
    sparing = Sparing(lambda: now)
    with structlog.testing.capture_logs() as lines:
        flood = [written(sparing, event="call", reason="OVERLOADED") for _ in range(500)]
        assert written(sparing, event="call", reason="INVALID_FIELD")
        assert all(written(sparing, "debug", event="call") for _ in range(500))
        assert flood == [True] * LINES_A_SECOND + [False] * (500 - LINES_A_SECOND)
        async with asyncio.timeout(30):
            while not lines:
                await asyncio.sleep(0.05)
    assert lines == [
        {
            "event": "lines_left_out",
            "of": "call",
            "of_reason": "OVERLOADED",
            "count": 500 - LINES_A_SECOND,
            "log_level": "warning",
        }
    ]
    # A second later, they are written again.
    now += 1
    assert written(sparing, event="call", reason="OVERLOADED")


PROGRAM = """
import asyncio, logging, threading, warnings
from balance_service.server import logs
logs.configure("info")
logging.getLogger("psycopg.pool").warning("discarding %s", "x")
logging.getLogger("uvicorn.error").info("hidden")
warnings.warn("old")
threading.Thread(target=lambda: 1 / 0, name="t").start()

async def forget():
    asyncio.get_running_loop().call_exception_handler({"message": "forgotten"})

asyncio.run(forget())
"""


def test_libraries_and_threads_log_json() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line.get("logger", line["event"]) for line in lines if line["event"] == "library"] == [
        "psycopg.pool",
        "py.warnings",
        "asyncio",
    ]
    (failed,) = [line for line in lines if line["event"] == "thread_failed"]
    assert failed["thread"] == "t"
    assert "ZeroDivisionError" in failed["exception"]
    assert all(line["pid"] and line["timestamp"] for line in lines)
