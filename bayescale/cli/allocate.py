"""``bayescale allocate``: the best split of a budget between parameters and tokens."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

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
    log_spaced,
    parse_budgets,
    parse_cost,
    parse_terms,
)
from bayescale.cli.fits import as_json, as_tables, beside, open_fit
from bayescale.cli.options import (
    AllowFailed,
    At,
    CompareTo,
    FitOrPublished,
    Given,
    GroupName,
    Json,
    LawClass,
    Level,
    Plot,
    Quiet,
    TableOption,
    Through,
    by_symbol,
    parse_failed,
    parse_number,
    parse_numbers,
    parse_values,
)
from bayescale.cli.output import draw, emit_result, progress
from bayescale.cli.warnings import report
from bayescale.errors import InputError, Problem

if TYPE_CHECKING:
    from bayescale.allocation.allocated import Allocation
    from bayescale.publications import Fit

NAME = "allocate"
EXAMPLE = "Example:  bayescale allocate fit.nc --flops 5.76e23"


def run(
    fit: FitOrPublished,
    flops: Annotated[
        list[str] | None,
        typer.Option(
            metavar="C,...", help="Budgets in FLOPs; 1e20:1e26 is a range, 1e20:1e26:40 40 of it."
        ),
    ] = None,
    hours: Hours = None,
    money: Money = None,
    target_loss: Annotated[
        list[str] | None,
        typer.Option(
            metavar="L,...", help="Losses to reach as cheaply as possible, in place of budgets."
        ),
    ] = None,
    target_accuracy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SHARE,...",
            help="Downstream accuracies to reach, in place of budgets; with --through.",
        ),
    ] = None,
    target_error: Annotated[
        list[str] | None,
        typer.Option(metavar="SHARE,...", help="The same as errors: 1 less the accuracy."),
    ] = None,
    through: Through = None,
    given: Given = None,
    inference_tokens: InferenceTokens = None,
    params: Annotated[
        str | None, typer.Option(metavar="N", help="The size, if it is fixed.")
    ] = None,
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
    compare_to: CompareTo = None,
    level: Level = 0.9,
    group: GroupName = None,
    law: LawClass = None,
    allow: AllowFailed = None,
    plots: Plot = None,
    table: TableOption = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Split training budgets between parameters and tokens, with intervals."""
    allow_failed = parse_failed(allow)
    cost = parse_cost(peak_flops, utilisation, price, currency)
    targets = {"target_loss": target_loss, "target_error": target_error,
               "target_accuracy": target_accuracy}  # fmt: skip
    budgets = parse_budgets(flops, hours, money, cost, **targets)
    if plots is not None and len(set(budgets or ())) < 2:
        raise InputError(
            Problem("--plots", "the figure is of several budgets", "there is one, or a target",
                    "write --flops 1e20:1e26, say, or leave it out")
        )  # fmt: skip
    options = parse_terms(
        inference_tokens, max_params, max_tokens, sizes, at, flops_per_parameter_token, architecture
    )
    options |= {"params": parse_number("--params", params), "cost": cost, "level": level,
                "target_loss": parse_numbers("--target-loss", target_loss),
                "target_error": _errors(target_error, target_accuracy),
                "given": by_symbol(parse_values("--given", given)) or None}  # fmt: skip
    with progress("allocating", quiet or json):
        from bayescale.allocation import allocate

        def answer(fit: Fit, C: Any = budgets) -> Allocation:
            return allocate(fit, C, allow_failed=allow_failed, **options)

        posterior = open_fit(fit, law, group)
        options["through"] = None if through is None else open_fit(through, None, None)
        allocation, others = answer(posterior), beside(compare_to, answer)
    if plots is not None and budgets is not None:
        dense = partial(answer, C=log_spaced(min(budgets), max(budgets)))
        draw(dense(posterior), plots, quiet or json, compare_to=beside(compare_to, dense))
    tables = partial(as_tables, allocation.table(), others)
    emit_result(allocation.to_json, tables, table, json, **as_json(others))
    report(posterior, allocation.decades_beyond, quiet or json)


def _errors(errors: list[str] | None, accuracies: list[str] | None) -> list[float] | None:
    """The errors to reach; those that accuracies leave."""
    shares = parse_numbers("--target-accuracy", accuracies)
    for share in shares or ():
        if not 0 < share < 1:
            raise InputError(
                Problem("--target-accuracy", f"it is {share:g}", "it is a share, above 0 and below 1",
                        "write 0.6 for 60%")
            )  # fmt: skip
    return parse_numbers("--target-error", errors) if shares is None else [1.0 - s for s in shares]
