"""``bayescale isoflop``: approach 2 beside the posterior, with its bias."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bayescale.cli.fits import open_fit
from bayescale.cli.options import (
    LOSS_UNIT,
    AllowChecks,
    Columns,
    Flops,
    Json,
    LawName,
    Level,
    LossUnit,
    NoiseName,
    Plot,
    Quiet,
    RunsArgument,
    Seed,
    TableOption,
    Where,
    parse_names,
    parse_numbers,
    read_runs,
)
from bayescale.cli.output import draw, emit_result, note_all, progress

NAME = "isoflop"
EXAMPLE = "Example:  bayescale isoflop runs.csv --flops 1e21,1e23 --plots figures"


def run(
    runs: RunsArgument,
    fit: Annotated[
        Path | None,
        typer.Option(
            metavar="FIT", help="A fit of theirs, or a published one; by default one is made."
        ),
    ] = None,
    flops: Flops = None,
    budgets: Annotated[
        list[str] | None,
        typer.Option(
            metavar="C,...", help="Compute budgets of the runs.  [default: they are found]"
        ),
    ] = None,
    by: Annotated[
        str | None, typer.Option(metavar="LABEL", help="Label or input whose values are budgets.")
    ] = None,
    tolerance: Annotated[
        float, typer.Option(help="Share by which the compute of one budget differs at most.")
    ] = 0.1,
    min_runs: Annotated[int, typer.Option(help="Runs that a budget must have, 3 or more.")] = 5,
    law: LawName = "chinchilla",
    noise: NoiseName = "student-t",
    columns: Columns = None,
    where: Where = None,
    loss_unit: LossUnit = LOSS_UNIT,
    allow: AllowChecks = None,
    level: Level = 0.9,
    seed: Seed = 0,
    plots: Plot = None,
    table: TableOption = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fit isoFLOP parabolas and their power law, and compare them with the law's posterior."""
    names = parse_names(allow)
    failed = "failed-sampling" in names
    table_of_runs = read_runs(runs, columns, where, loss_unit, law)
    with progress("fitting", quiet or json):
        from bayescale.isoflops import isoflop

        result = isoflop(
            table_of_runs,
            None if fit is None else open_fit(fit, None, None),
            C=parse_numbers("--flops", flops),
            budgets=parse_numbers("--budgets", budgets),
            by=by,
            tolerance=tolerance,
            min_runs=min_runs,
            law=law,
            noise=noise,
            allow=[name for name in names if name != "failed-sampling"],
            level=level,
            seed=seed,
            allow_failed=failed,
        )
    draw(result, plots, quiet or json)
    emit_result(result.to_json, lambda: [result.budget_table(), result.table()], table, json)
    note_all(result.verdicts, json or quiet)
