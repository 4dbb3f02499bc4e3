"""What a run of `verify` tells as it goes, check by check."""

import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import NamedTuple, TypeAlias


class Fault(NamedTuple):
    """One row that breaks a rule: what it is about, what is stored, what it should be."""

    subject: str
    stored: object
    computed: object


class Step(NamedTuple):
    """What a run tells as it goes.

    Args:
        done: How much of it is done: checks, or checkpoints in a run over what is new.
        total: Of how much.
        check: The check that begins or has ended; empty if none has.
        result: What it found, once it has ended.
    """

    done: int
    total: int
    check: str = ""
    result: "Result | None" = None


class Result(NamedTuple):
    """What a check found, and the seconds that it took with those that were made with it."""

    faults: Sequence[Fault]
    seconds: float


Progress: TypeAlias = Callable[[Step], None]
Found: TypeAlias = Mapping[str, Sequence[tuple[str, object, object]]]


class Findings:
    """What the checks of a run found so far.

    Args:
        report_progress: Is told of every step.
        total: How many checks there are.
    """

    def __init__(self, report_progress: Progress, total: int) -> None:
        self.faults: dict[str, list[Fault]] = {}
        self._done, self._total = 0, total
        self._report = report_progress

    def progress(self, done: int, total: int) -> None:
        """Says how far the run is."""
        self._done, self._total = done, total
        self._report(Step(done, total))

    async def make(self, checks: Collection[str], finding: Awaitable[Found]) -> None:
        """Makes some checks, together."""
        for check in checks:
            self._report(Step(self._done, self._total, check))
        began = time.monotonic()
        found = await finding
        seconds = time.monotonic() - began
        for check in checks:
            faults = self.faults[check] = [Fault(*each) for each in found[check]]
            self._report(Step(self._done, self._total, check, Result(faults, seconds)))
