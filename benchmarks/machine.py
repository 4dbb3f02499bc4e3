"""The machine a benchmark runs on, as far as it decides the figures: neighbours halve a ratio."""

import os
import tempfile
import time
from dataclasses import dataclass

FSYNC_SECONDS = 0.5
# Somebody else's work, as a share of the cores, from which figures are not to be quoted.
LOAD_SHARE_MAX = 0.25


@dataclass(frozen=True)
class Machine:
    """What was found before anything was started.

    Args:
        cores: Processor cores.
        load: The load average of the last minute.
        fsyncs: Writes of one block made durable in a second, one after the other.
    """

    cores: int
    load: float
    fsyncs: float

    @property
    def quiet(self) -> bool:
        return self.load <= self.cores * LOAD_SHARE_MAX

    def told(self) -> str:
        state = "quiet" if self.quiet else "NOT quiet: its figures are not to be quoted"
        return (
            f"{self.cores} cores, load average {self.load:.2f} ({state}), "
            f"{self.fsyncs:,.0f} fsyncs a second"
        )


def look() -> Machine:
    """Measures it, which takes half a second."""
    block, count, began = b"x" * 8192, 0, time.monotonic()
    with tempfile.NamedTemporaryFile() as file:
        while time.monotonic() - began < FSYNC_SECONDS:
            file.seek(0)
            file.write(block)
            file.flush()
            os.fdatasync(file.fileno())
            count += 1
    return Machine(os.cpu_count() or 1, os.getloadavg()[0], count / FSYNC_SECONDS)
