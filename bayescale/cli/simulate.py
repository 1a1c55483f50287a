"""``bayescale simulate``: training runs made from a law or from a fit."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from bayescale.cli.fits import load_posterior
from bayescale.cli.options import (
    AllowFailed,
    Columns,
    GroupName,
    Json,
    Quiet,
    Where,
    parse_columns,
    parse_failed,
    parse_names,
    parse_numbers,
)
from bayescale.cli.output import emit, emit_json, note, progress
from bayescale.cli.warnings import report
from bayescale.errors import InputError, Problem

if TYPE_CHECKING:
    from bayescale.laws import Law
    from bayescale.noise import Noise

NAME = "simulate"
EXAMPLE = (
    "Example:  bayescale simulate -o sims.csv --law chinchilla --published besiroglu-2024 "
    "--params 1e8,1e9 --tokens 2e9,2e10 --sigma 0.01 --nu 10 --sets 100"
)
OF_INPUT = {"N": "--params", "D": "--tokens", "x": "--x"}

Options = Mapping[str, Any]  # an option, as it is typed, to its value


def run(
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE",
                     help="Write the runs here: .csv, .tsv, .parquet or .jsonl. Without it they go "
                     "to standard output, as CSV."),
    ] = None,
    fit: Annotated[
        Path | None,
        typer.Option(metavar="FIT.nc", help="Simulate from a fit: each set from its own draw."),
    ] = None,
    group: GroupName = None,
    law: Annotated[
        str | None, typer.Option(help="Name of a law (bayescale laws), or module:Class.")
    ] = None,
    published: Annotated[
        str | None, typer.Option(metavar="KEY", help="A published fit of the law.")
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=NUMBER,...", help="The law's parameters: E=1.69,A=406.4,..."),
    ] = None,
    params: Annotated[
        list[str] | None,
        typer.Option(metavar="N,...", help="Parameters. Runs are made for every N with every D; for "
                     "other designs, give a table with --points."),
    ] = None,
    tokens: Annotated[
        list[str] | None, typer.Option(metavar="D,...", help="Training tokens, each with every N.")
    ] = None,
    x: Annotated[
        list[str] | None, typer.Option(metavar="X,...", help="The input of a law of one variable.")
    ] = None,
    points: Annotated[
        Path | None,
        typer.Option(metavar="POINTS", help="A table with a row for each run: the law's inputs."),
    ] = None,
    columns: Columns = None,
    where: Where = None,
    noise: Annotated[
        str | None,
        typer.Option(help="student-t, gaussian, laplace or one-sided; by default student-t if --nu is "
                     "given, else gaussian."),
    ] = None,
    sigma: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="Scale of the scatter of log loss.")
    ] = None,
    nu: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="Degrees of freedom of student-t noise.")
    ] = None,
    excess: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="Mean excess of one-sided noise.")
    ] = None,
    sets: Annotated[int, typer.Option(help="Number of simulated sets.")] = 1,
    seed: Annotated[int, typer.Option(help="Seed: the same seed gives the same sets.")] = 0,
    allow: AllowFailed = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Simulate the losses of training runs, from a law or from a fit, as a table for fit or sweep."""
    allow_failed = parse_failed(allow)
    of_noise = {"--noise": noise, "--sigma": sigma, "--nu": nu, "--excess": excess}
    numbers = {"N": params, "D": tokens, "x": x}
    _check_choices(
        sources={"--fit": fit, "--published": published, "--values": values},
        designs={"--points": points, **{OF_INPUT[s]: v for s, v in numbers.items()}},
        of_noise=of_noise,
        of_table={"--columns": columns, "--where": where},
        law=law,
    )
    if fit is None and group is not None:
        _refuse("--group", "it is of a pooled fit", "give the fit with --fit FIT.nc")
    with progress(f"simulating {sets} sets of runs", quiet or json):
        from bayescale.posterior import Posterior
        from bayescale.prediction import decades_beyond
        from bayescale.runs import read_points
        from bayescale.simulation import simulate

        one = "runs are simulated from one law"
        source = (
            _law(law, published, values) if fit is None else load_posterior(fit, law, one, group)
        )
        inputs = (source.spec.law if isinstance(source, Posterior) else source).inputs
        if points is not None:
            design = read_points(points, inputs, parse_columns(columns), where)
        else:
            design = _grid(numbers, inputs)
        simulation = simulate(
            source,
            design,
            _noise(of_noise) if fit is None else None,
            sets=sets,
            seed=seed,
            allow_failed=allow_failed,
        )
        if output is not None:
            simulation.save(output)
    if json:
        emit_json(
            {
                "sets": len(simulation),
                "runs": simulation.loss.shape[1],
                "law": simulation.law,
                "noise": simulation.noise,
                "seed": simulation.seed,
                "path": None if output is None else str(output),
            }
        )
    elif output is None:
        sys.stdout.write(simulation.to_csv())
    else:
        emit(repr(simulation))
        if not quiet:
            note(f"saved to {output}")
    if isinstance(source, Posterior):
        report(source, decades_beyond(source.runs, design), quiet or json)


