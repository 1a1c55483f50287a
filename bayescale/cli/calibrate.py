"""``bayescale calibrate``: are the intervals of a fit right where its runs put them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bayescale.cli.fits import load_posterior
from bayescale.cli.options import (
    AllowFailed,
    FitArgument,
    Json,
    LawClass,
    MethodName,
    Quiet,
    Seed,
    TableOption,
    parse_failed,
)
from bayescale.cli.output import bar, drawing, emit, emit_json, emit_table, note
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
    plots: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the figure here, as PNG and PDF.")
    ] = None,
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
            method=method,  # type: ignore[arg-type]
            seed=seed,
            false_alarm=false_alarm,
            allow_failed=allow_failed,
            progress=progress,
        )
    if plots is not None:
        with drawing(plots, quiet or json):
            from bayescale.plots import save_calibration_plot

            save_calibration_plot(result, plots)
    if json:
        emit_json(result.to_json())
    elif table is not None:
        emit_table(result.table(), table.value)
    else:
        emit(f"{result.table().caption}\n{result.table().text()}")
    if not (json or quiet):
        for verdict in result.verdicts:
            note(str(verdict))
    if strict and result.verdicts:
        raise typer.Exit(3)
