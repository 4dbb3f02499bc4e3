"""When to stop: SIGTERM, as from a supervisor, or SIGINT, as from a keyboard."""

import asyncio
import signal


def stop_signal() -> asyncio.Event:
    """An event that either signal sets, for the running loop."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    return stopping
