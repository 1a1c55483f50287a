"""What the runs taught: prior against posterior of every coordinate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.contraction import MASSES, Contraction
from bayescale.parameters import Coordinate
from bayescale.plots.style import BLUE, GREY, house_style, new_axes
from bayescale.posterior import Posterior

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOGARITHMIC_FROM = 20.0  # ratio of the prior's ends above which the axis is logarithmic


def plot_prior_posterior(posterior: Posterior, axes: Any = None) -> list[Axes]:
    """Plot the prior and the posterior density of each coordinate.

    Each density is scaled to a peak of 1. The number on the right is the width of the posterior's
    90% interval as a share of the prior's: near 100%, the runs taught nothing about it.

    Parameters
    ----------
    posterior
        The fit.
    axes
        As many axes as law and noise have coordinates; new ones if None.

    Returns
    -------
    list of Axes
        One for each coordinate.
    """
    coordinates = posterior.spec.beliefs
    with house_style():
        if axes is None:
            columns = min(4, len(coordinates))
            rows = -(-len(coordinates) // columns)
            axes = np.atleast_1d(new_axes(rows, columns, height=1.75 * rows, width=7.4)).ravel()
        for ax, coordinate in zip(axes, coordinates, strict=False):
            draws = posterior.coordinates[coordinate.name].ravel()
            _panel(ax, coordinate, draws, posterior.reference)
        for ax in axes[len(coordinates) :]:
            ax.remove()
        handles, labels = axes[0].get_legend_handles_labels()
        axes[0].figure.legend(handles, labels, loc="outside upper right", ncols=2)
        return list(axes[: len(coordinates)])


def _panel(
    ax: Axes, coordinate: Coordinate, draws: np.ndarray, reference: Mapping[str, float]
) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
    from scipy.stats import gaussian_kde

    mass = np.linspace(0.002, 0.998, 500)
    prior = coordinate.prior.quantile(mass, reference)
    low, high = min(prior[0], draws.min()), max(prior[-1], draws.max())
    logarithmic = low > 0 and high / low > LOGARITHMIC_FROM
    move = np.log if logarithmic else np.asarray
    # the density is the slope of the mass against the quantile
    density = np.gradient(mass, move(prior))
    ax.fill_between(prior, density / density.max(), color=GREY, alpha=0.3, lw=0, label="prior")
    moved = move(draws)
    grid = np.linspace(moved.min(), moved.max(), 200)
    curve = gaussian_kde(moved)(grid)
    x = np.exp(grid) if logarithmic else grid
    ax.fill_between(x, curve / curve.max(), color=BLUE, alpha=0.55, lw=0.8, label="posterior")
    if logarithmic:
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(numticks=4))
        ax.xaxis.set_minor_formatter(NullFormatter())
        if np.log10(high / low) < 2.2:
            ax.xaxis.set_major_locator(LogLocator(subs=(1, 3), numticks=6))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    share = Contraction.of(draws, coordinate.prior.quantile(MASSES, reference)).ratio
    ax.set_title(f"${coordinate.symbol}$", loc="left")
    ax.set_title(f"{100 * share:.2g}% of the prior", loc="right", fontsize=7.5, color=BLUE)
    ax.set_ylim(0, 1.08)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
