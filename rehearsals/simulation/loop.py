"""An event loop with simulated time, which passes when there is nothing else to do.

With the same seed, the same tasks run in the same order, and an hour takes no longer than what
happens in it. The idea is FoundationDB's (Zhou et al., "FoundationDB: A Distributed Unbundled
Transactional Key Value Store", SIGMOD 2021, section 4).
"""

import asyncio
import selectors
from collections.abc import Mapping
from typing import Any


class _NoInput(selectors.BaseSelector):
    """Never sees input; waiting moves the loop's clock on."""

    def __init__(self) -> None:
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("every task waits, and no timer is set")
        self.now += max(timeout, 0)
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return selectors.SelectorKey(fileobj, 0, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return selectors.SelectorKey(fileobj, 0, 0, None)

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        raise KeyError(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return {}


class SimulatedLoop(asyncio.SelectorEventLoop):
    """A loop whose clock starts at 0 and that never sleeps in real time."""

    def __init__(self) -> None:
        self._clock = _NoInput()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now
