"""``bayescale outliers``: which runs scatter more than chance allows."""

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
    Quiet,
    TableOption,
    parse_failed,
)
from bayescale.cli.output import drawing, emit, emit_json, emit_table, progress

NAME = "outliers"
EXAMPLE = "Example:  bayescale outliers fit.nc --plots figures"


def run(
    fit: FitArgument,
    prior_probability: Annotated[
        float, typer.Option(help="Of any outlier among the runs, before they are seen.")
    ] = 0.05,
    top: Annotated[int, typer.Option(help="How many are shown; --json gives all.")] = 10,
    plots: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the figure here, as PNG and PDF.")
    ] = None,
    law: LawClass = None,
    allow: AllowFailed = None,
    table: TableOption = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """List the runs of a fit by the probability that each is an outlier."""
    allow_failed = parse_failed(allow)
    with progress("reading the fit", quiet or json):
        from bayescale.outlying import outliers

        posterior = load_posterior(fit, law, "runs are outliers of one law")
        result = outliers(posterior, prior_probability=prior_probability, allow_failed=allow_failed)
    if plots is not None:
        with drawing(plots, quiet or json):
            from bayescale.plots import save_outliers_plot

            save_outliers_plot(result, plots)
    shown = result.table(top)
    if json:
        emit_json(result.to_json())
    elif table is not None:
        emit_table(shown, table.value)
    else:
        emit(f"{shown.caption}\n{shown.text()}")
