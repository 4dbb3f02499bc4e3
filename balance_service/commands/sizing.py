"""`balance-service sizing`: how much machinery a load needs."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from balance_service.commands.output import Format, Output, show_list
from balance_service.commands.settings import read_settings

if TYPE_CHECKING:
    from balance_service.operations.figures import Figures
    from balance_service.operations.sizing import Need

COLUMNS = ("need", "amount", "reckoning")
MEASURED = ("figure", "value", "measured")

Rate = Annotated[float, typer.Option(metavar="NUMBER", help="In the busiest second.")]


def size(
    *,
    transfers_per_second: Rate = 0,
    purchases_per_second: Rate = 0,
    deposits_per_second: Rate = 0,
    reads_per_second: Rate = 0,
    batched_share: Annotated[
        float, typer.Option(help="Of transfers and deposits, those in batches: 0 to 1.")
    ] = 0,
    batch_size: Annotated[int, typer.Option(help="Items of a batch.")] = 1000,
    accounts: Annotated[int, typer.Option(help="Accounts that are open.")] = 100_000,
    movements_per_day: Annotated[
        float,
        typer.Option(help="On average.", show_default="a tenth of the busiest second's, all day"),
    ] = 0,
    years: Annotated[float, typer.Option(help="How long the journal grows.")] = 5,
    hottest_share: Annotated[
        float, typer.Option(help="Of all movements, those of the busiest account: 0 to 1.")
    ] = 0,
    latency_ms: Annotated[
        float,
        typer.Option(help="What 99 of 100 calls may take.", show_default="does not matter"),
    ] = 0,
    round_trip_ms: Annotated[float, typer.Option(help="To the standby that commits wait for.")] = 0,
    machine_cores: Annotated[int, typer.Option(help="Cores of one machine.")] = 8,
    figures: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What was measured by `python -m benchmarks sizing --write FILE`.",
            show_default="those that come with the service",
        ),
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Reckon how many cores, machines, gigabytes and connections a load needs.

    Every number names what it was reckoned from, and how that was measured. Uses the settings of
    its environment; asks no database.
    """
    from balance_service.operations import figures as measured
    from balance_service.operations import load, sizing

    asked = load.Load(
        transfers_per_second=transfers_per_second,
        purchases_per_second=purchases_per_second,
        deposits_per_second=deposits_per_second,
        reads_per_second=reads_per_second,
        batched_share=batched_share,
        batch_size=batch_size,
        accounts=accounts,
        movements_per_day=movements_per_day,
        years=years,
        hottest_share=hottest_share,
        latency_ms=latency_ms,
        round_trip_ms=round_trip_ms,
        machine_cores=machine_cores,
    )
    known = measured.read(figures) if figures else measured.read()
    needs = sizing.size(asked, known, read_settings())
    if output is Format.JSON:
        show_list([need.facts(known) for need in needs], (), output)
        return
    show_list([need.told() for need in needs], COLUMNS, output)
    _show_measurements(needs, known)
    for need in needs:
        if need.advice:
            typer.echo(f"{need.name}: {need.advice}", err=True)


def _show_measurements(needs: "Sequence[Need]", known: "Figures") -> None:
    """The figures that were reckoned with, each with the number of its measurement."""
    used = dict.fromkeys(name for need in needs for name in need.figures)
    sources = list(dict.fromkeys(known.get(name).source for name in used))
    rows = [
        {
            "figure": name,
            "value": f"{known.get(name).value:g}",
            "measured": f"[{sources.index(known.get(name).source) + 1}]",
        }
        for name in used
    ]
    typer.echo()
    show_list(rows, MEASURED, Format.TABLE)
    for number, source in enumerate(sources, 1):
        typer.echo(f"[{number}]  {source}")
