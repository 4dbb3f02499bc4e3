"""Benchmarks, each a command: `table` (the default, `make bench`), `streams`, `soak`, `sign-in`.

Usage: python -m benchmarks [COMMAND] [OPTIONS]; each command has its own --help.
"""

import sys
from collections.abc import Callable, Mapping, Sequence

from benchmarks import sign_in, soak, streams, table

COMMANDS: Mapping[str, Callable[[Sequence[str]], None]] = {
    "table": table.main,
    "streams": streams.main,
    "soak": soak.main,
    "sign-in": sign_in.main,
}

if __name__ == "__main__":
    name, *rest = sys.argv[1:] or ["table"]
    if name in COMMANDS:
        COMMANDS[name](rest)
    else:
        table.main(sys.argv[1:])
