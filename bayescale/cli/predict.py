"""``bayescale predict``: the loss of runs that were not made."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bayescale.cli.fits import of_one_law
from bayescale.cli.options import (
    AllowFailed,
    Columns,
    FitArgument,
    GroupName,
    Json,
    LawClass,
    Level,
    Quiet,
    TableOption,
    Where,
    parse_columns,
    parse_failed,
    parse_numbers,
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
    fit: FitArgument,
    params: Annotated[list[str] | None, typer.Option(metavar="N,...", help="Parameters.")] = None,
    tokens: Annotated[
        list[str] | None, typer.Option(metavar="D,...", help="Training tokens.")
    ] = None,
    x: Annotated[
        list[str] | None, typer.Option(metavar="X,...", help="The input of a law of one variable.")
    ] = None,
    runs: Annotated[
        Path | None, typer.Option(metavar="POINTS", help="A table with a row for each point.")
    ] = None,
    columns: Columns = None,
    where: Where = None,
    kind: Annotated[
        Kind, typer.Option(help="A new run's loss with its scatter, or the law's mean.")
    ] = Kind.run,
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
    """Predict the loss at any N and D, with intervals and the distance beyond the runs."""
    allow_failed = parse_failed(allow)
    values = {
        "N": parse_numbers("--params", params),
        "D": parse_numbers("--tokens", tokens),
        "x": parse_numbers("--x", x),
    }
    if runs is not None and any(v is not None for v in values.values()):
        raise InputError("give the points either as --runs or as --params and --tokens, not both")
    if backtest and group is not None:
        raise InputError(
            Problem("--backtest", "the fit is a pooled one", "a backtest is of one set of runs",
                    "leave it out, or fit the group alone")
        )  # fmt: skip
    with progress("predicting", quiet or json):
        from bayescale.prediction import predict
        from bayescale.runs import read_points
        from bayescale.storage import load

        posterior = load(fit, law, group)
        points = None
        if runs is not None:
            points = read_points(runs, posterior.inputs, parse_columns(columns), where)
        prediction = predict(
            posterior,
            **values,
            points=points,
            kind=kind.value,
            level=level,
            seed=seed,
            allow_failed=allow_failed,
        )
    if backtest:
        test = of_one_law(posterior, fit, "a backtest is of one law")
        with bar(quiet or json) as shown:
            from bayescale.backtesting import backtest as tested
            from bayescale.widening import widen

            prediction = widen(
                prediction,
                tested(test.runs, **test.settings, level=level, seed=seed, progress=shown),
            )
    emit_result(prediction.to_json, prediction.table, table, json)
    report(posterior, prediction.decades_beyond, quiet or json)
