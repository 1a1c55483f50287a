"""``bayescale describe``: what a table of runs contains."""

from __future__ import annotations

from bayescale.cli.options import Columns, Json, LossUnit, RunsArgument, Where, read_runs
from bayescale.cli.output import emit, emit_json

NAME = "describe"
EXAMPLE = 'Example:  bayescale describe runs.csv --columns loss=val_loss --where "seed == 0"'


def run(
    runs: RunsArgument,
    columns: Columns = None,
    where: Where = None,
    loss_unit: LossUnit = "nats/token",
    json: Json = False,
) -> None:
    """Say ranges in decades, distinct scales, design, duplicates and repeated runs."""
    description = read_runs(runs, columns, where, loss_unit).describe()
    if json:
        emit_json(description.to_json())
    else:
        emit(str(description))
