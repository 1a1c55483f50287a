"""``bayescale backtest``: what the intervals would have covered on the runs that are there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bayescale.cli.options import (
    LOSS_UNIT,
    AllowChecks,
    Columns,
    DriftName,
    EffectsName,
    Json,
    LawName,
    Level,
    LossUnit,
    NoiseName,
    OneVariable,
    Quiet,
    RunsArgument,
    Seed,
    TableOption,
    Where,
    parse_names,
    parse_numbers,
    read_runs,
)
from bayescale.cli.output import bar, drawing, emit, emit_json, emit_table, note

NAME = "backtest"
EXAMPLE = "Example:  bayescale backtest runs.csv --law coupled --plots figures"


def run(
    runs: RunsArgument,
    fractions: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SHARE,...",
            help="Shares of the runs to fit, the cheapest.  [default: .5,.65,.8]",
        ),
    ] = None,
    law: LawName = "chinchilla",
    noise: NoiseName = "student-t",
    drift: DriftName = "forecasts",
    effects: EffectsName = None,
    x: OneVariable = None,
    columns: Columns = None,
    where: Where = None,
    loss_unit: LossUnit = LOSS_UNIT,
    allow: AllowChecks = None,
    level: Level = 0.9,
    seed: Seed = 0,
    plots: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the figure here, as PNG and PDF.")
    ] = None,
    table: TableOption = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Forecast the larger runs from the cheaper ones, and show what the intervals covered."""
    table_of_runs = read_runs(runs, columns, where, loss_unit)
    shares = parse_numbers("--fractions", fractions)
    with bar(quiet or json) as progress:
        from bayescale.backtesting import FRACTIONS, backtest

        result = backtest(
            table_of_runs,
            law,
            noise,
            fractions=FRACTIONS if shares is None else shares,
            x=x,
            drift=drift,
            effects=effects,
            allow=parse_names(allow),
            seed=seed,
            level=level,
            progress=progress,
        )
    if plots is not None:
        with drawing(plots, quiet or json):
            from bayescale.plots import save_backtest_plot

            save_backtest_plot(result, plots)
    if json:
        emit_json(result.to_json())
    elif table is not None:
        emit_table(result.table(), table.value)
    else:
        emit(f"{result.table().caption}\n{result.table().text()}")
    if not (json or quiet):
        for verdict in result.verdicts:
            note(str(verdict))
