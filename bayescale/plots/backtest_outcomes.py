"""Forecasts of a backtest beside what was observed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.backtesting import Backtest, Origin
from bayescale.errors import InputError
from bayescale.plots.style import BLUE, GREY, RED, house_style, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_backtest(result: Backtest, axes: Any = None) -> np.ndarray:
    """Plot every outcome against its forecast: how far from the median, and the interval.

    Parameters
    ----------
    result
        The backtest.
    axes
        As many axes as there are origins with forecasts; new ones if None.

    Returns
    -------
    array of Axes
        One for each origin with forecasts, the one with the fewest runs first.

    Raises
    ------
    InputError
        No origin gave forecasts.
    """
    origins = [origin for origin in result.origins if origin.prediction is not None]
    if not origins:
        raise InputError("there is nothing to plot: no fit to the cheaper runs gave a forecast")
    with house_style():
        mine = axes is None
        if mine:
            axes = new_axes(1, len(origins), width=min(2.6 * len(origins) + 0.8, 9), sharey=True)
        axes = np.atleast_1d(np.asarray(axes, dtype=object)).ravel()
        for ax, origin in zip(axes, origins, strict=True):
            _draw(ax, result, origin)
        axes[0].set_ylabel("observed less forecast, log loss (%)")
        if mine:
            handles, labels = axes[0].get_legend_handles_labels()
            axes[0].figure.legend(handles, labels, loc="outside lower center", ncols=3)
        else:
            axes[0].legend(loc="upper left")
    return axes


def _draw(ax: Axes, result: Backtest, origin: Origin) -> None:
    from matplotlib.ticker import LogFormatterSciNotation, LogLocator, NullFormatter

    assert origin.prediction is not None
    compute = result.compute[origin.forecast]
    low, high = 100 * np.log(origin.ends / [i.median for i in origin.intervals])
    ax.vlines(
        compute, low, high, color=BLUE, alpha=0.3, lw=2.2, label=f"{result.level:.0%} interval"
    )
    ax.axhline(0, color=BLUE, lw=0.8)
    inside = origin.inside
    for mine, colour, marker, label in (
        (inside, GREY, "o", "inside"),
        (~inside, RED, "X", "outside"),
    ):
        ax.scatter(
            compute[mine], 100 * origin.error[mine], s=16, color=colour, marker=marker, lw=0,
            zorder=3, label=label,
        )  # fmt: skip
    two = {"N", "D"} <= set(origin.prediction.points)
    ax.set(
        xscale="log",
        xlabel="training FLOPs C" if two else " × ".join(origin.prediction.points),
        title=f"{len(origin.fitted)} runs fitted: {inside.mean():.0%} covered",
    )
    # Over less than a decade matplotlib names every minor tick, and the names overlap.
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=4))
    ax.xaxis.set_major_formatter(
        LogFormatterSciNotation(labelOnlyBase=False, minor_thresholds=None)
    )
    ax.xaxis.set_minor_formatter(NullFormatter())
