"""``bayescale allocate``: the best split of a budget between parameters and tokens."""

from __future__ import annotations

from typing import Annotated

import typer

from bayescale.cli.options import (
    AllowFailed,
    FitArgument,
    GroupName,
    Json,
    LawClass,
    Level,
    Quiet,
    TableOption,
    parse_failed,
    parse_numbers,
)
from bayescale.cli.output import emit_result, progress
from bayescale.cli.warnings import report
from bayescale.errors import InputError, Problem

NAME = "allocate"
EXAMPLE = "Example:  bayescale allocate fit.nc --flops 5.76e23"


def run(
    fit: FitArgument,
    flops: Annotated[list[str], typer.Option(metavar="C,...", help="Training budgets in FLOPs.")],
    flops_per_parameter_token: Annotated[
        str | None,
        typer.Option(
            metavar="K", help="k of C = k N D; by default 6, or what the runs' FLOPs say."
        ),
    ] = None,
    level: Level = 0.9,
    group: GroupName = None,
    law: LawClass = None,
    allow: AllowFailed = None,
    table: TableOption = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Split training budgets between parameters and tokens, with intervals."""
    allow_failed = parse_failed(allow)
    budgets = parse_numbers("--flops", flops)
    factors = parse_numbers("--flops-per-parameter-token", [flops_per_parameter_token or ""])
    if not budgets:
        raise InputError(Problem("--flops", "no budget is given", remedy="write --flops 5.76e23"))
    with progress("allocating", quiet or json):
        from bayescale.allocation import allocate
        from bayescale.storage import load

        posterior = load(fit, law, group)
        allocation = allocate(
            posterior,
            budgets,
            level=level,
            flops_per_parameter_token=factors[0] if factors else None,
            allow_failed=allow_failed,
        )
    emit_result(allocation.to_json, allocation.table, table, json)
    report(posterior, allocation.decades_beyond, quiet or json)
