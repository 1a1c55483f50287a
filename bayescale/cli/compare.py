"""``bayescale compare``: several laws on the same runs, and their mixture."""

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
        str,
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
    plots: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the figure here, as PNG and PDF.")
    ] = None,
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
            score=score,  # type: ignore[arg-type]
            leave_out=leave_out,
            fractions=FRACTIONS if shares is None else shares,
            x=x,
            drift=drift,
            effects=effects,
            allow=parse_names(allow),
            seed=seed,
            level=level,
            progress=progress,
        )
        if output is not None:
            result.mixture.save(output)
    if plots is not None:
        with drawing(plots, quiet or json):
            from bayescale.plots import save_comparison_plot

            save_comparison_plot(result, plots)
    if json:
        emit_json({**result.to_json(), "path": None if output is None else str(output)})
    elif table is not None:
        emit_table(result.table(), table.value)
    else:
        emit(f"{result.table().caption}\n{result.table().text()}")
    if not (json or quiet):
        for verdict in result.verdicts:
            note(str(verdict))
        if output is not None:
            note(f"saved to {output}")
