"""What the runs taught: prior against posterior of every coordinate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.plots.style import BLUE, GREY, house_style, new_axes
from bayescale.posterior import Posterior

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOGARITHMIC_FROM = 20.0  # ratio of the prior's ends above which the axis is logarithmic


def plot_prior_posterior(posterior: Posterior, axes: Any = None) -> list[Axes]:
    """Plot the prior and the posterior density of each coordinate.

    The axis covers the central 99% of the prior; a posterior much narrower than that is a spike,
    with its width printed beside it as a share of the prior's.

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
    """
    coordinates = posterior.spec.coordinates
    with house_style():
        if axes is None:
            columns = min(4, len(coordinates))
            rows = -(-len(coordinates) // columns)
            axes = np.atleast_1d(new_axes(rows, columns, height=1.65 * rows, width=7.4)).ravel()
        for ax, coordinate in zip(axes, coordinates, strict=False):
            prior = coordinate.prior.quantile(np.linspace(0.005, 0.995, 400), posterior.reference)
            draws = posterior.coordinates[coordinate.name].ravel()
            low, high = min(prior[0], draws.min()), max(prior[-1], draws.max())
            logarithmic = low > 0 and high / low > LOGARITHMIC_FROM
            bins = np.geomspace(low, high, 60) if logarithmic else np.linspace(low, high, 60)
            _density(ax, prior, bins, GREY, "prior", logarithmic)
            _density(ax, draws, bins, BLUE, "posterior", logarithmic)
            if logarithmic:
                ax.set_xscale("log")
            share = np.ptp(np.quantile(draws, [0.05, 0.95])) / np.ptp(
                np.quantile(prior, [0.05, 0.95])
            )
            ax.annotate(
                f"{share:.2g} of the\nprior's width", (0.97, 0.95), xycoords="axes fraction",
                ha="right", va="top", fontsize=7, color=BLUE,
            )  # fmt: skip
            ax.set_title(f"${coordinate.symbol}$", loc="left")
            ax.set_yticks([])
            ax.spines["left"].set_visible(False)
        for ax in axes[len(coordinates) :]:
            ax.remove()
        axes[0].legend(loc="upper left", handlelength=1)
        return list(axes[: len(coordinates)])


def _density(
    ax: Axes, draws: np.ndarray, bins: np.ndarray, colour: str, label: str, logarithmic: bool
) -> None:
    """A histogram scaled to a peak of 1, so that a spike does not flatten the prior."""
    counts, _ = np.histogram(draws, bins)
    widths = np.diff(np.log(bins)) if logarithmic else np.diff(bins)
    height = counts / widths
    ax.stairs(height / height.max(), bins, fill=True, color=colour, alpha=0.35, label=label)
    ax.stairs(height / height.max(), bins, color=colour, lw=1.0)
