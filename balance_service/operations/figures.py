"""What was measured of the service's use of a machine, each figure with its measurement.

`figures.toml` beside this module has those that come with the service; `python -m benchmarks
sizing --write FILE` measures them anew.
"""

import dataclasses
import datetime
import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SHIPPED = Path(__file__).with_suffix(".toml")


@dataclass(frozen=True)
class Source:
    """A measurement.

    Args:
        command: What was run.
        machine: What it ran on, and how busy that was.
        date: When.
    """

    command: str
    machine: str
    date: datetime.date

    def __str__(self) -> str:
        return f"{self.date}, {self.machine}: {self.command}"


@dataclass(frozen=True)
class Figure:
    """A number that was measured.

    Args:
        value: In the unit that its name ends with.
        source: How it was measured.
    """

    value: float
    source: Source

    def facts(self, name: str) -> dict[str, object]:
        """As an object of JSON."""
        source = dataclasses.asdict(self.source) | {"date": str(self.source.date)}
        return {"name": name, "value": self.value, **source}


@dataclass(frozen=True)
class Figures:
    """What is reckoned with. Processor times are of calls at 16 in flight.

    Args:
        transfer_service_ms: Processor time of the service for a transfer that is a call.
        transfer_postgres_ms: That of Postgres.
        transfer_log_bytes: Of Postgres's log (WAL).
        transfers_a_flush: That share one flush of the log.
        deposit_service_ms: As of a transfer.
        deposit_postgres_ms: As of a transfer.
        purchase_service_ms: As of a transfer.
        purchase_postgres_ms: As of a transfer.
        read_service_ms: For one GetAccount.
        read_postgres_ms: For one GetAccount.
        batched_service_ms: For one transfer of a batch of 1,000.
        batched_postgres_ms: For one transfer of a batch of 1,000.
        batched_log_bytes: For one transfer of a batch of 1,000.
        movement_disk_bytes: In tables and indexes that are kept for ever.
        entries_key_bytes: Of these, in the index of entries, which is filled at places of chance.
        event_disk_bytes: Of a movement in the log of events, which is kept for some days.
        account_disk_bytes: Of an account, with its keys.
        worker_mib: Memory of a worker, with what all share.
        alone_p99_ms: What one call at a time takes (99th percentile).
        half_peak_p99_ms: The same at half of the highest rate.
        hot_movements_per_second: What one account can take, in batches of 1,000.
        failover_seconds: Without commits, after the primary's host was lost (Patroni).
        coordinator_work_ratio: Work of a cluster's coordinator for a transfer, beside that of one
            server.
        sharded_work_ratio: Work of all its workers for a transfer, beside that of one server.
    """

    transfer_service_ms: Figure
    transfer_postgres_ms: Figure
    transfer_log_bytes: Figure
    transfers_a_flush: Figure
    deposit_service_ms: Figure
    deposit_postgres_ms: Figure
    purchase_service_ms: Figure
    purchase_postgres_ms: Figure
    read_service_ms: Figure
    read_postgres_ms: Figure
    batched_service_ms: Figure
    batched_postgres_ms: Figure
    batched_log_bytes: Figure
    movement_disk_bytes: Figure
    entries_key_bytes: Figure
    event_disk_bytes: Figure
    account_disk_bytes: Figure
    worker_mib: Figure
    alone_p99_ms: Figure
    half_peak_p99_ms: Figure
    hot_movements_per_second: Figure
    failover_seconds: Figure
    coordinator_work_ratio: Figure
    sharded_work_ratio: Figure

    def get(self, name: str) -> Figure:
        """The figure of a name."""
        figure: Figure = getattr(self, name)
        return figure


NAMES = tuple(field.name for field in dataclasses.fields(Figures))


def read(path: Path = SHIPPED) -> Figures:
    """The figures of a file.

    Raises:
        ValueError: It has others than those that are reckoned with, or something else is wrong.
        OSError: It cannot be read.
    """
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not TOML: {error}") from None
    tables = told.get("sources"), told.get("figures")
    if not all(isinstance(table, dict) for table in tables):
        raise ValueError(f"{path} has no table `sources`, or none `figures`")
    sources, values = (dict(table or {}) for table in tables)
    if wrong := sorted(set(values) ^ set(NAMES)):
        raise ValueError(f"{path} lacks or must not have: {', '.join(wrong)}")
    known = {name: _read_source(path, name, each) for name, each in sources.items()}
    figures = {name: _read_figure(path, name, each, known) for name, each in values.items()}
    return Figures(**figures)


def _read_source(path: Path, name: str, told: Any) -> Source:  # noqa: ANN401 - as TOML has it
    kinds = {"command": str, "machine": str, "date": datetime.date}
    if not isinstance(told, dict) or {key: type(each) for key, each in told.items()} != kinds:
        raise ValueError(f"{path}: source {name} must have a command, a machine and a date")
    return Source(**told)


def _read_figure(
    path: Path,
    name: str,
    told: Any,  # noqa: ANN401 - as TOML has it
    sources: Mapping[str, Source],
) -> Figure:
    if not isinstance(told, dict) or set(told) != {"value", "source"}:
        raise ValueError(f"{path}: {name} must have a value and a source")
    value, source = told["value"], str(told["source"])
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value < math.inf:
        raise ValueError(f"{path}: the value of {name} must be a number above 0")
    if source not in sources:
        raise ValueError(f"{path}: the source of {name} is not among `sources`")
    return Figure(float(value), sources[source])


def write(path: Path, figures: Figures) -> None:
    """Writes a file that `read` reads."""
    sources = list(dict.fromkeys(figures.get(name).source for name in NAMES))
    lines = []
    for number, source in enumerate(sources, 1):
        lines += [
            f"[sources.{number}]",
            f"command = {json.dumps(source.command, ensure_ascii=False)}",
            f"machine = {json.dumps(source.machine, ensure_ascii=False)}",
            f"date = {source.date}",
            "",
        ]
    lines.append("[figures]")
    for name in NAMES:
        figure = figures.get(name)
        number = sources.index(figure.source) + 1
        lines.append(f'{name} = {{ value = {figure.value:.5g}, source = "{number}" }}')
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
