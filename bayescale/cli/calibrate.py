"""``bayescale calibrate``: are the intervals of a fit right where its runs put them."""

from __future__ import annotations

from typing import Annotated

import typer

from bayescale.cli.fits import load_posterior
from bayescale.cli.options import (
    AllowFailed,
    FitArgument,
    Json,
    LawClass,
    MethodName,
    Plot,
    Quiet,
    Seed,
    TableOption,
    parse_failed,
)
from bayescale.cli.output import bar, draw, emit_result, note_all
from bayescale.errors import InputError, Problem

NAME = "calibrate"
EXAMPLE = "Example:  bayescale calibrate fit.nc --replicates 500 --plots figures"


def run(
    fit: FitArgument,
    replicates: Annotated[
        int, typer.Option(help="How many replicates of the runs are simulated and fitted.")
    ] = 200,
    forecaster: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            help="Check the model that forecasts come from: 1 with the law, 2 with the wider one; "
            "without it, the model of the parameters.",
        ),
    ] = None,
    method: MethodName = "auto",
    seed: Seed = 0,
    false_alarm: Annotated[
        float, typer.Option(help="Chance that any quantity fails if all is right.")
    ] = 0.001,
    plots: Plot = None,
    law: LawClass = None,
    allow: AllowFailed = None,
    table: TableOption = None,
    json: Json = False,
    strict: Annotated[bool, typer.Option(help="Exit with code 3 if there are warnings.")] = False,
    quiet: Quiet = False,
) -> None:
    """Check the intervals of a fit on replicates of its runs whose truth is known."""
    allow_failed = parse_failed(allow)
    with bar(quiet or json) as progress:
        from bayescale.calibration import calibrate

        posterior = load_posterior(fit, law, "one model is calibrated at a time")
        if forecaster is not None:
            models = posterior.forecasters
            if not 1 <= forecaster <= len(models):
                raise InputError(
                    Problem("--forecaster", f"it is {forecaster}",
                            f"the forecasts of this fit come from {posterior.forecast_model}",
                            f"give 1 to {len(models)}")
                )  # fmt: skip
            posterior = models[forecaster - 1]
        result = calibrate(
            posterior,
            replicates=replicates,
            method=method,
            seed=seed,
            false_alarm=false_alarm,
            allow_failed=allow_failed,
            progress=progress,
        )
    draw(result, plots, quiet or json)
    emit_result(result.to_json, result.table, table, json)
    note_all(result.verdicts, json or quiet)
    if strict and result.verdicts:
        raise typer.Exit(3)
