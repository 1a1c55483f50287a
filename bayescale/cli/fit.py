"""``bayescale fit``: from a table of runs to the posterior of a law."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayescale.cli.options import (
    AllowChecks,
    Columns,
    DriftName,
    EffectsName,
    Json,
    LawName,
    Level,
    LossUnit,
    NoiseName,
    OneVariable,
    Quiet,
    RunsArgument,
    Seed,
    TableOption,
    Where,
    parse_names,
    read_runs,
)
from bayescale.cli.output import drawing, emit, emit_json, emit_table, note, progress

if TYPE_CHECKING:
    from bayescale.posterior import Posterior

NAME = "fit"
EXAMPLE = "Example:  bayescale fit runs.csv --law chinchilla -o fit.nc --plots figures"


def run(
    runs: RunsArgument,
    law: LawName = "chinchilla",
    noise: NoiseName = "student-t",
    drift: DriftName = "forecasts",
    effects: EffectsName = None,
    x: OneVariable = None,
    columns: Columns = None,
    where: Where = None,
    loss_unit: LossUnit = "nats/token",
    allow: AllowChecks = None,
    level: Level = 0.9,
    seed: Seed = 0,
    chains: Annotated[int, typer.Option(help="Number of chains.")] = 4,
    draws: Annotated[int, typer.Option(help="Draws kept in each chain.")] = 1000,
    warmup: Annotated[int, typer.Option(help="Warm-up draws dropped in each chain.")] = 200,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FIT.nc", help="Save the posterior here."),
    ] = None,
    plots: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the figures here, as PNG and PDF.")
    ] = None,
    table: TableOption = None,
    json: Json = False,
    strict: Annotated[bool, typer.Option(help="Exit with code 3 if there are warnings.")] = False,
    quiet: Quiet = False,
) -> None:
    """Sample the posterior of a scaling law given a table of training runs."""
    from bayescale.intervals import check_level

    check_level(level)
    table_of_runs = read_runs(runs, columns, where, loss_unit)
    with progress(f"fitting {law} to {len(table_of_runs)} runs", quiet or json):
        from bayescale.fitting import fit

        posterior = fit(
            table_of_runs,
            law,
            noise,
            x=x,
            drift=drift,
            effects=effects,
            allow=parse_names(allow),
            seed=seed,
            chains=chains,
            draws=draws,
            warmup=warmup,
        )
        diagnostics = posterior.diagnostics
        if output is not None:
            posterior.save(output)
    if plots is not None:
        with drawing(plots, quiet or json):
            from bayescale.plots import save_plots

            save_plots(posterior, plots, level)
    if json:
        emit_json(fit_json(posterior, level, output))
    elif table is not None:
        emit_table(posterior.table(level), table.value)
    else:
        emit(posterior.text(level))
    if not (json or quiet):
        if table is not None:
            note(str(diagnostics))
        if output is not None:
            note(f"saved to {output}")
    if diagnostics.verdict == "failed":
        raise typer.Exit(4)
    if strict and diagnostics.verdict == "warn":
        raise typer.Exit(3)


def fit_json(posterior: Posterior, level: float, path: Path | None) -> dict[str, Any]:
    """The result of a fit as plain data."""
    summary = {name: interval.to_json() for name, interval in posterior.summary(level).items()}
    return {
        "law": posterior.spec.law.name,
        "noise": posterior.spec.noise.name,
        "drift": posterior.drift_name,
        "effects": None if posterior.spec.effects is None else posterior.spec.effects.label,
        "n_runs": len(posterior.runs),
        "level": level,
        "loss_unit": posterior.runs.loss_unit,
        "parameters": {name: summary[name] for name in posterior.parameters},
        "derived": {name: summary[name] for name in posterior.derived},
        "prior": [name for name, found in posterior.contractions.items() if found.is_prior],
        "prior_together": [list(d.parameters) for d in posterior.uninformed],
        "diagnostics": posterior.diagnostics.to_json(),
        "allowed": posterior.provenance["allowed"],
        "seconds": posterior.provenance["seconds"],
        "path": None if path is None else str(path),
    }
