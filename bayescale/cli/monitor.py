"""``bayescale monitor``: whether a run that is under way is on its forecast curve."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bayescale.cli.fits import open_fit
from bayescale.cli.options import (
    AllowFailed,
    Columns,
    FitArgument,
    GroupName,
    Json,
    LawClass,
    Level,
    Plot,
    Quiet,
    Seed,
    TableOption,
    Where,
    parse_columns,
    parse_failed,
)
from bayescale.cli.output import draw, emit_result, note_all, progress

NAME = "monitor"
EXAMPLE = (
    "Example:  bayescale monitor fit.nc run.csv --params 7e9 --tokens 1.4e11 --curves earlier.csv"
)


def run(
    fit: FitArgument,
    curve: Annotated[
        Path,
        typer.Argument(metavar="CURVE", help="Checkpoints of the run: tokens, or steps; loss."),
    ],
    params: Annotated[float, typer.Option(metavar="N", help="Parameters of the run.")],
    tokens: Annotated[float, typer.Option(metavar="D", help="Tokens that the run is to see.")],
    steps: Annotated[
        float | None,
        typer.Option(help="Steps that the run is to make, if CURVE has steps and no tokens."),
    ] = None,
    curves: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE",
            help="Checkpoints of earlier runs: run_id, params, tokens, loss; D_final.",
        ),
    ] = None,
    columns: Columns = None,
    where: Where = None,
    curves_columns: Annotated[
        str | None, typer.Option(metavar="ROLE=COLUMN,...", help="Columns of the earlier runs.")
    ] = None,
    curves_where: Annotated[
        str | None, typer.Option(metavar="EXPRESSION", help="Rows of the earlier runs to keep.")
    ] = None,
    false_alarm: Annotated[
        float, typer.Option(help="Share of the good runs that may be called all the same.")
    ] = 0.05,
    excess: Annotated[
        float, typer.Option(help="How far above the interval a bad run ends, as a share.")
    ] = 0.02,
    level: Level = 0.9,
    seed: Seed = 0,
    plots: Plot = None,
    group: GroupName = None,
    law: LawClass = None,
    allow: AllowFailed = None,
    table: TableOption = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say whether a run under way will end in its forecast, and when a bad one could be called."""
    allow_failed = parse_failed(allow)
    with progress("comparing curves", quiet or json):
        from bayescale.monitoring.monitoring import monitor

        result = monitor(
            open_fit(fit, law, group),
            curve,
            params,
            tokens,
            curves=curves,
            steps=steps,
            columns=parse_columns(columns),
            where=where,
            curves_columns=parse_columns(curves_columns),
            curves_where=curves_where,
            false_alarm=false_alarm,
            excess=excess,
            level=level,
            seed=seed,
            allow_failed=allow_failed,
        )
    draw(result, plots if result.updates else None, quiet or json)
    emit_result(result.to_json, result.table, table, json)
    note_all(result.verdicts, json or quiet)
