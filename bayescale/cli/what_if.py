"""``bayescale what-if``: a plan beside the best one of its budget, in one screen."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bayescale.cli.budgets import (
    Currency,
    FlopsPerParameterToken,
    InferenceTokens,
    PeakFlops,
    Price,
    Shape,
    Utilisation,
    parse_architecture,
    parse_cost,
)
from bayescale.cli.fits import open_fit
from bayescale.cli.options import (
    AllowFailed,
    At,
    FitOrPublished,
    GroupName,
    Json,
    LawClass,
    Level,
    Quiet,
    TableOption,
    Tolerance,
    by_symbol,
    parse_failed,
    parse_number,
    parse_values,
)
from bayescale.cli.output import emit_result, progress
from bayescale.cli.warnings import report
from bayescale.errors import InputError

NAME = "what-if"
EXAMPLE = "Example:  bayescale what-if fit.nc --params 70e9 --tokens 15e12 --inference-tokens 1e14"


def run(
    fit: FitOrPublished,
    tokens: Annotated[str, typer.Option(metavar="D", help="Training tokens of the plan.")],
    params: Annotated[
        str | None,
        typer.Option(metavar="N", help="Parameters of the plan.  [default: the architecture's]"),
    ] = None,
    architecture: Shape = None,
    inference_tokens: InferenceTokens = None,
    at: At = None,
    tolerance: Tolerance = 0.005,
    flops_per_parameter_token: FlopsPerParameterToken = None,
    peak_flops: PeakFlops = None,
    utilisation: Utilisation = None,
    price: Price = None,
    currency: Currency = None,
    tokens_per_year: Annotated[
        str | None, typer.Option(metavar="D", help="Tokens that come in a year: years are shown.")
    ] = None,
    level: Level = 0.9,
    group: GroupName = None,
    law: LawClass = None,
    allow: AllowFailed = None,
    table: TableOption = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say what a plan would show, and what it loses against the best plan of the same budget."""
    options: dict[str, Any] = {
        "architecture": parse_architecture(architecture),
        "inference_tokens": parse_number("--inference-tokens", inference_tokens) or 0.0,
        "at": by_symbol(parse_values("--at", at)),
        "tolerance": tolerance,
        "flops_per_parameter_token": parse_number(
            "--flops-per-parameter-token", flops_per_parameter_token
        ),
        "cost": parse_cost(peak_flops, utilisation, price, currency),
        "tokens_per_year": parse_number("--tokens-per-year", tokens_per_year),
        "level": level,
        "allow_failed": parse_failed(allow),
    }
    N, D = parse_number("--params", params), parse_number("--tokens", tokens)
    if D is None or (N is None and architecture is None):
        raise InputError("the plan needs --tokens, and --params or --architecture")
    with progress("weighing the plan", quiet or json):
        from bayescale.plans import what_if

        posterior = open_fit(fit, law, group)
        found = what_if(posterior, N, D, **options)
    emit_result(found.to_json, found.table, table, json)
    report(posterior, found.prediction.decades_beyond, quiet or json)
