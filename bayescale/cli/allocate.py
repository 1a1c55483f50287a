"""``bayescale allocate``: the best split of a budget between parameters and tokens."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayescale.cli.fits import as_json, as_tables, beside, open_fit
from bayescale.cli.options import (
    AllowFailed,
    At,
    CompareTo,
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
    parse_numbers,
    parse_values,
)
from bayescale.cli.output import emit_result, progress
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
        list[str] | None, typer.Option(metavar="C,...", help="Budgets in FLOPs.")
    ] = None,
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
    through: Annotated[
        Path | None,
        typer.Option(
            metavar="ERRORFIT", help="A fit of error-sigmoid or error-exponential, on this loss."
        ),
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ROLE=NUMBER,...", help="Other inputs of its law, such as chance=0.25."
        ),
    ] = None,
    inference_tokens: Annotated[
        str | None,
        typer.Option(metavar="T", help="Tokens that the model is run on; 2 N T of the budget."),
    ] = None,
    params: Annotated[
        str | None, typer.Option(metavar="N", help="The size, if it is fixed.")
    ] = None,
    max_params: Annotated[str | None, typer.Option(metavar="N", help="Most parameters.")] = None,
    max_tokens: Annotated[
        str | None, typer.Option(metavar="D", help="Most training tokens.")
    ] = None,
    sizes: Annotated[
        list[str] | None, typer.Option(metavar="N,...", help="The sizes that there are.")
    ] = None,
    at: At = None,
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
    wanted: dict[str, Any] = {
        "C": parse_numbers("--flops", flops),
        "target_loss": parse_numbers("--target-loss", target_loss),
        "target_error": _errors(target_error, target_accuracy),
        "given": by_symbol(parse_values("--given", given)) or None,
    }
    if all(wanted[name] is None for name in ("C", "target_loss", "target_error")):
        options = "--flops, --target-loss, --target-accuracy, --target-error"
        raise InputError(Problem(options, "none is given", remedy="write --flops 5.76e23"))
    terms = {
        "inference_tokens": parse_number("--inference-tokens", inference_tokens) or 0.0,
        "params": parse_number("--params", params),
        "max_params": parse_number("--max-params", max_params),
        "max_tokens": parse_number("--max-tokens", max_tokens),
        "sizes": parse_numbers("--sizes", sizes) or (),
        "flops_per_parameter_token": parse_number(
            "--flops-per-parameter-token", flops_per_parameter_token
        ),
    }
    others_at = by_symbol(parse_values("--at", at))
    with progress("allocating", quiet or json):
        from bayescale.allocation.allocating import allocate

        def answer(fit: Fit) -> Allocation:
            options: Any = {**wanted, **terms, "level": level, "allow_failed": allow_failed}
            return allocate(fit, at=others_at, **options)

        posterior = open_fit(fit, law, group)
        wanted["through"] = None if through is None else open_fit(through, None, None)
        allocation, others = answer(posterior), beside(compare_to, answer)
    tables = partial(as_tables, allocation.table(), others)
    emit_result(allocation.to_json, tables, table, json, **as_json(others))
    report(posterior, allocation.decades_beyond, quiet or json)


def _errors(errors: list[str] | None, accuracies: list[str] | None) -> list[float] | None:
    """The errors to reach; those that accuracies leave."""
    found, shares = (
        parse_numbers("--target-error", errors),
        parse_numbers("--target-accuracy", accuracies),
    )
    if shares is None:
        return found
    if found is not None:
        both = "--target-error, --target-accuracy"
        raise InputError(
            Problem(both, "both are given", remedy="give one; an error is 1 less the accuracy")
        )
    for share in shares:
        if not 0 < share < 1:
            raise InputError(
                Problem("--target-accuracy", f"it is {share:g}", "it is a share, above 0 and below 1",
                        "write 0.6 for 60%")
            )  # fmt: skip
    return [1.0 - share for share in shares]
