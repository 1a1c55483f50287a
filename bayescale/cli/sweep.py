"""``bayescale sweep``: a fit for each of many data sets."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from bayescale.cli.options import (
    LOSS_UNIT,
    Columns,
    Json,
    Level,
    LossUnit,
    Quiet,
    Where,
    parse_columns,
    parse_names,
    parse_numbers,
    parse_values,
)
from bayescale.cli.output import emit, emit_json, note
from bayescale.errors import InputError, Problem

NAME = "sweep"
EXAMPLE = "Example:  bayescale sweep runs.csv --by corpus,recipe -o results --flops 1e24"


def run(
    runs: Annotated[
        str,
        typer.Argument(metavar="RUNS", help="Table of runs (CSV, TSV, Parquet, JSON, JSONL)."),
    ],
    by: Annotated[
        list[str],
        typer.Option(metavar="COLUMN,...", help="Columns whose values tell the data sets apart."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the results.")
    ],
    law: Annotated[
        str, typer.Option(help="Name of a law (bayescale laws), or module:Class.")
    ] = "chinchilla",
    noise: Annotated[str, typer.Option(help="student-t, gaussian or laplace.")] = "student-t",
    x: Annotated[
        str | None,
        typer.Option(help="For a law of one variable: params, tokens, flops or unique_tokens."),
    ] = None,
    columns: Columns = None,
    where: Where = None,
    loss_unit: LossUnit = LOSS_UNIT,
    allow: Annotated[
        list[str] | None,
        typer.Option(metavar="CHECK", help="Lift a check of the design by its name."),
    ] = None,
    method: Annotated[str, typer.Option(help="auto, laplace-is or nuts.")] = "auto",
    params: Annotated[
        list[str] | None, typer.Option(metavar="N,...", help="Parameters of runs to predict.")
    ] = None,
    tokens: Annotated[
        list[str] | None, typer.Option(metavar="D,...", help="Training tokens of runs to predict.")
    ] = None,
    flops: Annotated[
        list[str] | None, typer.Option(metavar="C,...", help="Budgets to split between N and D.")
    ] = None,
    level: Level = 0.9,
    seed: Annotated[int, typer.Option(help="Seed: the same seed gives the same numbers.")] = 0,
    draws: Annotated[
        int, typer.Option(help="Draws to keep of each posterior; 0 keeps summaries only.")
    ] = 0,
    sets: Annotated[int, typer.Option(help="Data sets in a chunk.")] = 64,
    side_by_side: Annotated[
        int, typer.Option(help="Data sets that a device works on at once; hundreds for a GPU.")
    ] = 1,
    executor: Annotated[
        str, typer.Option(help="local (threads of this process) or ray (a Ray cluster).")
    ] = "local",
    per_chunk: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=AMOUNT,...", help="What Ray keeps free for a chunk, e.g. GPU=1."
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Keep what is finished in DIR.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fit a law to each of many data sets, and write a row of summaries for each."""
    given = {"N": parse_numbers("--params", params), "D": parse_numbers("--tokens", tokens)}
    points = {symbol: values for symbol, values in given.items() if values is not None}
    lengths = {symbol: len(values) for symbol, values in points.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(
            Problem("--params, --tokens", f"they give {lengths['N']} and {lengths['D']} values",
                    remedy="give as many of the one as of the other")
        )  # fmt: skip
    with _bar(quiet or json) as progress:
        from bayescale.sweep.many import fit_many

        many = fit_many(
            runs,
            parse_names(by),
            law,
            noise,
            columns=parse_columns(columns),
            where=where,
            loss_unit=loss_unit,
            x=x,
            allow=parse_names(allow),
            method=method,  # type: ignore[arg-type]
            seed=seed,
            level=level,
            points=points or None,
            flops=parse_numbers("--flops", flops),
            draws=draws,
            output=output,
            resume=resume,
            sets=sets,
            side_by_side=side_by_side,
            executor=executor,
            per_chunk=parse_values("--per-chunk", per_chunk),
            progress=progress,
            announce=None if quiet or json else lambda estimate: note(str(estimate)),
        )
    if json:
        emit_json(many.to_json())
        return
    emit(repr(many))
    if not quiet and many.status["rejected"] + many.status["failed"]:
        note("the columns status, codes and reason say why a data set was rejected or failed")


@contextmanager
def _bar(quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """A bar with rate and time left, on a terminal."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    shown = (
        TextColumn("fitting"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*shown, console=Console(stderr=True)) as bar:
        task = bar.add_task("fitting", total=None, rate="")

        def update(done: int, total: int) -> None:
            speed = bar.tasks[0].speed
            rate = f"{speed:.0f} a second" if speed else ""
            bar.update(task, completed=done, total=total, rate=rate)

        yield update
