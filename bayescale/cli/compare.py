"""``bayescale compare``: several laws on the same runs, and their mixture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from bayescale.cli.options import (
    LOSS_UNIT,
    AllowChecks,
    AlongName,
    Columns,
    DriftName,
    EffectsName,
    Json,
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
from bayescale.cli.output import bar, draw, emit_result, note, note_all

NAME = "compare"
EXAMPLE = "Example:  bayescale compare runs.csv --laws chinchilla,coupled -o mixture.nc"


def run(
    runs: RunsArgument,
    laws: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LAW,...",
            help="Names of laws (bayescale laws), or module:Class.  [default: all that have their "
            "inputs in the table]",
        ),
    ] = None,
    score: Annotated[
        Literal["forecasts", "loo"],
        typer.Option(
            help="What ranks and weighs the laws: forecasts (of larger runs from cheaper ones), or "
            "loo (of runs like these)."
        ),
    ] = "forecasts",
    leave_out: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Leave out together, in cross-validation, the runs that share a label (run_id, group, "
            "seed), an input (N, D) or all inputs (point), and fit again; run: each alone.",
        ),
    ] = None,
    fractions: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SHARE,...",
            help="Shares of the runs to forecast the others from, the cheapest.  "
            "[default: .5,.65,.8]",
        ),
    ] = None,
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
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="MIXTURE.nc",
            help="Save the mixture of the laws here, for predict and allocate.",
        ),
    ] = None,
    plots: Plot = None,
    table: TableOption = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare laws by their forecasts of the larger runs, and weigh them for a mixture."""
    table_of_runs = read_runs(runs, columns, where, loss_unit)
    shares = parse_numbers("--fractions", fractions)
    with bar(quiet or json) as progress:
        from bayescale.backtesting import FRACTIONS
        from bayescale.comparison import compare

        result = compare(
            table_of_runs,
            parse_names(laws) or None,
            noise,
            score=score,
            leave_out=leave_out,
            fractions=FRACTIONS if shares is None else shares,
            x=x,
            drift=drift,
            effects=parse_effects(effects, along),
            allow=parse_names(allow),
            seed=seed,
            level=level,
            progress=progress,
        )
        if output is not None:
            result.mixture.save(output)
    draw(result, plots, quiet or json)
    path = None if output is None else str(output)
    emit_result(result.to_json, result.table, table, json, path=path)
    note_all(result.verdicts, json or quiet)
    if path is not None and not (json or quiet):
        note(f"saved to {path}")
