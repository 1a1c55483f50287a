"""``bayescale identify``: what the runs inform, and what is the prior still."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bayescale.cli.fits import load_posterior
from bayescale.cli.options import (
    AllowFailed,
    FitArgument,
    Flops,
    Json,
    LawClass,
    Quiet,
    Seed,
    TableOption,
    parse_failed,
    parse_numbers,
    parse_points,
)
from bayescale.cli.output import drawing, emit, emit_json, emit_table, note, progress

NAME = "identify"
EXAMPLE = "Example:  bayescale identify fit.nc --flops 5.76e23 --plots figures"


def run(
    fit: FitArgument,
    params: Annotated[
        list[str] | None, typer.Option(metavar="N,...", help="Parameters of runs to look at.")
    ] = None,
    tokens: Annotated[
        list[str] | None, typer.Option(metavar="D,...", help="Training tokens of runs to look at.")
    ] = None,
    x: Annotated[
        list[str] | None, typer.Option(metavar="X,...", help="The input of a law of one variable.")
    ] = None,
    flops: Flops = None,
    flops_per_parameter_token: Annotated[
        str | None,
        typer.Option(
            metavar="K", help="k of C = k N D; by default 6, or what the runs' FLOPs say."
        ),
    ] = None,
    seed: Seed = 0,
    law: LawClass = None,
    allow: AllowFailed = None,
    plots: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the figure here, as PNG and PDF.")
    ] = None,
    table: TableOption = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say what the runs inform, what is the prior still, and which two runs would help."""
    allow_failed = parse_failed(allow)
    points = parse_points(params, tokens) or {}
    budgets = parse_numbers("--flops", flops)
    factors = parse_numbers("--flops-per-parameter-token", [flops_per_parameter_token or ""])
    with progress("comparing with the prior", quiet or json):
        from bayescale.identifiability import identify

        result = identify(
            load_posterior(fit, law, "each law has parameters and a prior of its own"),
            N=points.get("N"),
            D=points.get("D"),
            x=parse_numbers("--x", x),
            C=budgets,
            flops_per_parameter_token=factors[0] if factors else None,
            seed=seed,
            allow_failed=allow_failed,
        )
    if plots is not None:
        with drawing(plots, quiet or json):
            from bayescale.plots import save_identifiability_plot

            save_identifiability_plot(result, plots)
    if json:
        emit_json(result.to_json())
    elif table is not None:
        emit_table(result.table(), table.value)
        if not quiet:
            for direction in result.directions:
                note(str(direction))
    else:
        emit(result.text())
