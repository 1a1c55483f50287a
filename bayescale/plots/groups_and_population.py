"""The laws of groups of runs, beside that of a group that was not seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bayescale.errors import InputError, Problem
from bayescale.intervals import DEFAULT_LEVEL, Interval
from bayescale.plots.style import BLUE, GREY, ORANGE, house_style, new_axes
from bayescale.pooled import PooledFit
from bayescale.posterior import Posterior


def plot_groups(
    pooled: PooledFit,
    parameters: Sequence[str] | None = None,
    axes: Any = None,
    level: float = DEFAULT_LEVEL,
) -> np.ndarray:
    """Plot each group's interval of some parameters, and that of a group not seen.

    Where the groups were fitted alone, too (``unpooled=True``), those intervals are beside them.

    Parameters
    ----------
    pooled
        The pooled fit.
    parameters
        Names of parameters; those of the law if None.
    axes
        As many axes as there are parameters; new ones if None.
    level
        Mass of the intervals.

    Returns
    -------
    array of Axes
        One for each parameter.

    Raises
    ------
    InputError
        A parameter that the law and the noise do not have.
    """
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    spec = pooled.new_group.spec
    symbols = {p.name: p.symbol for p in (*spec.law.parameters(), *spec.noise.parameters())}
    names = [p.name for p in spec.law.parameters()] if parameters is None else list(parameters)
    for name in names:
        if name not in symbols:
            raise InputError(
                Problem("parameters", f"there is no parameter {name!r}",
                        remedy=f"use some of {', '.join(symbols)}")
            )  # fmt: skip
    with house_style():
        mine = axes is None
        if mine:
            height = 1.3 + 0.22 * (len(pooled) + 1)
            width = 1.4 + 1.5 * len(names)
            axes = new_axes(1, len(names), height=height, width=width, sharey=True)
        axes = np.atleast_1d(np.asarray(axes, dtype=object)).ravel()
        for ax, name in zip(axes, names, strict=True):
            _draw(ax, pooled, name, level)
            ax.set(xlabel=f"${symbols[name]}$")
            if mine and name in ("A", "B"):
                ax.set_xscale("log")
                ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
                ax.xaxis.set_minor_formatter(NullFormatter())
        places = np.arange(len(pooled) + 1)
        axes[0].set_yticks(places, [*pooled.groups, "a new group"])
        axes[0].set_ylim(len(pooled) + 0.6, -0.6)
        if mine:
            handles, labels = axes[0].get_legend_handles_labels()
            axes[0].figure.legend(handles, labels, loc="outside lower center", ncols=3)
        else:
            axes[0].legend()
    return axes


def _draw(ax: Any, pooled: PooledFit, name: str, level: float) -> None:
    every = [*pooled.groups.values(), pooled.new_group]
    shown = [Interval.of(posterior.parameters[name], level) for posterior in every]
    groups = np.arange(len(pooled))
    shift = 0.13 if pooled.unpooled else 0.0
    _intervals(ax, groups - shift, shown[:-1], BLUE, f"pooled, {level:.0%}")
    alone = {
        i: Interval.of(fit.parameters[name], level)
        for i, fit in enumerate(pooled.unpooled.get(group) for group in pooled.groups)
        if isinstance(fit, Posterior)
    }
    if alone:
        _intervals(ax, np.array(list(alone)) + shift, list(alone.values()), GREY, "group alone")
    _intervals(ax, [len(pooled)], shown[-1:], ORANGE, "not seen")


def _intervals(ax: Any, places: Any, found: Sequence[Interval], colour: str, label: str) -> None:
    ends = [[i.lower for i in found], [i.upper for i in found]]
    ax.hlines(places, *ends, color=colour, lw=1.8)
    ax.scatter([i.median for i in found], places, s=16, color=colour, lw=0, zorder=3, label=label)
