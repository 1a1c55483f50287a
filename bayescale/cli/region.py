"""``bayescale region``: every split of a budget that loses little, and how surely it does."""

from __future__ import annotations

from typing import Annotated

import typer

from bayescale.cli.budgets import (
    Currency,
    FlopsPerParameterToken,
    Hours,
    InferenceTokens,
    MaxParams,
    MaxTokens,
    Money,
    PeakFlops,
    Price,
    Shape,
    Sizes,
    Utilisation,
    parse_budgets,
    parse_cost,
    parse_terms,
)
from bayescale.cli.fits import open_fit
from bayescale.cli.options import (
    AllowFailed,
    At,
    FitOrPublished,
    Flops,
    GroupName,
    Json,
    LawClass,
    Level,
    Plot,
    Quiet,
    TableOption,
    Tolerance,
    parse_failed,
)
from bayescale.cli.output import draw, emit_result, progress
from bayescale.errors import InputError, Problem

NAME = "region"
EXAMPLE = "Example:  bayescale region fit.nc --flops 1e24 --plots figures"


def run(
    fit: FitOrPublished,
    flops: Flops = None,
    hours: Hours = None,
    money: Money = None,
    tolerance: Tolerance = 0.005,
    inference_tokens: InferenceTokens = None,
    max_params: MaxParams = None,
    max_tokens: MaxTokens = None,
    sizes: Sizes = None,
    at: At = None,
    flops_per_parameter_token: FlopsPerParameterToken = None,
    architecture: Shape = None,
    peak_flops: PeakFlops = None,
    utilisation: Utilisation = None,
    price: Price = None,
    currency: Currency = None,
    rows: Annotated[int, typer.Option(help="Splits in the table, about that of least regret.")] = 9,
    level: Level = 0.9,
    group: GroupName = None,
    law: LawClass = None,
    allow: AllowFailed = None,
    plots: Plot = None,
    table: TableOption = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show all splits of a budget that lose little, and the one of least expected regret."""
    allow_failed = parse_failed(allow)
    cost = parse_cost(peak_flops, utilisation, price, currency)
    budgets = parse_budgets(flops, hours, money, cost) or []
    if len(budgets) != 1:
        raise InputError(
            Problem("--flops", f"{len(budgets)} budgets are given", "a region is that of one",
                    "give one; for many budgets, use  bayescale allocate")
        )  # fmt: skip
    terms = parse_terms(
        inference_tokens, max_params, max_tokens, sizes, at, flops_per_parameter_token, architecture
    )
    with progress("weighing splits", quiet or json):
        from bayescale.plans import region

        found = region(
            open_fit(fit, law, group),
            budgets[0],
            tolerance=tolerance,
            cost=cost,
            level=level,
            allow_failed=allow_failed,
            **terms,
        )
    draw(found, plots, quiet or json)
    emit_result(found.to_json, lambda: found.table(rows), table, json)
