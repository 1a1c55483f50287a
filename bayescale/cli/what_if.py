"""``bayescale what-if``: a plan beside the best one of its budget, in one screen."""

from __future__ import annotations

from typing import Annotated, Any

import typer

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
    by_symbol,
    parse_failed,
    parse_number,
    parse_values,
)
from bayescale.cli.output import emit_result, progress
from bayescale.cli.warnings import report
from bayescale.errors import InputError, Problem

NAME = "what-if"
EXAMPLE = "Example:  bayescale what-if fit.nc --params 70e9 --tokens 15e12 --inference-tokens 1e14"


def run(
    fit: FitOrPublished,
    params: Annotated[str, typer.Option(metavar="N", help="Parameters of the plan.")],
    tokens: Annotated[str, typer.Option(metavar="D", help="Training tokens of the plan.")],
    inference_tokens: Annotated[
        str | None,
        typer.Option(metavar="T", help="Tokens that the model is run on; 2 N T of the budget."),
    ] = None,
    at: At = None,
    tolerance: Annotated[
        float, typer.Option(help="Loss above the best that still counts as among the best.")
    ] = 0.005,
    peak_flops: Annotated[
        str | None,
        typer.Option(metavar="P", help="FLOPs of a device in a second: hours are shown."),
    ] = None,
    utilisation: Annotated[float, typer.Option(help="Share of them that training uses.")] = 0.4,
    price: Annotated[float, typer.Option(help="Of a device for an hour: money is shown.")] = 0.0,
    currency: Annotated[str, typer.Option(help="What the price is in.")] = "USD",
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
    if price and peak_flops is None:
        raise InputError(
            Problem("--price", "it is given without --peak-flops", "hours follow from both",
                    "write --peak-flops 989e12, say")
        )  # fmt: skip
    from bayescale.plans.costs import Cost

    peak = parse_number("--peak-flops", peak_flops)
    options: dict[str, Any] = {
        "inference_tokens": parse_number("--inference-tokens", inference_tokens) or 0.0,
        "at": by_symbol(parse_values("--at", at)),
        "tolerance": tolerance,
        "cost": None if peak is None else Cost(peak, utilisation, price, currency),
        "tokens_per_year": parse_number("--tokens-per-year", tokens_per_year),
        "level": level,
        "allow_failed": parse_failed(allow),
    }
    N, D = parse_number("--params", params), parse_number("--tokens", tokens)
    if N is None or D is None:
        raise InputError("the plan needs both --params and --tokens")
    with progress("weighing the plan", quiet or json):
        from bayescale.plans import what_if

        posterior = open_fit(fit, law, group)
        found = what_if(posterior, N, D, **options)
    emit_result(found.to_json, found.table, table, json)
    report(posterior, found.prediction.decades_beyond, quiet or json)
