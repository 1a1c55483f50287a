"""The splits of a budget that lose little, and how surely they do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.plans import Region
from bayescale.plots.style import (
    BLUE,
    GREY,
    ORANGE,
    REFERENCE_LINES,
    house_style,
    new_axes,
    short_log_ticks,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FAR = 4.0  # times the tolerance: splits of more expected loss are not shown
RATIOS = 10.0 ** np.arange(-4, 9)[:, None] * np.array([1.0, 3.0])  # D/N on the upper axis


def plot_region(result: Region, axes: Any = None) -> tuple[Axes, Axes]:
    """Plot the probability that a split is among the best, and the loss it is expected to cost.

    Parameters
    ----------
    result
        The region.
    axes
        Two axes to draw on; new ones if None.

    Returns
    -------
    tuple of Axes
        Probability by size; loss above the best, expected and its 90th percentile.
    """
    with house_style():
        own = axes is None
        left, right = new_axes(1, 2, height=3.6, width=7.4) if own else axes
        listed = {"marker": "o", "ms": 4} if result.terms.sizes else {}
        left.plot(result.N, result.probability, color=BLUE, **listed)
        if not listed:
            left.fill_between(result.N, result.probability, color=BLUE, alpha=0.2, lw=0)
        left.set(ylim=(0, 1.02), ylabel=f"probability within {result.tolerance:.1%} of the best")
        right.plot(result.N, 100 * result.expected, color=BLUE, label="expected", **listed)
        right.plot(
            result.N, 100 * result.high, color=BLUE, ls=REFERENCE_LINES[0], label="90% at most",
            **listed,
        )  # fmt: skip
        right.axhline(100 * result.tolerance, color=GREY, lw=0.8, ls=REFERENCE_LINES[1])
        shown = result.expected <= max(FAR * result.tolerance, 2 * result.expected.min())
        top = 100 * max(FAR * result.tolerance, 1.2 * result.high[result.least])
        right.set(ylim=(0, top), ylabel="loss above the best (%)")
        for ax in (left, right):
            _marks(ax, result)
            ax.set(xscale="log", xlabel="parameters N")
            if not listed:
                ax.set_xlim(result.N[shown].min(), result.N[shown].max())
            short_log_ticks(ax.xaxis)
            _ratios(ax, result)
        if own:
            handles, labels = right.get_legend_handles_labels()
            left.figure.legend(handles, labels, loc="outside lower center", ncols=4)
            left.figure.suptitle(f"Splits of {result.budget}", fontsize=9, x=0.01, ha="left")
        return left, right


def _marks(ax: Axes, result: Region) -> None:
    best = result.best["N"]
    if best.lower < best.upper:
        ax.axvspan(best.lower, best.upper, color=GREY, alpha=0.12, lw=0, zorder=0)
    ax.axvline(best.median, color=GREY, lw=1.1, label=f"best N, {result.level:.0%} interval")
    ax.axvline(
        result.N[result.least], color=ORANGE, lw=1.3, ls=REFERENCE_LINES[0],
        label="least expected regret",
    )  # fmt: skip


def _ratios(ax: Axes, result: Region) -> None:
    """Tokens per parameter on an axis above: they follow from N."""
    from matplotlib.ticker import NullLocator

    ratio = result.D / result.N  # falls with N
    above = ax.twiny()
    above.set(xscale="log", xlim=ax.get_xlim(), xlabel="tokens per parameter D/N")
    low, high = np.interp(np.log(ax.get_xlim()), np.log(result.N), np.log(ratio))
    ticks = [r for r in np.ravel(RATIOS) if high <= np.log(r) <= low]
    places = np.exp(np.interp(-np.log(ticks), -np.log(ratio), np.log(result.N)))
    above.xaxis.set_minor_locator(NullLocator())
    above.set_xticks(places, [f"{tick:g}" for tick in ticks])
    above.spines["top"].set_visible(True)
