"""``bayescale sweep``: a fit for each of many data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bayescale.cli.options import (
    LOSS_UNIT,
    AllowChecks,
    AlongName,
    Columns,
    EffectsName,
    ExecutorName,
    Flops,
    Json,
    LawName,
    Level,
    LossUnit,
    MethodName,
    NoiseName,
    OneVariable,
    Params,
    Quiet,
    Seed,
    Tokens,
    Where,
    parse_columns,
    parse_effects,
    parse_names,
    parse_numbers,
    parse_points,
    parse_values,
)
from bayescale.cli.output import bar, emit, emit_json, note

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
    law: LawName = "chinchilla",
    noise: NoiseName = "student-t",
    effects: EffectsName = None,
    along: AlongName = None,
    x: OneVariable = None,
    columns: Columns = None,
    where: Where = None,
    loss_unit: LossUnit = LOSS_UNIT,
    allow: AllowChecks = None,
    method: MethodName = "auto",
    params: Params = None,
    tokens: Tokens = None,
    flops: Flops = None,
    level: Level = 0.9,
    seed: Seed = 0,
    draws: Annotated[
        int, typer.Option(help="Draws to keep of each posterior; 0 keeps summaries only.")
    ] = 0,
    sets: Annotated[int, typer.Option(help="Data sets in a chunk.")] = 64,
    side_by_side: Annotated[
        int, typer.Option(help="Data sets that a device works on at once; hundreds for a GPU.")
    ] = 1,
    executor: ExecutorName = "local",
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
    points = parse_points(params, tokens)
    with bar(quiet or json) as progress:
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
            effects=parse_effects(effects, along),
            allow=parse_names(allow),
            method=method,
            seed=seed,
            level=level,
            points=points,
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
