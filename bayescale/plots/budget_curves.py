"""Best splits over many budgets: sizes, tokens and loss as curves, with the terms they keep to."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.allocation import Allocation
from bayescale.errors import InputError, Problem
from bayescale.plots.style import (
    BLUE,
    GREY,
    ORANGE,
    RED,
    REFERENCE_LINES,
    beyond_region,
    house_style,
    new_axes,
    short_log_ticks,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS = {
    "N": "parameters N",
    "D": "training tokens D",
    "tokens_per_parameter": "tokens per parameter D/N",
    "loss": "loss",
}
MOSTLY = 0.5  # share of the draws at a limit from which the median is drawn as one at a limit


def plot_budgets(
    result: Allocation, axes: Any = None, compare_to: Mapping[str, Allocation] | None = None
) -> tuple[Axes, ...]:
    """Plot N, D, D/N and loss of the best splits against the budget, with intervals.

    The median is dotted where most draws are at a limit of the terms; limits are grey lines. With a cost, the
    upper axis is money, or device-hours if there is no price.

    Parameters
    ----------
    result
        The best splits of several budgets.
    axes
        Four axes to draw on; new ones if None.
    compare_to
        Further allocations of several budgets, by what to call them: their medians are drawn.

    Returns
    -------
    tuple of Axes
        N, D, D/N and loss.

    Raises
    ------
    InputError
        There are not two budgets, or the allocation is one of losses to reach.
    """
    if result.targets is not None or len(set(result.C.tolist())) < 2:
        raise InputError(
            Problem("result", "it is not of several budgets", "the figure is of curves over budgets",
                    "allocate for a range of C, such as numpy.geomspace(1e20, 1e26, 97)")
        )  # fmt: skip
    with house_style():
        own = axes is None
        panels = np.ravel(new_axes(2, 2, height=5.2, width=7.4) if own else axes)
        order = np.argsort(result.C, kind="stable")
        for ax, name in zip(panels, PANELS, strict=True):
            _band(ax, result, name, order)
            for (key, other), style in zip(
                (compare_to or {}).items(), itertools.cycle(REFERENCE_LINES), strict=False
            ):
                theirs = np.argsort(other.C, kind="stable")
                medians = [other.intervals[name][i].median for i in theirs]
                ax.plot(other.C[theirs], medians, color=ORANGE, ls=style, lw=1.1, label=key)
            ax.set(xscale="log", yscale="log", ylabel=PANELS[name], xlabel="budget C (FLOPs)")
            ax.set_xlim(result.C.min(), result.C.max())
        _limits(panels, result)
        panels[3].set_ylabel(f"loss ({result.loss_unit})")
        low, high = panels[0].get_ylim()
        panels[0].set_ylim(top=high * (high / low) ** 0.12)  # room for words
        for ax in panels:
            short_log_ticks(ax.yaxis)
        _beyond(panels, result, order)
        _spent(panels[:2], result)
        panels[0].legend(loc="lower right")
        if own:
            caption = result.table().caption.partition(": ")[0]
            panels[0].figure.suptitle(_folded(caption), fontsize=9, x=0.01, ha="left")
        return tuple(panels)


def _band(ax: Axes, result: Allocation, name: str, order: np.ndarray) -> None:
    C, found = result.C[order], [result.intervals[name][i] for i in order]
    median = np.array([i.median for i in found])
    if not result.is_point:
        lower, upper = [i.lower for i in found], [i.upper for i in found]
        ax.fill_between(
            C, lower, upper, color=BLUE, alpha=0.25, lw=0, label=f"{result.level:.0%} interval"
        )
    held = np.zeros(len(C), bool) if result.at_limit is None else result.at_limit[order] > MOSTLY
    # A piece ends on the first budget of the next one, so that the line has no gaps.
    free = (
        ~held | np.append(held[1:] & ~held[:-1], False) | np.insert(~held[:-1] & held[1:], 0, False)
    )
    ax.plot(C, np.where(free, median, np.nan), color=BLUE, label="median")
    if held.any():
        ax.plot(
            C,
            np.where(held, median, np.nan),
            color=RED,
            ls=REFERENCE_LINES[1],
            lw=1.8,
            label="at a limit",
        )


def _limits(panels: Any, result: Allocation) -> None:
    """Lines at the sizes and tokens that the terms set."""
    terms = result.terms
    for ax, limits in (
        (panels[0], [terms.max_params, terms.params, *terms.sizes]),
        (panels[1], [terms.max_tokens]),
    ):
        low, high = ax.get_ylim()
        for limit in limits:
            if limit is not None and low < limit < high:
                ax.axhline(limit, color=GREY, lw=0.7, alpha=0.7, zorder=1)


def _beyond(panels: Any, result: Allocation, order: np.ndarray) -> None:
    """Shade the budgets from which on all optima lie beyond the runs."""
    beyond = result.decades_beyond[order] > 0
    inside = np.flatnonzero(~beyond)
    if not beyond[-1]:
        return
    first = inside[-1] + 1 if len(inside) else 0
    for i, ax in enumerate(panels):
        beyond_region(ax, result.C[order][first], "" if i else "beyond the runs")


def _spent(panels: Any, result: Allocation) -> None:
    """What the budgets cost, on an axis above."""
    cost = result.cost
    if cost is None:
        return
    factor = float(cost.money(1.0) if cost.price else cost.hours(1.0))
    for ax in panels:
        ax.spines["top"].set_visible(True)
        above = ax.secondary_xaxis("top", functions=(lambda C: C * factor, lambda v: v / factor))
        above.set_xlabel(f"budget ({cost.currency})" if cost.price else "budget (device-hours)")


def _folded(text: str, width: int = 110) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, width))
