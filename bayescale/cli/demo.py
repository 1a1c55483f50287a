"""``bayescale demo``: fit the smaller runs of the embedded sweep, forecast the larger ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bayescale.cli.options import Json, Level, Quiet
from bayescale.cli.output import drawing, emit, emit_json, note, progress

NAME = "demo"
EXAMPLE = "Example:  bayescale demo --plots figures"


def run(
    law: Annotated[str, typer.Option(help="The law to fit.")] = "coupled",
    level: Level = 0.9,
    plots: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the figures here, as PNG and PDF.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fit the smaller runs of the embedded sweep, forecast the held-out larger ones, and keep score."""
    with progress(f"fitting {law} to the smaller runs of the embedded sweep", quiet or json):
        from bayescale.allocation.allocating import allocate
        from bayescale.cli.fit import fit_json
        from bayescale.datasets import load_byte_sweep
        from bayescale.fitting import fit
        from bayescale.prediction import predict

        runs, held_out = load_byte_sweep("fit"), load_byte_sweep("forecast")
        posterior = fit(runs, law)
        forecast = predict(posterior, points=held_out.inputs, level=level)
        budget = float(held_out.C.max())
        allocation = allocate(posterior, budget, level=level)
        inside = [
            i.lower <= y <= i.upper for i, y in zip(forecast.intervals, held_out.loss, strict=True)
        ]
    if plots is not None:
        with drawing(plots, quiet or json):
            from bayescale.plots import save_plots

            save_plots(posterior, plots, level, held_out)
    if json:
        emit_json(
            {
                "fit": fit_json(posterior, level) | {"path": None},
                "forecast": [
                    {**point, "observed": float(y), "inside": hit}
                    for point, y, hit in zip(
                        forecast.to_json()["points"], held_out.loss, inside, strict=True
                    )
                ],
                "inside": sum(inside),
                "of": len(inside),
                "allocation": allocation.to_json(),
            }
        )
        return
    emit(str(runs.describe()))
    emit("\n" + posterior.text(level))
    emit(
        f"\nForecast of {len(held_out)} held-out runs with 5 to 10 times the compute of all of these:"
    )
    emit(forecast.with_observed(held_out.loss).text())
    emit(f"\n{sum(inside)} of {len(inside)} held-out runs fell inside their {level:.0%} interval.")
    emit("\n" + repr(allocation))
    if plots is not None and not quiet:
        note(f"figures in {plots}")
