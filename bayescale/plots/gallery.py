"""All figures of a fit as files."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bayescale.allocation import Allocation
from bayescale.backtesting import Backtest
from bayescale.cache import write_atomically
from bayescale.calibration import Calibration
from bayescale.comparison import Comparison
from bayescale.designing import Design
from bayescale.errors import InputError, Problem
from bayescale.identifiability import Identifiability
from bayescale.intervals import DEFAULT_LEVEL
from bayescale.isoflops import IsoFlop
from bayescale.monitoring.under_way import Monitoring
from bayescale.outlying import Outliers
from bayescale.plans import Region
from bayescale.plots.backtest_outcomes import plot_backtest
from bayescale.plots.budget_curves import plot_budgets
from bayescale.plots.chain_ranks import plot_ranks
from bayescale.plots.compared_laws import plot_comparison
from bayescale.plots.compute_gain import plot_speedup
from bayescale.plots.designed_runs import plot_design
from bayescale.plots.groups_and_population import plot_groups
from bayescale.plots.isoflop_parabolas import plot_isoflop
from bayescale.plots.loss_and_compute import plot_loss
from bayescale.plots.near_best_splits import plot_region
from bayescale.plots.optimal_allocation import plot_allocation
from bayescale.plots.outlying_runs import plot_outliers
from bayescale.plots.prior_and_posterior import plot_prior_posterior
from bayescale.plots.prior_shares import plot_identifiability
from bayescale.plots.rank_distributions import plot_calibration
from bayescale.plots.run_under_way import plot_monitoring
from bayescale.plots.runs_and_fit import plot_runs
from bayescale.plots.style import house_style
from bayescale.pooled import PooledFit
from bayescale.posterior import Posterior
from bayescale.publications import PublishedFit
from bayescale.speedups import Speedup

FORMATS = ("png", "pdf")


def save_plots(
    posterior: Posterior,
    folder: str | Path,
    level: float = DEFAULT_LEVEL,
    held_out: Any = None,
    compare_to: Sequence[PublishedFit] = (),
) -> list[Path]:
    """Write every figure of a fit as PNG and PDF, and return the paths.

    Parameters
    ----------
    posterior
        The fit.
    folder
        Where to; made if it is not there.
    level
        Mass of the intervals.
    held_out
        Runs that were not fitted, for the figure of loss against compute.
    compare_to
        Published fits of laws of the same inputs, drawn beside this one.
    """
    figures: dict[str, Callable[[], Any]] = {
        "runs_and_fit": lambda: plot_runs(posterior, level=level),
        "loss_and_compute": lambda: plot_loss(
            posterior, level=level, held_out=held_out, compare_to=compare_to
        ),
        "prior_and_posterior": lambda: plot_prior_posterior(posterior),
        "chain_ranks": lambda: plot_ranks(posterior),
    }
    if set(posterior.spec.law.inputs) == {"N", "D"} and posterior.diagnostics.verdict != "failed":
        figures["optimal_allocation"] = lambda: plot_allocation(
            posterior, level=level, compare_to=compare_to or None
        )
    folder = _made(folder)
    return [path for name, draw in figures.items() for path in _write(name, draw, folder)]


FIGURES: dict[type, tuple[str, Callable[..., Any]]] = {
    Allocation: ("allocation", plot_budgets),
    Backtest: ("backtest", plot_backtest),
    Calibration: ("calibration", plot_calibration),
    Comparison: ("comparison", plot_comparison),
    Design: ("design", plot_design),
    Identifiability: ("identifiability", plot_identifiability),
    IsoFlop: ("isoflop", plot_isoflop),
    Monitoring: ("monitoring", plot_monitoring),
    Outliers: ("outliers", plot_outliers),
    PooledFit: ("groups", plot_groups),
    Region: ("region", plot_region),
    Speedup: ("speedup", plot_speedup),
}  # of results with one figure: name of the file, and what draws it


def save_plot(result: Any, folder: str | Path, **options: Any) -> list[Path]:
    """Write the figure of a result as PNG and PDF into a folder, and return the paths.

    Parameters
    ----------
    result
        An `Allocation` of several budgets, `Backtest`, `Calibration`, `Comparison`, `Design`,
        `Identifiability`, `IsoFlop`, `Monitoring`, `Outliers`, `PooledFit`, `Region` or `Speedup`.
    folder
        Where to; made if it is not there.
    **options
        Of the function that draws it, such as `plot_groups`.

    Raises
    ------
    InputError
        There is no such figure, or the folder cannot be made.
    """
    if type(result) not in FIGURES:
        known = ", ".join(kind.__name__ for kind in FIGURES)
        raise InputError(
            Problem("result", f"{type(result).__name__} has no figure of this kind",
                    remedy=f"give a {known}; for all figures of a fit, call save_plots")
        )  # fmt: skip
    name, plot = FIGURES[type(result)]
    return _write(name, lambda: plot(result, **options), _made(folder))


def _made(folder: str | Path) -> Path:
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(Problem(str(folder), f"it cannot be made: {error.strerror}")) from None
    return folder


def _write(name: str, draw: Callable[[], Any], folder: Path) -> list[Path]:
    from matplotlib import pyplot

    axes = np.atleast_1d(np.asarray(draw(), dtype=object)).ravel()
    paths = []
    for form in FORMATS:
        buffer = io.BytesIO()
        with house_style():
            axes[0].figure.savefig(buffer, format=form)
        paths.append(folder / f"{name}.{form}")
        write_atomically(paths[-1], buffer.getvalue())
    pyplot.close(axes[0].figure)
    return paths
