"""IsoFLOP parabolas, and the optimum of approach 2 beside that of the posterior."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.isoflops import IsoFlop
from bayescale.plots.style import (
    BLUE,
    GREY,
    ORANGE,
    beyond_region,
    house_style,
    log_range,
    new_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_isoflop(result: IsoFlop, axes: Any = None) -> tuple[Axes, Axes]:
    """Plot the parabolas, and N at the optimum against compute by both.

    Parameters
    ----------
    result
        Approach 2 beside a posterior.
    axes
        Two axes to draw on; new ones if None.

    Returns
    -------
    tuple of Axes
        Loss against N with a parabola for each budget; N at the optimum against compute.
    """
    with house_style():
        left, right = new_axes(1, 2, height=3.2, width=7.6) if axes is None else axes
        _parabolas(left, result)
        _optima(right, result)
        return left, right


def _parabolas(ax: Axes, result: IsoFlop) -> None:
    from matplotlib import cm, colormaps, colors

    used = result.used
    shades = colors.ListedColormap(colormaps["viridis"](np.linspace(0.0, 0.85, 256)))
    scale = cm.ScalarMappable(colors.LogNorm(used[0].C, used[-1].C), shades)
    for one in used:
        colour = scale.to_rgba(np.array(one.C))
        ax.scatter(np.exp(one.log_n), one.loss, s=10, color=colour, lw=0)
        x = np.linspace(one.log_n.min(), one.log_n.max(), 100)
        ax.plot(np.exp(x), one.at(x), color=colour, lw=1)
        best = one.log_optimum
        low = one.at(np.array(best))
        ax.plot(np.exp(best), low, "D", ms=4.5, mfc="white", mec=colour, zorder=3)
    ax.set(
        xscale="log",
        xlabel="parameters N",
        ylabel=f"loss ({result.runs.loss_unit})",
        title="A parabola for each budget",
    )
    ax.figure.colorbar(scale, ax=ax, label="training FLOPs C", pad=0.02, aspect=30)


def _optima(ax: Axes, result: IsoFlop) -> None:
    used = result.used
    budgets = log_range(used[0].C, max(used[-1].C * 10, result.C.max()), 100)
    tail = (1 - result.level) / 2
    masses = [tail, 0.5, 1 - tail]
    log_n = result.samples.log_at(budgets)
    lower, _, upper = np.exp(np.nanquantile(log_n, masses, axis=0))
    label = f"approach 2, {result.level:.0%}"
    ax.fill_between(budgets, lower, upper, color=ORANGE, alpha=0.25, lw=0, label=label)
    ax.plot(budgets, np.exp(result.line.log_at(budgets)), color=ORANGE, lw=1)
    ax.plot([p.C for p in used], np.exp([p.log_optimum for p in used]), "D", ms=4.5, mfc="white",
            mec=ORANGE, ls="", label="minima")  # fmt: skip
    rows = [row for row in result.rows if row["C"] is not None]
    at = [row["C"] for row in rows]
    own = np.array(
        [[row["posterior"].lower, row["posterior"].median, row["posterior"].upper] for row in rows]
    )
    ax.errorbar(at, own[:, 1], yerr=np.abs(own[:, [0, 2]] - own[:, [1]]).T, fmt="o", ms=4, color=BLUE,
                capsize=2.5, lw=1.2, label=f"posterior, {result.level:.0%}")  # fmt: skip
    ax.plot(at, own[:, 1] * [row["bias"].median for row in rows], "_", ms=11, color=GREY, mew=1.6,
            label="approach 2 on the posterior's losses")  # fmt: skip
    ax.set(xscale="log", yscale="log", xlabel="training FLOPs C", ylabel="optimal parameters N",
           title=f"Optimum: exponent a = {result.rows[0]['approach_2']}")  # fmt: skip
    if result.C.max() > used[-1].C:
        beyond_region(ax, used[-1].C, "beyond")
    ax.legend(loc="lower right", fontsize=7)
