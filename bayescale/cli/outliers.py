"""``bayescale outliers``: which runs scatter more than chance allows."""

from __future__ import annotations

from typing import Annotated

import typer

from bayescale.cli.fits import load_posterior
from bayescale.cli.options import (
    AllowFailed,
    FitArgument,
    Json,
    LawClass,
    Plot,
    Quiet,
    TableOption,
    parse_failed,
)
from bayescale.cli.output import draw, emit_result, progress

NAME = "outliers"
EXAMPLE = "Example:  bayescale outliers fit.nc --plots figures"


def run(
    fit: FitArgument,
    prior_probability: Annotated[
        float, typer.Option(help="Of any outlier among the runs, before they are seen.")
    ] = 0.05,
    top: Annotated[int, typer.Option(help="How many are shown; --json gives all.")] = 10,
    plots: Plot = None,
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
    draw(result, plots, quiet or json)
    emit_result(result.to_json, lambda: result.table(top), table, json)
