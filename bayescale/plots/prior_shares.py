"""What the runs left of the prior of each quantity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.contraction import PRIOR_RATIO
from bayescale.identifiability import Identifiability
from bayescale.plots.style import BLUE, GREY, ORANGE, house_style, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW = 0.21  # inches


def plot_identifiability(result: Identifiability, ax: Any = None) -> Axes:
    """Plot the posterior's sd as a share of the prior's, for each quantity, the largest on top.

    Those above the dotted line are the prior, and marked so; so are parameters that the runs do not
    tell from others.

    Parameters
    ----------
    result
        The findings.
    ax
        Axes to draw on; new ones if None.

    Returns
    -------
    Axes
        The axes, one bar for each quantity.
    """
    from matplotlib.ticker import PercentFormatter

    quantities = sorted(result.quantities, key=lambda q: q.found.ratio)
    places = np.arange(len(quantities))
    ratios = np.array([q.found.ratio for q in quantities])
    marked = np.array([q.is_prior for q in quantities])
    with house_style():
        mine_alone = ax is None
        if ax is None:
            ax = new_axes(height=ROW * len(quantities) + 1.0)
        ax.barh(
            places, np.ones(len(places)), height=0.75, color=GREY, alpha=0.18, lw=0, label="prior"
        )
        for mine, colour, label in (
            (~marked, BLUE, "posterior"),
            (marked, ORANGE, f"posterior, above {PRIOR_RATIO:.0%}: is the prior"),
        ):
            if mine.any():
                ax.barh(places[mine], ratios[mine], height=0.45, color=colour, lw=0, label=label)
        for place, q in enumerate(quantities):
            ax.annotate(
                f"{q.found.ratio:.0%} {q.mark}", (q.found.ratio, place),
                xytext=(3, 0), textcoords="offset points", va="center", fontsize=7,
                color=ORANGE if q.mark else BLUE,
            )  # fmt: skip
        ax.axvline(PRIOR_RATIO, color=GREY, lw=0.8, ls=":")
        ax.set_yticks(places, [q.label for q in quantities])
        ax.tick_params(axis="y", length=0)
        ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        ax.set_xlim(0, max(1.12, float(np.nanmax(ratios)) + 0.15))
        ax.set_ylim(-0.6, len(places) - 0.4)
        ax.set_xlabel("sd of the posterior, as a share of the prior's")
        ax.set_title(f"{result.law} law, {result.n_runs} runs", loc="left")
        if mine_alone:
            ax.figure.legend(loc="outside lower center", ncols=3)
        else:
            ax.legend(loc="lower right")
    return ax
