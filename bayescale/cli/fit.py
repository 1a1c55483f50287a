"""``bayescale fit``: from a table of runs to the posterior of a law."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayescale.cli.options import (
    AllowChecks,
    AlongName,
    Columns,
    CompareTo,
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
    parse_effects,
    parse_names,
    read_runs,
)
from bayescale.cli.output import draw, drawing, emit_result, note, progress
from bayescale.errors import InputError, Problem

if TYPE_CHECKING:
    from bayescale.diagnostics import Diagnostics
    from bayescale.pooled import PooledFit
    from bayescale.posterior import Posterior

NAME = "fit"
EXAMPLE = "Example:  bayescale fit runs.csv --law chinchilla -o fit.nc --plots figures"


def run(
    runs: RunsArgument,
    law: LawName = "chinchilla",
    noise: NoiseName = "student-t",
    drift: DriftName = "forecasts",
    effects: EffectsName = None,
    along: AlongName = None,
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
    compare_to: CompareTo = None,
    table: TableOption = None,
    json: Json = False,
    strict: Annotated[bool, typer.Option(help="Exit with code 3 if there are warnings.")] = False,
    quiet: Quiet = False,
) -> None:
    """Sample the posterior of a scaling law given a table of training runs."""
    from bayescale.intervals import check_level

    check_level(level)
    shared = parse_effects(effects, along)
    check_pooling(by, pool, unpooled, effects)
    settings: dict[str, Any] = {"x": x, "drift": drift, "allow": parse_names(allow), "seed": seed,
                                "chains": chains, "draws": draws, "warmup": warmup}  # fmt: skip
    path = None if output is None else str(output)
    result: Posterior | PooledFit
    if pool:
        with progress(f"fitting {law} to the groups of {runs}", quiet or json):
            from bayescale.pooling import fit_pooled

            result = pooled = fit_pooled(
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
            if path is not None:
                pooled.save(path)
        draw(pooled, plots, quiet or json, level=level)
        data = partial(pooled.to_json, level)
    else:
        table_of_runs = read_runs(runs, columns, where, loss_unit, law)
        with progress(f"fitting {law} to {len(table_of_runs)} runs", quiet or json):
            from bayescale.fitting import fit

            result = posterior = fit(table_of_runs, law, noise, effects=shared, **settings)
            if path is not None:
                posterior.save(path)
        if plots is not None:
            with drawing(plots, quiet or json):
                from bayescale.plots import save_plots
                from bayescale.publications import published

                others = [published(key) for key in parse_names(compare_to)]
                save_plots(posterior, plots, level, compare_to=others)
        data = partial(fit_json, posterior, level)
    tabulated, told = partial(result.table, level), partial(result.text, level)
    emit_result(data, tabulated, table, json, told, path=path)
    leave(result.diagnostics, path, table is not None, strict, json or quiet)


def check_pooling(by: list[str] | None, pool: bool, unpooled: bool, effects: str | None) -> None:
    """Refuse options of pooling that do not go together."""
    if pool and not parse_names(by):
        remedy = "write --by COLUMN, such as --by corpus"
        raise InputError(Problem("--pool", "no column tells the groups apart", remedy=remedy))
    if by and not pool:
        remedy = (
            "write --by COLUMN --pool; for a fit of each group alone, use  bayescale sweep --by"
        )
        raise InputError(Problem("--by", "it is for pooled fits", remedy=remedy))
    if effects and pool:
        raise InputError(
            Problem("--effects", "it does not go with --pool",
                    "a pooled fit takes the rows of a group as independent given its law",
                    "pool by the label that the rows share, or fit without --pool")
        )  # fmt: skip
    if unpooled and not pool:
        raise InputError(Problem("--unpooled", "it goes with --pool", remedy="leave it out"))


def leave(
    diagnostics: Diagnostics, path: str | None, verdicts: bool, strict: bool, quiet: bool
) -> None:
    """Say what is not in the result, and exit with the code of the verdict."""
    if not quiet:
        if verdicts:
            note(str(diagnostics))
        if path is not None:
            note(f"saved to {path}")
    if diagnostics.verdict == "failed":
        raise typer.Exit(4)
    if strict and diagnostics.verdict == "warn":
        raise typer.Exit(3)


def fit_json(posterior: Posterior, level: float) -> dict[str, Any]:
    """The result of a fit as plain data."""
    effects = posterior.spec.effects
    summary = {name: interval.to_json() for name, interval in posterior.summary(level).items()}
    return {
        "law": posterior.spec.law.name,
        "noise": posterior.spec.noise.name,
        "drift": posterior.drift_name,
        "effects": None if effects is None else effects.label,
        "along": None if effects is None else effects.along,
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
    }
