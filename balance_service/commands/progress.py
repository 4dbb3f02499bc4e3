"""A bar for what takes long, on standard error where that is a terminal, and nowhere else."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TypeAlias

# Told how much is done, of how much.
Report: TypeAlias = Callable[[int, int], None]


@contextlib.contextmanager
def shown(what: str) -> Iterator[Report]:
    """A bar while something goes on; it is gone at the end.

    Args:
        what: What goes on, before the bar.

    Yields:
        What is to be told how much is done.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
