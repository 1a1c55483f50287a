"""``bayescale backtest``: what the intervals would have covered on the runs that are there."""

from __future__ import annotations

from typing import Annotated

import typer

from bayescale.cli.options import (
    LOSS_UNIT,
    AllowChecks,
    AlongName,
    Columns,
    DriftName,
    EffectsName,
    Json,
    LawName,
    Level,
    LossUnit,
    NoiseName,
    OneVariable,
    Plot,
    Quiet,
    RunsArgument,
    Seed,
    TableOption,
    Where,
    parse_effects,
    parse_names,
    parse_numbers,
    read_runs,
)
from bayescale.cli.output import bar, draw, emit_result, note_all

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
    along: AlongName = None,
    x: OneVariable = None,
    columns: Columns = None,
    where: Where = None,
    loss_unit: LossUnit = LOSS_UNIT,
    allow: AllowChecks = None,
    level: Level = 0.9,
    seed: Seed = 0,
    plots: Plot = None,
    table: TableOption = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Forecast the larger runs from the cheaper ones, and show what the intervals covered."""
    table_of_runs = read_runs(runs, columns, where, loss_unit, law)
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
            effects=parse_effects(effects, along),
            allow=parse_names(allow),
            seed=seed,
            level=level,
            progress=progress,
        )
    draw(result, plots, quiet or json)
    emit_result(result.to_json, result.table, table, json)
    note_all(result.verdicts, json or quiet)
