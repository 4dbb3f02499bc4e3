"""The machine a benchmark runs on, as far as it decides the figures: neighbours halve a ratio."""

import os
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

FSYNC_SECONDS = BUSY_SECONDS = 0.5
# Somebody else's work, as a share of the cores, from which figures are not to be quoted.
LOAD_SHARE_MAX = 0.25


@dataclass(frozen=True)
class Machine:
    """What was found before anything was started.

    Args:
        processor: Its name.
        cores: Processor cores.
        load: The load average of the last minute.
        busy: The share of all cores that others took, or kept from this machine, meanwhile.
        fsyncs: Writes of one block made durable in a second, one after the other.
    """

    processor: str
    cores: int
    load: float
    busy: float
    fsyncs: float

    @property
    def quiet(self) -> bool:
        return max(self.load / self.cores, self.busy) <= LOAD_SHARE_MAX

    def told(self) -> str:
        state = "quiet" if self.quiet else "NOT quiet: its figures are not to be quoted"
        return (
            f"{self.processor}, {self.cores} cores, load average {self.load:.2f}, {self.busy:.0%} "
            f"busy ({state}), {self.fsyncs:,.0f} fsyncs a second"
        )


def look() -> Machine:
    """Measures it, which takes a second."""
    before = _ticks()
    time.sleep(BUSY_SECONDS)
    taken, passed = (after - earlier for after, earlier in zip(_ticks(), before, strict=True))
    block, count, began = b"x" * 8192, 0, time.monotonic()
    with tempfile.NamedTemporaryFile() as file:
        while time.monotonic() - began < FSYNC_SECONDS:
            file.seek(0)
            file.write(block)
            file.flush()
            os.fdatasync(file.fileno())
            count += 1
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 1,
        load=os.getloadavg()[0],
        busy=taken / max(passed, 1),
        fsyncs=count / FSYNC_SECONDS,
    )


def _ticks() -> tuple[int, int]:
    """Ticks so far of all cores: those that were taken, steal included, and all (proc_stat(5))."""
    user, nice, system, idle, iowait, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().split()[1:9]
    )
    taken = user + nice + system + irq + softirq + steal
    return taken, taken + idle + iowait


def _processor() -> str:
    """The processor's name, where the system says it."""
    found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else "unknown processor"
