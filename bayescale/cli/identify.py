"""``bayescale identify``: what the runs inform, and what is the prior still."""

from __future__ import annotations

from typing import Annotated

import typer

from bayescale.cli.fits import load_posterior
from bayescale.cli.options import (
    AllowFailed,
    FitArgument,
    Flops,
    Json,
    LawClass,
    Plot,
    Quiet,
    Seed,
    TableOption,
    parse_failed,
    parse_numbers,
    parse_points,
)
from bayescale.cli.output import draw, emit_result, note_all, progress

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
    plots: Plot = None,
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
    draw(result, plots, quiet or json)
    emit_result(result.to_json, result.table, table, json, result.text)
    note_all(result.directions, json or quiet or table is None)
