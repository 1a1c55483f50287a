"""``bayescale bootstrap``: intervals from resampled runs beside those of the posterior."""

from __future__ import annotations

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
    RunsArgument,
    Seed,
    TableOption,
    Tokens,
    Where,
    parse_effects,
    parse_names,
    parse_numbers,
    parse_points,
    read_runs,
)
from bayescale.cli.output import bar, emit_result, note, note_all

NAME = "bootstrap"
EXAMPLE = "Example:  bayescale bootstrap runs.csv --clusters group --columns group=lab --flops 1e24"


def run(
    runs: RunsArgument,
    samples: Annotated[int, typer.Option(help="Number of bootstrap samples.")] = 200,
    clusters: Annotated[
        str | None,
        typer.Option(
            metavar="LABEL",
            help="Draw together the runs that share a label (group, seed, run_id) or an input (N, D).",
        ),
    ] = None,
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
    executor: ExecutorName = "local",
    table: TableOption = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fit a law to resampled runs, and compare the intervals with those of the posterior."""
    table_of_runs = read_runs(runs, columns, where, loss_unit, law)
    with bar(quiet or json) as progress:
        from bayescale.resampling import bootstrap

        result = bootstrap(
            table_of_runs,
            law,
            noise,
            samples=samples,
            clusters=clusters,
            points=parse_points(params, tokens),
            flops=parse_numbers("--flops", flops),
            x=x,
            effects=parse_effects(effects, along),
            allow=parse_names(allow),
            method=method,
            seed=seed,
            level=level,
            executor=executor,
            progress=progress,
            announce=None if quiet or json else lambda estimate: note(str(estimate)),
        )
    emit_result(result.to_json, result.table, table, json)
    note_all(result.verdicts, json or quiet)
