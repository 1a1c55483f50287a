"""``bayescale predict``: the loss of runs that were not made."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from bayescale.cli.fits import as_json, as_tables, beside, of_one_law, open_fit
from bayescale.cli.options import (
    AllowFailed,
    At,
    Columns,
    CompareTo,
    FitOrPublished,
    Given,
    GroupName,
    Json,
    LawClass,
    Level,
    Quiet,
    TableOption,
    Through,
    Where,
    by_symbol,
    parse_columns,
    parse_failed,
    parse_numbers,
    parse_values,
)
from bayescale.cli.output import bar, emit_result, progress
from bayescale.cli.warnings import report
from bayescale.errors import InputError, Problem

NAME = "predict"
EXAMPLE = "Example:  bayescale predict fit.nc --params 70e9 --tokens 1.4e12 --level 0.9"

Numbers = Annotated[list[str] | None, typer.Option(metavar="NUMBER,...")]


class Kind(StrEnum):
    """What is predicted."""

    run = "run"
    law = "law"


def run(
    fit: FitOrPublished,
    params: Annotated[list[str] | None, typer.Option(metavar="N,...", help="Parameters.")] = None,
    tokens: Annotated[
        list[str] | None, typer.Option(metavar="D,...", help="Training tokens.")
    ] = None,
    x: Annotated[
        list[str] | None, typer.Option(metavar="X,...", help="The input of a law of one variable.")
    ] = None,
    at: At = None,
    runs: Annotated[
        Path | None, typer.Option(metavar="POINTS", help="A table with a row for each point.")
    ] = None,
    columns: Columns = None,
    where: Where = None,
    kind: Annotated[
        Kind, typer.Option(help="A new run's loss with its scatter, or the law's mean.")
    ] = Kind.run,
    through: Through = None,
    given: Given = None,
    compare_to: CompareTo = None,
    level: Level = 0.9,
    seed: Annotated[int, typer.Option(help="Seed of the scatter of new runs.")] = 0,
    backtest: Annotated[
        bool,
        typer.Option(
            "--backtest",
            help="Test the model on the fitted runs, and show intervals as wide as that asks for, too.",
        ),
    ] = False,
    group: GroupName = None,
    law: LawClass = None,
    allow: AllowFailed = None,
    table: TableOption = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Predict the loss at any N and D, or the downstream error, with intervals."""
    allow_failed = parse_failed(allow)
    values: dict[str, Any] = {
        "N": parse_numbers("--params", params),
        "D": parse_numbers("--tokens", tokens),
        "x": parse_numbers("--x", x),
    }
    inputs = by_symbol(parse_values("--at", at))
    if runs is not None and (inputs or any(v is not None for v in values.values())):
        raise InputError("give the points either as --runs or as --params and --tokens, not both")
    if backtest and group is not None:
        raise InputError(
            Problem("--backtest", "the fit is a pooled one", "a backtest is of one set of runs",
                    "leave it out, or fit the group alone")
        )  # fmt: skip
    _check_through(through, given, backtest, compare_to)
    with progress("predicting", quiet or json):
        from bayescale.prediction import predict
        from bayescale.runs import read_points

        posterior = open_fit(fit, law, group)
        points = None
        if runs is not None:
            points = read_points(runs, posterior.inputs, parse_columns(columns), where)
        options: Any = {"level": level, "seed": seed, "allow_failed": allow_failed}
        prediction: Any = predict(
            posterior, **values, at=inputs, points=points, kind=kind.value, **options
        )
        others = beside(compare_to, partial(predict, points=prediction.points, level=level))
        if through is not None:
            from bayescale.downstream import predict_error

            step = of_one_law(open_fit(through, None, None), through, "errors are of one law")
            options |= {"points": prediction.points, "kind": kind.value,
                        "given": by_symbol(parse_values("--given", given)) or None}  # fmt: skip
            prediction = predict_error(posterior, step, **options)
    if backtest:
        test = of_one_law(posterior, fit, "a backtest is of one law")
        with bar(quiet or json) as shown:
            from bayescale.backtesting import backtest as tested
            from bayescale.widening import widen

            prediction = widen(
                prediction,
                tested(test.runs, **test.settings, level=level, seed=seed, progress=shown),
            )
    tables = partial(as_tables, prediction.table(), others)
    emit_result(prediction.to_json, tables, table, json, **as_json(others))
    report(posterior, prediction.decades_beyond, quiet or json)


def _check_through(
    through: Path | None,
    given: list[str] | None,
    backtest: bool,
    compare_to: list[str] | None,
) -> None:
    """Raise if what is asked does not go with errors in two steps."""
    if through is None:
        if given:
            raise InputError(
                Problem("--given", "it is given without --through", "it is of the law of error",
                        "write --through errors.nc too, or --at for the law of loss")
            )  # fmt: skip
        return
    for option, asked in (("--backtest", backtest), ("--compare-to", compare_to)):
        if asked:
            raise InputError(
                Problem(option, "it is given with --through", "it is of losses, and not of errors",
                        "leave one of them out")
            )  # fmt: skip
