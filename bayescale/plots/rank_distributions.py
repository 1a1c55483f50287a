"""Is it calibrated? Distributions of the ranks of truths, less the uniform one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.calibration import Calibration
from bayescale.errors import InputError
from bayescale.plots.style import BLUE, GREY, RED, house_style, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_calibration(result: Calibration, axes: Any = None) -> list[Axes]:
    """Plot the empirical distribution of each quantity's ranks, less the uniform one, with its band.

    Ranks of a calibrated quantity stay inside the grey band, anywhere and for all quantities at once, but
    for the stated rate of false alarms. Intervals that are too narrow go above it on the left and below it
    on the right, those that are too wide the other way round; draws that lie too low go below it, those
    that lie too high above.

    Parameters
    ----------
    result
        The calibration.
    axes
        As many axes as there are quantities; new ones if None.

    Returns
    -------
    list of Axes
        One for each quantity.

    Raises
    ------
    InputError
        No replicate counts.

    References
    ----------
    Säilynoja, Bürkner and Vehtari 2022, Graphical test for discrete uniformity, Statistics and
    Computing 32, 32.
    """
    if result.replicates - result.dropped < 2:
        raise InputError("there is nothing to plot: the sampling of the replicates failed")
    count = len(result.ranks)
    at, lower, upper = (np.concatenate([[0.0], part, [1.0]]) for part in result.band())
    with house_style():
        if axes is None:
            columns = min(4, count)
            rows = -(-count // columns)
            axes = new_axes(
                rows, columns, height=1.5 * rows + 0.3, width=7.4, sharex=True, sharey=True
            )
        axes = np.atleast_1d(np.asarray(axes, dtype=object)).ravel()
        for ax, (name, values) in zip(axes, result.ranks.items(), strict=False):
            passed = result.passed[name]
            ax.fill_between(at, lower - at, upper - at, color=GREY, alpha=0.2, lw=0)
            ax.axhline(0, color=GREY, lw=0.6)
            ranked = np.concatenate([[0.0], np.sort(values), [1.0]])
            share = np.concatenate([[0.0], np.arange(1, len(values) + 1) / len(values), [1.0]])
            colour = BLUE if passed else RED
            ax.plot(ranked, share - ranked, color=colour, lw=1.2)
            title = _short(result.labels[name]) + ("" if passed else ": fails")
            ax.set_title(title, loc="left", color="black" if passed else RED)
            ax.tick_params(labelbottom=True)
        for ax in axes[count:]:
            ax.remove()
        figure = axes[0].figure
        figure.supxlabel(
            f"rank of the truth among draws, {result.replicates} replicates", fontsize=9
        )
        figure.supylabel("ECDF less uniform", fontsize=9)
        return list(axes[:count])


def _short(label: str) -> str:
    """A label that fits above a small figure."""
    short = label.replace(" times the largest compute", " x compute").replace(" of the runs", "")
    return short.replace("optimal N", "$N_{opt}$").replace(" at ", ", ")
