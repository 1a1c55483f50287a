"""Residuals of a fit, with the probability of each run that it is an outlier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.outlying import Outliers
from bayescale.plots.style import GREY, RED, house_style, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMED = 12  # likely outliers that are named in the figure


def plot_outliers(result: Outliers, ax: Any = None) -> Axes:
    """Plot the standardised residual of every run against compute; colour and size are probability.

    Between the dashed lines, where normal scatter stays, the axis is linear; beyond, logarithmic.

    Parameters
    ----------
    result
        What `bayescale.outliers` found.
    ax
        Axes to draw on; new ones if None.
    """
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    with house_style():
        ax = new_axes(height=3.2, width=5.6) if ax is None else ax
        colours = LinearSegmentedColormap.from_list("outliers", [GREY, RED])
        order = result.order[::-1]  # likely ones on top
        shown = ax.scatter(
            result.compute[order], result.standardised[order], c=result.probability[order],
            s=12 + 40 * result.probability[order], cmap=colours, vmin=0, vmax=1,
            edgecolor="white", lw=0.3, zorder=3,
        )  # fmt: skip
        for level in (-result.k, result.k):
            ax.axhline(level, color=GREY, lw=0.8, ls=(0, (4, 2)))
        ax.axhline(0, color=GREY, lw=0.6)
        two = {"N", "D"} <= set(result.runs.inputs)
        label = "training FLOPs C" if two else " × ".join(result.runs.inputs)
        ax.set(
            xscale="log", xlabel=label, ylabel=f"residual of log {result.runs.outcome} (sd of the core)",
            title=f"{len(result)} likely outlier{'s' * (len(result) != 1)} among {len(result.runs)} runs",
        )  # fmt: skip
        ax.margins(x=0.12)
        ax.set_yscale("symlog", linthresh=result.k, linscale=1.5)
        farthest = max(1.3 * abs(result.standardised).max(), 1.3 * result.k)
        ticks = [t for t in (2, 5, 10, 20, 50, 100, 1000) if t <= farthest]
        ax.yaxis.set_major_locator(FixedLocator([-t for t in ticks] + [0, *ticks]))
        ax.yaxis.set_major_formatter(
            FuncFormatter(lambda value, _: f"{value:+g}" if value else "0")
        )
        ax.yaxis.set_minor_locator(NullLocator())
        ax.set_ylim(
            min(1.3 * result.standardised.min(), -1.3 * result.k),
            max(1.3 * result.standardised.max(), 1.3 * result.k),
        )
        bar = ax.figure.colorbar(shown, ax=ax, pad=0.02, aspect=28)
        bar.set_label("probability of an outlier")
        bar.outline.set_visible(False)
        named = result.order[: min(len(result), NAMED)]
        for turn, i in enumerate(named[np.argsort(result.standardised[named])].tolist()):
            side = -1 if turn % 2 else 1  # of the point, in turn: neighbours share none
            ax.annotate(
                result.names[i], (result.compute[i], result.standardised[i]), xytext=(6 * side, 0),
                textcoords="offset points", fontsize=7, color=GREY, va="center",
                ha="left" if side > 0 else "right",
            )  # fmt: skip
        return ax
