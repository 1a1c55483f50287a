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
    parse_columns,
    parse_names,
    read_runs,
)
from bayescale.cli.output import drawing, emit, emit_json, emit_table, note, progress
from bayescale.errors import InputError, Problem

if TYPE_CHECKING:
    from bayescale.diagnostics import Diagnostics
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
    by: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN,...", help="Columns whose values tell groups apart (--pool)."),
    ] = None,
    pool: Annotated[
        bool,
        typer.Option("--pool", help="A law for each group of --by, drawn from one population."),
    ] = False,
    unpooled: Annotated[
        bool, typer.Option("--unpooled", help="With --pool: fit each group alone, too.")
    ] = False,
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
    check_pooling(by, pool, unpooled)
    settings: dict[str, Any] = {"x": x, "drift": drift, "allow": parse_names(allow), "seed": seed,
                                "chains": chains, "draws": draws, "warmup": warmup}  # fmt: skip
    if pool:
        with progress(f"fitting {law} to the groups of {runs}", quiet or json):
            from bayescale.pooling import fit_pooled

            pooled = fit_pooled(
                runs,
                parse_names(by),
                law,
                noise,
                columns=parse_columns(columns),
                where=where,
                loss_unit=loss_unit,
                unpooled=unpooled,
                **settings,
            )
            if output is not None:
                pooled.save(output)
        if plots is not None:
            with drawing(plots, quiet or json):
                from bayescale.plots import save_groups_plot

                save_groups_plot(pooled, plots, level)
        if json:
            emit_json(pooled.to_json(level) | {"path": None if output is None else str(output)})
        elif table is not None:
            emit_table(pooled.table(level), table.value)
        else:
            emit(pooled.text(level))
        leave(pooled.diagnostics, output, table is not None, strict, json or quiet)
        return
    table_of_runs = read_runs(runs, columns, where, loss_unit)
    with progress(f"fitting {law} to {len(table_of_runs)} runs", quiet or json):
        from bayescale.fitting import fit

        posterior = fit(
            table_of_runs,
            law,
            noise,
            effects=effects,
            **settings,
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
    leave(diagnostics, output, table is not None, strict, json or quiet)


def check_pooling(by: list[str] | None, pool: bool, unpooled: bool) -> None:
    """Refuse options of pooling that do not go together."""
    if pool and not parse_names(by):
        remedy = "write --by COLUMN, such as --by corpus"
        raise InputError(Problem("--pool", "no column tells the groups apart", remedy=remedy))
    if by and not pool:
        remedy = (
            "write --by COLUMN --pool; for a fit of each group alone, use  bayescale sweep --by"
        )
        raise InputError(Problem("--by", "it is for pooled fits", remedy=remedy))
    if unpooled and not pool:
        raise InputError(Problem("--unpooled", "it goes with --pool", remedy="leave it out"))


def leave(
    diagnostics: Diagnostics, output: Path | None, verdicts: bool, strict: bool, quiet: bool
) -> None:
    """Say what is not in the result, and exit with the code of the verdict."""
    if not quiet:
        if verdicts:
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
