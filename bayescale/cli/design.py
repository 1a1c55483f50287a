"""``bayescale design``: which further runs would narrow an answer most."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayescale.cli.fits import open_fit
from bayescale.cli.options import (
    AllowFailed,
    GroupName,
    Json,
    LawClass,
    Level,
    NoiseName,
    Plot,
    Quiet,
    Seed,
    TableOption,
    parse_failed,
    parse_names,
    parse_numbers,
    parse_values,
)
from bayescale.cli.output import draw, emit_result, note_all, progress
from bayescale.errors import InputError, Problem

if TYPE_CHECKING:
    from bayescale.publications import Fit

NAME = "design"
EXAMPLE = 'Example:  bayescale design fit.nc --target "tokens_per_parameter at 1e25" --budget 1e21'


def run(
    fit: Annotated[
        Path,
        typer.Argument(
            metavar="FIT",
            help="A fit or a mixture of laws; or before there are runs the name of a law, with "
            "--params and --ratios.",
        ),
    ],
    target: Annotated[
        str,
        typer.Option(
            metavar="WHAT",
            help='What to narrow: "loss at N=70e9,D=1.4e12", "tokens_per_parameter at 1e25", '
            '"N_opt at 1e25", "D_opt at 1e25", or a parameter such as alpha.',
        ),
    ],
    budget: Annotated[str, typer.Option(metavar="C", help="FLOPs for all further runs together.")],
    params: Annotated[
        list[str] | None,
        typer.Option(
            metavar="N,...", help="Allowed parameters: numbers, or ranges such as 1e8:1e10."
        ),
    ] = None,
    tokens: Annotated[
        list[str] | None,
        typer.Option(metavar="D,...", help="Allowed training tokens, likewise."),
    ] = None,
    ratios: Annotated[
        list[str] | None,
        typer.Option(metavar="D/N,...", help="Allowed tokens per parameter, instead of --tokens."),
    ] = None,
    at: Annotated[
        list[str] | None,
        typer.Option(metavar="INPUT=VALUE,...", help="Other inputs of the law, by symbol."),
    ] = None,
    runs: Annotated[int, typer.Option(help="Number of runs at most.")] = 8,
    refits: Annotated[
        int, typer.Option(help="Simulated outcomes to fit, as a check of the width after the runs.")
    ] = 0,
    flops_per_parameter_token: Annotated[
        str | None,
        typer.Option(
            metavar="K", help="k of C = k N D; by default 6, or what the runs' FLOPs say."
        ),
    ] = None,
    noise: NoiseName = "student-t",
    loss: Annotated[
        float, typer.Option(help="Before there are runs: about how low losses would be.")
    ] = 3.0,
    level: Level = 0.9,
    seed: Seed = 0,
    group: GroupName = None,
    law: LawClass = None,
    allow: AllowFailed = None,
    plots: Plot = None,
    table: TableOption = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say which further runs would narrow an answer most, within a budget of compute."""
    allow_failed = parse_failed(allow)
    money = parse_numbers("--budget", [budget])
    factors = parse_numbers("--flops-per-parameter-token", [flops_per_parameter_token or ""])
    if not money or len(money) > 1:
        raise InputError(
            Problem(
                "--budget", f"it is {budget!r}", "it is one number of FLOPs", "write --budget 1e21"
            )
        )
    with progress("comparing runs", quiet or json):
        from bayescale.designing import design

        options: dict[str, Any] = {
            "params": parse_names(params) or None,
            "tokens": parse_names(tokens) or None,
            "ratios": parse_names(ratios) or None,
        }
        result = design(
            _source(fit, law, group),
            target,
            money[0],
            **options,
            at=parse_values("--at", at),
            runs=runs,
            refits=refits,
            level=level,
            flops_per_parameter_token=factors[0] if factors else None,
            noise=noise,
            loss=loss,
            seed=seed,
            allow_failed=allow_failed,
        )
    draw(result, plots, quiet or json)
    emit_result(result.to_json, result.table, table, json)
    note_all(result.verdicts, json or quiet)


def _source(path: Path, law: str | None, group: str | None) -> Fit | str:
    """The fit, or the name of a law where there is no such file."""
    from bayescale.laws import LAWS

    return str(path) if not path.exists() and str(path) in LAWS else open_fit(path, law, group)
