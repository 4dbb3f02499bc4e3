"""docs/operating/scaling.md shows what the calculator and the simulation say."""

import shlex
from pathlib import Path

from balance_service.operations import figures
from benchmarks import shards
from tests.cli import Typed

PAGE = Path(__file__).parent.parent.parent / "docs/operating/scaling.md"
LINES = PAGE.read_text(encoding="utf-8").splitlines()


def test_example_is_what_the_command_prints() -> None:
    (place,) = [number for number, line in enumerate(LINES) if line.startswith("$ ")]
    end = LINES.index("...", place)
    done = Typed({}).run(*shlex.split(LINES[place])[2:])
    assert LINES[place + 1 : end] == done.out.splitlines()[: end - place - 1]


def test_table_of_shards_is_what_the_simulation_prints() -> None:
    rows = list(shards.simulate_all(figures.read()))
    told = list(shards.write(rows))
    place = LINES.index(told[0])
    assert LINES[place : place + len(told)] == told


def test_what_one_server_carries_follows_from_the_figures() -> None:
    """Of 32 cores, 70 % busy."""
    known = figures.read()
    carried = 32 * 0.7 / (known.transfer_postgres_ms.value / 1000)
    assert f"{round(carried, -3):,.0f} transfers a second" in "\n".join(LINES)
