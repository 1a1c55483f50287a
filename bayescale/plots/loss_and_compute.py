"""Loss against compute: the runs, the compute-optimal loss inside the data and beyond."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayescale.allocation import allocate
from bayescale.intervals import DEFAULT_LEVEL
from bayescale.plots.style import (
    BLUE,
    GREY,
    RED,
    beyond_region,
    house_style,
    log_range,
    new_axes,
    plain_loss_ticks,
    x_label,
)
from bayescale.posterior import Posterior
from bayescale.prediction import predict
from bayescale.runs import Runs

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_loss(
    posterior: Posterior,
    ax: Axes | None = None,
    level: float = DEFAULT_LEVEL,
    decades: float = 3.0,
    held_out: Runs | None = None,
) -> Axes:
    """Plot loss against compute, with the band of the optimal loss inside and beyond the runs.

    For a law of one variable, loss against that variable.

    Parameters
    ----------
    posterior
        The fit.
    ax
        Axes to draw on; new ones if None.
    level
        Mass of the bands.
    decades
        How far beyond the largest run to go.
    held_out
        Runs that were not fitted, to draw with the interval that the fit gives each of them.

    Returns
    -------
    Axes
        The axes.
    """
    with house_style():
        ax = new_axes(height=3.4, width=5.2) if ax is None else ax
        runs = posterior.runs
        two = set(posterior.spec.law.inputs) == {"N", "D"}
        seen = runs.C if two else runs["x"]
        x = log_range(seen.min(), seen.max() * 10**decades, 160)
        if two:
            best = allocate(posterior, x, level=level, allow_failed=True)
            points = {name: np.median(best.draws[name], axis=0) for name in ("N", "D")}
            intervals = best.intervals["loss"]
            new = predict(posterior, points=points, level=level, allow_failed=True).intervals
        else:
            intervals = predict(
                posterior, x=x, kind="law", level=level, allow_failed=True
            ).intervals
            new = predict(posterior, x=x, kind="run", level=level, allow_failed=True).intervals
        inside = x <= seen.max()
        what = "compute-optimal law" if two else "law"
        _band(ax, x, new, 0.13, f"a new run, {level:.0%}")
        _band(ax, x, intervals, 0.35, f"{what}, {level:.0%}")
        median = np.asarray([i.median for i in intervals])
        ax.plot(x[inside], median[inside], color=BLUE)
        ax.plot(x[~inside], median[~inside], color=BLUE, ls=(0, (4, 2)))
        ax.scatter(seen, runs.loss, s=12, color=GREY, alpha=0.7, lw=0, zorder=3, label="runs")
        if held_out is not None:
            _held_out(ax, posterior, held_out, level)
        name = "training FLOPs C" if two else x_label(runs)
        ax.set(xscale="log", yscale="log", xlabel=name, ylabel=f"loss ({runs.loss_unit})",
               title="Loss and compute" if two else "Loss")  # fmt: skip
        plain_loss_ticks(ax)
        ax.set_xlim(x[0] / 1.3, x[-1])
        beyond_region(ax, seen.max())
        ax.legend(loc="lower left", frameon=True, framealpha=0.85, edgecolor="none")
        return ax


def _band(ax: Axes, x: np.ndarray, intervals: tuple, opacity: float, label: str) -> None:
    lower, upper = [i.lower for i in intervals], [i.upper for i in intervals]
    ax.fill_between(x, lower, upper, color=BLUE, alpha=opacity, lw=0, label=label)


def _held_out(ax: Axes, posterior: Posterior, runs: Runs, level: float) -> None:
    intervals = predict(posterior, points=runs.inputs, level=level, allow_failed=True).intervals
    x = runs.C if "N" in posterior.spec.law.inputs else runs["x"]
    for position, interval in zip(x, intervals, strict=True):
        ax.plot(
            [position] * 2, [interval.lower, interval.upper], color=RED, lw=1.2, alpha=0.6, zorder=4
        )
    inside = sum(i.lower <= y <= i.upper for i, y in zip(intervals, runs.loss, strict=True))
    label = f"held-out runs ({inside} of {len(runs)} inside {level:.0%})"
    ax.scatter(x, runs.loss, s=18, color=RED, marker="D", lw=0, zorder=5, label=label)
