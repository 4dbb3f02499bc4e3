"""Benchmarks, each a command: `table` (by default), `streams`, `soak`, `flood`, `sign-in`,
`sizing`, `shards`, `hot`, `cluster`.

Usage: python -m benchmarks [COMMAND] [OPTIONS]; each command has its own --help.
"""

import sys
from collections.abc import Callable, Mapping, Sequence

from benchmarks import cluster, flood, hot, shards, sign_in, sizing, soak, streams, table

COMMANDS: Mapping[str, Callable[[Sequence[str]], None]] = {
    "table": table.main,
    "streams": streams.main,
    "soak": soak.main,
    "flood": flood.main,
    "sign-in": sign_in.main,
    "sizing": sizing.main,
    "shards": shards.main,
    "hot": hot.main,
    "cluster": cluster.main,
}

if __name__ == "__main__":
    name, *rest = sys.argv[1:] or ["table"]
    if name in COMMANDS:
        COMMANDS[name](rest)
    else:
        table.main(sys.argv[1:])
