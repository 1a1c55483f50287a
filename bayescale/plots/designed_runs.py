"""Where the runs of a design would sit, and what each would leave of the uncertainty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.designing import Design
from bayescale.plots.style import BLUE, GREY, ORANGE, house_style, log_range, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RATIOS = (2.0, 20.0, 200.0)  # D/N of the lines


def plot_design(result: Design, axes: Any = None) -> tuple[Axes, Axes]:
    """Plot where each run of a design would sit, and the answer's sd as they are made.

    On the left the plane of N and D: allowed runs, darker where one alone would tell more of the answer,
    the runs that were fitted, and those chosen with their numbers. For a law of compute alone, what is
    left of the sd after one run against its FLOPs. On the right what is left of the sd after each run,
    against the FLOPs spent.

    Parameters
    ----------
    result
        The design.
    axes
        Two axes to draw on; new ones if None.

    Returns
    -------
    tuple of Axes
        Where the runs sit; what they leave.
    """
    with house_style():
        left, right = new_axes(1, 2, height=3.2, width=7.6) if axes is None else axes
        if "N" in result.points:
            _plane(result, left)
        else:
            _line(result, left)
        _spent(result, right)
        return left, right


def _plane(result: Design, ax: Axes) -> None:
    told = 1 - result.candidate_sd / result.sd_before
    shown = ax.scatter(
        result.candidates["N"], result.candidates["D"], c=100 * np.maximum(told, 0), cmap="Blues",
        marker="s", s=15, vmin=0, lw=0.2, edgecolor=GREY, label="allowed",
    )  # fmt: skip
    ax.figure.colorbar(shown, ax=ax, pad=0.02, label="sd taken off by one run alone (%)")
    if result.runs is not None:
        ax.scatter(
            result.runs.N, result.runs.D, s=7, color=GREY, alpha=0.7, lw=0, label="fitted", zorder=2
        )
    N, D = result.points["N"], result.points["D"]
    ax.scatter(N, D, s=95, color=ORANGE, zorder=3, lw=0.6, edgecolor="white", label="to run")
    _numbered(ax, N, D)
    ax.set(xscale="log", yscale="log", xlabel="parameters N", ylabel="training tokens D")
    _ratio_lines(ax)
    ax.set_title(f"runs for {result.target}", loc="left")
    ax.legend(loc="upper left", handletextpad=0.2, borderaxespad=0.1)


def _numbered(ax: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """Write the number of each run on its mark."""
    style: dict[str, Any] = {"ha": "center", "va": "center_baseline", "fontsize": 7, "zorder": 4}
    for i, place in enumerate(zip(x, y, strict=True)):
        ax.annotate(str(i + 1), place, color="white", **style)


def _ratio_lines(ax: Axes) -> None:
    """Lines of constant D/N, named at their upper end."""
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    for ratio in RATIOS:
        start, end = max(left, low / ratio), min(right, high / ratio)
        if start >= end:
            continue
        N = log_range(start, end, 2)
        ax.plot(N, ratio * N, color=GREY, lw=0.6, ls=(0, (4, 2)), zorder=1)
        ax.annotate(
            f"D = {ratio:g} N", (end, ratio * end), xytext=(-2, -2), textcoords="offset points",
            ha="right", va="top", fontsize=6.5, color=GREY,
        )  # fmt: skip
    ax.set(xlim=(left, right), ylim=(low, high))


def _line(result: Design, ax: Axes) -> None:
    left = 100 * result.candidate_sd / result.sd_before
    ax.plot(result.candidate_C, left, "o", ms=3, color=BLUE, label="allowed")
    chosen = np.searchsorted(result.candidate_C, result.C)
    ax.plot(result.C, left[chosen], "o", ms=9, color=ORANGE, label="to run")
    _numbered(ax, result.C, left[chosen])
    ax.set(xscale="log", xlabel="training FLOPs C", ylabel="sd left by one run alone (% of now)")
    ax.set_title(f"runs for {result.target}", loc="left")
    ax.legend()


def _spent(result: Design, ax: Axes) -> None:
    spent, left = np.cumsum(result.C), 100 * result.sd_after / result.sd_before
    ax.plot(spent, left, "-", color=BLUE, lw=1.0)
    ax.scatter(spent, left, s=95, color=ORANGE, zorder=3, lw=0.6, edgecolor="white")
    _numbered(ax, spent, left)
    for check, marker, label in (
        (result.reweighted, "_", "by reweighting"),
        (result.refitted, "x", "by refits"),
    ):
        if check is not None and np.isfinite(check.sd):
            ax.plot(
                spent[-1], 100 * check.sd / result.sd_before, marker, color="black", ms=9, zorder=5,
                label=label, ls="none",
            )  # fmt: skip
    ax.axhline(100, color=GREY, lw=0.8)
    ax.axvline(result.budget, color=GREY, lw=0.8, ls=(0, (4, 2)), label="budget")
    ax.set(
        xscale="log", ylim=(0, 106), xlabel="FLOPs spent on the runs", ylabel="sd of the answer (% of now)"
    )  # fmt: skip
    before, after = (f"{i.lower:.3g} to {i.upper:.3g}" for i in (result.before, result.after))
    ax.set_title(f"{result.level:.0%} interval: {before}, then {after}", loc="left")
    ax.legend(loc="lower left")
