"""The table of metrics, of the instruments in the code."""

from collections.abc import Iterator
from typing import NamedTuple

from balance_service.server.operators import envoy_figures, ledger_figures
from balance_service.server.operators import metrics as operators
from balance_service.telemetry import instruments


class Row(NamedTuple):
    """A metric: its name as it is exposed, its type, its labels and its meaning."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str


def rows() -> Iterator[Row]:
    """Every metric of `/metrics`."""
    for made in instruments.INSTRUMENTS:
        (family,) = made.describe()
        yield _row(family.name, family.type, made._labelnames, family.documentation)  # noqa: SLF001
    for name, meaning in envoy_figures.SHOWN.items():
        kind = "gauge" if name.endswith("_active") else "counter"
        yield _row(name, kind, envoy_figures.labels_of(name), meaning)
    yield _row(ledger_figures.UP, "gauge", (), ledger_figures.UP_MEANING)
    for name, (_, meaning) in ledger_figures.FIGURES.items():
        yield _row(name, "gauge", (), meaning)
    for name, meaning in operators.OWN.items():
        yield _row(name, "gauge", ("version",) if name == operators.BUILD else (), meaning)


def page() -> str:
    """The page with one row for each."""
    head = (
        "# Metrics\n\n"
        "Made from the code by `make docs`. [How to read them](../operating/metrics.md), with"
        " alerts and a dashboard.\n\n"
        "Figures are of all workers of one `serve` together; those of Envoy are by worker. A"
        " histogram has `_bucket`, `_sum`\nand `_count`, with the label `le` on the first.\n\n"
        "| metric | type | labels | meaning |\n|---|---|---|---|\n"
    )
    return head + "".join(
        f"| `{row.name}` | {row.kind} | {', '.join(f'`{label}`' for label in row.labels)} |"
        f" {row.meaning} |\n"
        for row in rows()
    )


def _row(name: str, kind: str, labels: tuple[str, ...], meaning: str) -> Row:
    return Row(f"{name}_total" if kind == "counter" else name, kind, tuple(labels), meaning)
