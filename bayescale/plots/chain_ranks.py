"""Do the chains agree? Ranks of each chain's draws among all draws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.plots.style import BLUE, GREEN, GREY, ORANGE, RED, house_style, new_axes
from bayescale.posterior import Posterior

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = (BLUE, ORANGE, GREEN, RED)
BINS = 20


def plot_ranks(posterior: Posterior, axes: Any = None) -> list[Axes]:
    """Plot, for each coordinate, the histogram of ranks of each chain's draws among all draws.

    Chains that sample the same distribution have flat histograms; the grey band holds 99% of the
    bars of independent draws.

    Parameters
    ----------
    posterior
        The fit.
    axes
        As many axes as the model has coordinates; new ones if None.

    Returns
    -------
    list of Axes
        One for each coordinate.

    References
    ----------
    Vehtari et al. 2021, Rank-normalization, folding, and localization, arXiv:1903.08008, section 4.
    """
    coordinates = posterior.spec.coordinates
    with house_style():
        if axes is None:
            columns = min(4, len(coordinates))
            rows = -(-len(coordinates) // columns)
            axes = np.atleast_1d(
                new_axes(rows, columns, height=1.6 * rows, width=7.4, sharex=True, sharey=True)
            ).ravel()
        expected = posterior.shape[1] / BINS
        margin = 2.576 * np.sqrt(expected * (1 - 1 / BINS))
        for ax, coordinate in zip(axes, coordinates, strict=False):
            draws = posterior.coordinates[coordinate.name]
            ranks = (np.argsort(np.argsort(draws, axis=None)) / draws.size).reshape(draws.shape)
            ax.axhspan(1 - margin / expected, 1 + margin / expected, color=GREY, alpha=0.2, lw=0)
            for chain, row in enumerate(ranks):
                counts, edges = np.histogram(row, BINS, (0, 1))
                ax.stairs(
                    counts / expected,
                    edges,
                    baseline=None,
                    color=COLOURS[chain % len(COLOURS)],
                    lw=1.0,
                )
            ax.set_title(f"${coordinate.symbol}$", loc="left")
            ax.set_ylim(0, 2)
            ax.tick_params(labelbottom=True)
        for ax in axes[len(coordinates) :]:
            ax.remove()
        figure = axes[0].figure
        figure.supxlabel("rank among all draws (share)", fontsize=9)
        figure.supylabel("draws of the chain / expected", fontsize=9)
        return list(axes[: len(coordinates)])
