"""``bayescale speedup``: how much less compute one recipe needs than another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bayescale.cli.budgets import FlopsPerParameterToken, parse_ranges
from bayescale.cli.fits import open_fit
from bayescale.cli.options import (
    AllowFailed,
    At,
    Json,
    Level,
    Plot,
    Quiet,
    Seed,
    TableOption,
    by_symbol,
    parse_failed,
    parse_number,
    parse_numbers,
    parse_values,
)
from bayescale.cli.output import draw, emit_result, note_all, progress
from bayescale.cli.warnings import report

NAME = "speedup"
EXAMPLE = "Example:  bayescale speedup new.nc old.nc --flops 1e24 --paired"


def run(
    a: Annotated[
        Path, typer.Argument(metavar="A", help="The fit of a recipe, or a published fit.")
    ],
    b: Annotated[Path, typer.Argument(metavar="B", help="The recipe that it is compared with.")],
    flops: Annotated[
        list[str] | None,
        typer.Option(
            metavar="C,...",
            help="Budgets of B, or values of the one input of both laws.  [default: its largest run, and "
            "10, 100 and 1,000 times that]",
        ),
    ] = None,
    tokens_per_parameter: Annotated[
        str | None,
        typer.Option(metavar="M", help="Compare at this D/N, not at the best split of each."),
    ] = None,
    at: At = None,
    at_b: Annotated[
        list[str] | None,
        typer.Option(metavar="ROLE=NUMBER,...", help="Other inputs of B, where they differ."),
    ] = None,
    within: Annotated[
        list[str] | None,
        typer.Option(metavar="LOW,HIGH", help="Where to look for crossings."),
    ] = None,
    paired: Annotated[
        bool,
        typer.Option(
            "--paired", help="Runs of the same inputs (and seed) share a shift: fit both together."
        ),
    ] = False,
    flops_per_parameter_token: FlopsPerParameterToken = None,
    level: Level = 0.9,
    seed: Seed = 0,
    group_a: Annotated[
        str | None, typer.Option(metavar="NAME", help="Group of A, if it is a pooled fit.")
    ] = None,
    group_b: Annotated[
        str | None, typer.Option(metavar="NAME", help="Group of B, if it is a pooled fit.")
    ] = None,
    law_a: Annotated[
        str | None,
        typer.Option(metavar="MODULE:CLASS", help="Law of A, if not one of the package's."),
    ] = None,
    law_b: Annotated[
        str | None, typer.Option(metavar="MODULE:CLASS", help="Law of B, likewise.")
    ] = None,
    plots: Plot = None,
    allow: AllowFailed = None,
    table: TableOption = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say how much less compute A needs than B for the same loss, at any scale, and where they cross."""
    options: dict[str, Any] = {
        "C": parse_ranges("--flops", flops) if flops else None,
        "tokens_per_parameter": parse_number("--tokens-per-parameter", tokens_per_parameter),
        "at": by_symbol(parse_values("--at", at)),
        "at_b": by_symbol(parse_values("--at-b", at_b)),
        "within": parse_numbers("--within", within),
        "paired": paired,
        "flops_per_parameter_token": parse_number(
            "--flops-per-parameter-token", flops_per_parameter_token
        ),
        "level": level,
        "seed": seed,
        "allow_failed": parse_failed(allow),
    }
    with progress("fitting both together" if paired else "comparing", quiet or json):
        from bayescale.speedups import speedup

        first, second = open_fit(a, law_a, group_a), open_fit(b, law_b, group_b)
        found = speedup(first, second, **options)
    emit_result(found.to_json, found.table, table, json, found.text)
    if table is not None:
        note_all(found.verdicts, quiet or json)
    for fit in (first, second):
        report(fit, found.decades_beyond[:0], quiet or json)  # how far it lies is in the verdicts
    draw(found, plots, quiet or json)
