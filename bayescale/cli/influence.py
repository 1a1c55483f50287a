"""``bayescale influence``: which runs move the answer."""

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
from bayescale.cli.output import bar, emit_result, note

NAME = "influence"
EXAMPLE = "Example:  bayescale influence runs.csv --flops 1e24"


def run(
    runs: RunsArgument,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="LABEL",
            help="Leave out together the runs that share a label (group, seed, run_id) or an input "
            "(N, D); without it, one run at a time.",
        ),
    ] = None,
    top: Annotated[int, typer.Option(help="How many are shown; --json gives all.")] = 10,
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
    """Fit a law without each run or group of runs, and show which ones move the answer."""
    table_of_runs = read_runs(runs, columns, where, loss_unit, law)
    with bar(quiet or json) as progress:
        from bayescale.leaving_out import influence

        result = influence(
            table_of_runs,
            law,
            noise,
            by=by,
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
    emit_result(result.to_json, lambda: result.table(top), table, json)
