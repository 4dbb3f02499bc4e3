"""When to stop: at SIGTERM, as from a supervisor, or SIGINT, as from a keyboard."""

import asyncio
import signal


def catch_stop_signals() -> asyncio.Event:
    """Has the running loop set an event at either signal, in place of ending the process."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    return stopping