def _refuse(where: str, what: str, remedy: str) -> NoReturn:
    raise InputError(Problem(where, what, remedy=remedy))


def _check_choices(
    sources: Options, designs: Options, of_noise: Options, of_table: Options, law: str | None
) -> None:
    """One source, one design, and nothing that goes with another."""
    given = [*map(_given, (sources, designs, of_noise, of_table))]
    if len(given[0]) != 1:
        found = " and ".join(given[0]) or "none"
        _refuse(
            "the law to simulate from",
            f"{found} given",
            "give either --fit FIT.nc, or --law with --published KEY or --values NAME=NUMBER,...",
        )
    if not given[1] or ("--points" in given[1] and len(given[1]) > 1):
        found = " and ".join(given[1]) or "none"
        _refuse(
            "the design",
            f"{found} given",
            "give either --points TABLE, or --params and --tokens (--x for a law of one variable)",
        )
    if sources["--fit"] is None and law is None:
        _refuse("--law", "it is missing", "say of which law these are the parameters")
    if sources["--fit"] is not None and given[2]:
        _refuse(given[2][0], "a fit has its own noise", "leave it out")
    if designs["--points"] is None and given[3]:
        _refuse(given[3][0], "it is for a table of points", "give the table with --points")


def _given(options: Options) -> list[str]:
    return [name for name, value in options.items() if value not in (None, [])]


def _law(name: str | None, published: str | None, values: list[str] | None) -> Law:
    """A law with its parameters, from a published fit or as they were typed."""
    from bayescale.laws import get_law

    law = get_law(name)
    if published is not None:
        keys = [fit.key for fit in law.published]
        if published not in keys:
            remedy = (
                f"use one of {', '.join(keys)}" if keys else "give its parameters with --values"
            )
            _refuse("--published", f"the law {law.name!r} has no fit {published!r}", remedy)
        return law.from_published(published)
    given: dict[str, float] = {}
    for item in parse_names(values):
        parameter, _, text = (part.strip() for part in item.partition("="))
        if parameter in given:
            _refuse("--values", f"{parameter} stands twice", "give each parameter once")
        given[parameter] = _number(f"--values {parameter}", text)
    return law(**_exactly("--values", given, law, "law"))


def _noise(options: Mapping[str, str | None]) -> Noise:
    """A noise model with its parameters."""
    from bayescale.noise import get_noise

    noise = get_noise(options["--noise"] or ("student-t" if options["--nu"] else "gaussian"))
    given = {
        option.removeprefix("--"): _number(option, text)
        for option, text in options.items()
        if option != "--noise" and text is not None
    }
    return noise(**_exactly("--sigma, --nu", given, noise, "noise"))


def _exactly(
    option: str, given: dict[str, float], cls: type[Law] | type[Noise], kind: str
) -> dict[str, float]:
    """The parameters that were given, if they are those of the class."""
    needed = [p.name for p in cls.parameters()]
    wrong = [f"{name} is missing" for name in needed if name not in given]
    wrong += [f"there is no parameter {name!r}" for name in given if name not in needed]
    if wrong:
        _refuse(option, wrong[0], f"the {cls.name} {kind} has {', '.join(needed)}")
    return given


def _number(option: str, text: str) -> float:
    numbers = parse_numbers(option, [text]) or []
    if len(numbers) != 1:
        _refuse(option, f"{text!r} is not one number", "give one number")
    return numbers[0]


def _grid(options: Mapping[str, list[str] | None], inputs: tuple[str, ...]) -> dict[str, Any]:
    """Every value of one input with every value of the others."""
    import numpy as np

    given = {s: parse_numbers(OF_INPUT[s], items) for s, items in options.items()}
    axes = {s: numbers for s, numbers in given.items() if numbers is not None}
    needed = " and ".join(OF_INPUT.get(s, "--points") for s in inputs)
    for symbol in axes:
        if symbol not in inputs:
            _refuse(OF_INPUT[symbol], f"the law has no input {symbol}", f"give {needed}")
    for symbol in inputs:
        if symbol not in axes:
            where = OF_INPUT.get(symbol, symbol)
            _refuse(where, "it is missing", f"the law needs {', '.join(inputs)}: give {needed}")
    grid = np.meshgrid(*axes.values(), indexing="ij")
    return {s: values.ravel() for s, values in zip(axes, grid, strict=True)}
