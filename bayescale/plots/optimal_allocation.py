"""The optimal allocation against compute, beside the published rules."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.allocation.allocating import allocate
from bayescale.allocation.splitting import Terms, best_splits
from bayescale.intervals import DEFAULT_LEVEL, Interval
from bayescale.laws import LAWS
from bayescale.plots.style import (
    BLUE,
    GREY,
    ORANGE,
    REFERENCE_LINES,
    beyond_region,
    house_style,
    log_range,
    new_axes,
)
from bayescale.posterior import Posterior
from bayescale.publications import PublishedFit, published

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_allocation(
    posterior: Posterior,
    axes: Any = None,
    level: float = DEFAULT_LEVEL,
    decades: float = 3.0,
    compare_to: Sequence[PublishedFit] | None = None,
) -> tuple[Axes, Axes]:
    """Plot optimal N, and tokens per parameter there, against compute.

    The lines beside the band are the optima of published fits, and 20 tokens per parameter.

    Parameters
    ----------
    posterior
        The fit of a law of N and D.
    axes
        Two axes to draw on; new ones if None.
    level
        Mass of the bands.
    decades
        How far beyond the largest run to go.
    compare_to
        Published fits of laws of N and D; by default those of the Chinchilla law.

    Returns
    -------
    tuple of Axes
        Optimal parameters, tokens per parameter.
    """
    with house_style():
        left, right = new_axes(1, 2, height=3.0, width=7.4) if axes is None else axes
        runs = posterior.runs
        budgets = log_range(runs.C.min(), runs.C.max() * 10**decades, 120)
        best = allocate(posterior, budgets, level=level, allow_failed=True)
        _band(left, budgets, best.intervals["N"], level)
        _band(right, budgets, best.intervals["tokens_per_parameter"], level)
        left.scatter(runs.C, runs.N, s=8, color=GREY, alpha=0.45, lw=0, label="runs")
        right.scatter(runs.C, runs.D / runs.N, s=8, color=GREY, alpha=0.45, lw=0)
        if compare_to is None:
            compare_to = [published(fit.key) for fit in LAWS["chinchilla"].published]
        _published(left, right, budgets, best.flops_per_parameter_token, compare_to)
        left.set(ylabel="optimal parameters N", title="Optimal size")
        right.set(ylabel="tokens per parameter D/N", title="Optimal tokens per parameter")
        for ax in (left, right):
            ax.set(xscale="log", yscale="log", xlabel="training FLOPs C")
            ax.set_xlim(budgets[0], budgets[-1])
            beyond_region(ax, runs.C.max())
        left.legend(loc="lower right")
        return left, right


def _band(ax: Axes, budgets: np.ndarray, intervals: tuple[Interval, ...], level: float) -> None:
    lower, upper = [i.lower for i in intervals], [i.upper for i in intervals]
    ax.fill_between(
        budgets, lower, upper, color=BLUE, alpha=0.3, lw=0, label=f"this fit, {level:.0%}"
    )
    ax.plot(budgets, [i.median for i in intervals], color=BLUE)


def _published(
    left: Axes, right: Axes, budgets: np.ndarray, factor: float, fits: Sequence[PublishedFit]
) -> None:
    for fit, style in zip(fits, itertools.cycle(REFERENCE_LINES[:2]), strict=False):
        best = best_splits(fit.flat_law(), budgets, Terms(factor))
        left.plot(budgets, best.N[0], color=ORANGE, ls=style, lw=1.1, label=fit.fit.key)
        right.plot(budgets, best.D[0] / best.N[0], color=ORANGE, ls=style, lw=1.1)
    left.plot(
        budgets,
        np.sqrt(budgets / factor / 20),
        color=GREY,
        ls=REFERENCE_LINES[2],
        lw=1.1,
        label="D = 20 N",
    )
    right.axhline(20, color=GREY, ls=REFERENCE_LINES[2], lw=1.1)
