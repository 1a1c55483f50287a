"""``bayescale allocate``: the best split of a budget between parameters and tokens."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayescale.cli.fits import as_json, as_tables, beside, open_fit
from bayescale.cli.options import (
    AllowFailed,
    CompareTo,
    FitOrPublished,
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

if TYPE_CHECKING:
    from bayescale.allocation import Allocation
    from bayescale.publications import Fit

NAME = "allocate"
EXAMPLE = "Example:  bayescale allocate fit.nc --flops 5.76e23"


def run(
    fit: FitOrPublished,
    flops: Annotated[list[str], typer.Option(metavar="C,...", help="Training budgets in FLOPs.")],
    flops_per_parameter_token: Annotated[
        str | None,
        typer.Option(
            metavar="K", help="k of C = k N D; by default 6, or what the runs' FLOPs say."
        ),
    ] = None,
    compare_to: CompareTo = None,
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

        def answer(fit: Fit) -> Allocation:
            factor = factors[0] if factors else None
            options: Any = {"level": level, "allow_failed": allow_failed}
            return allocate(fit, budgets, flops_per_parameter_token=factor, **options)

        posterior = open_fit(fit, law, group)
        allocation, others = answer(posterior), beside(compare_to, answer)
    tables = partial(as_tables, allocation.table(), others)
    emit_result(allocation.to_json, tables, table, json, **as_json(others))
    report(posterior, allocation.decades_beyond, quiet or json)
