"""The gain of one recipe over another against scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayescale.plots.style import BLUE, GREY, ORANGE, beyond_region, house_style, new_axes
from bayescale.runs.catalogue import meaning_of
from bayescale.speedups import Speedup

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROOM = 30.0  # times above and below the medians: how far the band may stretch the axis


def plot_speedup(result: Speedup, ax: Axes | None = None) -> Axes:
    """Plot the gain against scale with its interval, the line of no gain, and the crossing.

    Parameters
    ----------
    result
        The gain.
    ax
        Axes to draw on; new ones if None.

    Returns
    -------
    Axes
        Gain against the scale of B, both logarithmic.
    """
    with house_style():
        ax = new_axes(height=3.2, width=5.2) if ax is None else ax
        curve, crossing = result.curve, result.crossing
        if not result.is_point:
            label = f"{result.level:.0%} interval"
            ax.fill_between(
                curve.scale, curve.lower, curve.upper, color=BLUE, alpha=0.25, lw=0, label=label
            )
        reached = np.where(curve.median > 0, curve.median, np.nan)
        ax.plot(curve.scale, reached, color=BLUE, label="gain of A over B")
        ax.axhline(1.0, color=GREY, lw=0.9, ls=(0, (4, 2)))
        if crossing.interval is not None:
            found, share = crossing.interval, "" if result.is_point else f", {crossing.share:.0%}"
            ends = np.abs(np.array([[found.lower], [found.upper]]) - found.median)
            ax.errorbar(
                found.median, 1.0, xerr=None if result.is_point else ends, fmt="o", ms=4,
                capsize=2.5, lw=1.2, color=ORANGE, label=f"they cross{share}",
            )  # fmt: skip
        ax.set(xscale="log", yscale="log", xlim=crossing.within, ylabel="gain of A over B")
        scale = "training FLOPs C" if result.symbol == "C" else meaning_of(result.symbol)
        ax.set_xlabel(f"{scale} of B")
        middle = np.append(reached[np.isfinite(reached)], 1.0)
        low, high = middle.min() / ROOM, middle.max() * ROOM
        shown = np.clip(np.concatenate([curve.lower, curve.upper, middle]), low, high)
        ax.set_ylim(shown.min() / 1.5, shown.max() * 1.5)
        _plain_ticks(ax)
        largest = result.scale[0] / result.times[0]
        if crossing.within[0] < largest < crossing.within[1]:
            beyond_region(ax, largest, "beyond the runs of B")
        ax.legend(loc="best")
        return ax


def _plain_ticks(ax: Axes) -> None:
    """Gains as plain numbers on a logarithmic axis, several to a decade where it shows few."""
    from matplotlib.ticker import LogLocator, NullFormatter

    low, high = ax.get_ylim()
    steps = (1, 2, 3, 5) if high < 30 * low else (1,)
    ax.yaxis.set_major_locator(LogLocator(base=10, subs=steps))
    ax.yaxis.set_major_formatter(lambda gain, _: f"{gain:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())
