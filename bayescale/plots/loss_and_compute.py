"""Loss against compute: the runs, the compute-optimal loss inside the data and beyond."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.allocation.allocating import allocate
from bayescale.intervals import DEFAULT_LEVEL
from bayescale.plots.style import (
    BLUE,
    GREY,
    ORANGE,
    RED,
    REFERENCE_LINES,
    beyond_region,
    house_style,
    log_range,
    new_axes,
    plain_loss_ticks,
    size_axis,
)
from bayescale.posterior import Posterior
from bayescale.prediction import predict
from bayescale.publications import PublishedFit
from bayescale.runs import Runs

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_loss(
    posterior: Posterior,
    ax: Axes | None = None,
    level: float = DEFAULT_LEVEL,
    decades: float = 3.0,
    held_out: Runs | None = None,
    compare_to: Sequence[PublishedFit] = (),
) -> Axes:
    """Plot loss against compute, with the band of the optimal loss inside and beyond the runs.

    For a law of one variable, loss against that variable; for one of several inputs, each run with the
    interval of a new one at the same inputs.

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
    compare_to
        Published fits of laws of the same inputs, drawn as lines.

    Returns
    -------
    Axes
        The axes.
    """
    with house_style():
        ax = new_axes(height=3.4, width=5.2) if ax is None else ax
        runs = posterior.runs
        two = set(posterior.inputs) == {"N", "D"}
        seen, name, logarithmic = size_axis(posterior, runs)
        if not two and len(posterior.inputs) > 1:
            _each_run(ax, posterior, seen, level)
            ax.set(xscale="log" if logarithmic else "linear", yscale="log", xlabel=name,
                   ylabel=runs.what, title="Loss")  # fmt: skip
            plain_loss_ticks(ax)
            ax.legend(loc="lower left", frameon=True, framealpha=0.85, edgecolor="none")
            return ax
        x = log_range(seen.min(), seen.max() * 10**decades, 160)
        if two:
            best = allocate(posterior, x, level=level, allow_failed=True)
            points = {name: np.median(best.draws[name], axis=0) for name in ("N", "D")}
            intervals = best.intervals["loss"]
            new = predict(posterior, points=points, level=level, allow_failed=True).intervals
        else:
            options: Any = {
                "points": {posterior.inputs[0]: x},
                "level": level,
                "allow_failed": True,
            }
            intervals = predict(posterior, kind="law", **options).intervals
            new = predict(posterior, kind="run", **options).intervals
        inside = x <= seen.max()
        what = "compute-optimal law" if two else "law"
        _band(ax, x, new, 0.13, f"a new run, {level:.0%}")
        _band(ax, x, intervals, 0.35, f"{what}, {level:.0%}")
        for other, style in zip(compare_to, itertools.cycle(REFERENCE_LINES), strict=False):
            points = points if two else {posterior.inputs[0]: x}
            theirs = [i.median for i in predict(other, points=points).intervals]
            ax.plot(x, theirs, color=ORANGE, ls=style, lw=1.1, label=other.fit.key)
        median = np.asarray([i.median for i in intervals])
        ax.plot(x[inside], median[inside], color=BLUE)
        ax.plot(x[~inside], median[~inside], color=BLUE, ls=(0, (4, 2)))
        ax.scatter(seen, runs.loss, s=12, color=GREY, alpha=0.7, lw=0, zorder=3, label="runs")
        if held_out is not None:
            _held_out(ax, posterior, held_out, level)
        ax.set(xscale="log", yscale="log", xlabel=name, ylabel=runs.what,
               title="Loss and compute" if two else "Loss")  # fmt: skip
        plain_loss_ticks(ax)
        ax.set_xlim(x[0] / 1.3, x[-1])
        beyond_region(ax, seen.max())
        ax.legend(loc="lower left", frameon=True, framealpha=0.85, edgecolor="none")
        return ax


def _band(ax: Axes, x: np.ndarray, intervals: tuple, opacity: float, label: str) -> None:
    lower, upper = [i.lower for i in intervals], [i.upper for i in intervals]
    ax.fill_between(x, lower, upper, color=BLUE, alpha=opacity, lw=0, label=label)


def _each_run(ax: Axes, posterior: Posterior, x: np.ndarray, level: float) -> None:
    """What a new run would show at the inputs of each run, since no curve shows several inputs."""
    runs = posterior.runs
    points = {symbol: runs[symbol] for symbol in posterior.inputs}
    found = predict(posterior, points=points, level=level, allow_failed=True).intervals
    lower, upper = [i.lower for i in found], [i.upper for i in found]
    label = f"a new run at the same inputs, {level:.0%}"
    ax.vlines(x, lower, upper, color=BLUE, lw=1.6, alpha=0.35, label=label)
    ax.scatter(x, runs.loss, s=12, color=GREY, alpha=0.8, lw=0, zorder=3, label="runs")


def _held_out(ax: Axes, posterior: Posterior, runs: Runs, level: float) -> None:
    intervals = predict(posterior, points=runs.inputs, level=level, allow_failed=True).intervals
    x, _, _ = size_axis(posterior, runs)
    for position, interval in zip(x, intervals, strict=True):
        ax.plot(
            [position] * 2, [interval.lower, interval.upper], color=RED, lw=1.2, alpha=0.6, zorder=4
        )
    inside = sum(i.lower <= y <= i.upper for i, y in zip(intervals, runs.loss, strict=True))
    label = f"held-out runs ({inside} of {len(runs)} inside {level:.0%})"
    ax.scatter(x, runs.loss, s=18, color=RED, marker="D", lw=0, zorder=5, label=label)
