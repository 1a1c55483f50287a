"""Weights of the laws of a comparison, and how far their scores lie apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.comparison import ComparedLaw, Comparison
from bayescale.comparison.compared import CLEAR, Score
from bayescale.errors import InputError
from bayescale.plots.style import BLUE, GREY, ORANGE, house_style, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DRAWN: tuple[tuple[Score, str, str, float], ...] = (
    ("forecasts", "larger runs", BLUE, -0.15),
    ("loo", "other runs like these", ORANGE, 0.15),
)


def plot_comparison(result: Comparison, axes: Any = None) -> np.ndarray:
    """Plot the weight of each law, and its score less that of the best with two standard errors.

    Parameters
    ----------
    result
        The comparison.
    axes
        Two axes; new ones if None.

    Returns
    -------
    array of Axes
        Weights, and differences per run.

    Raises
    ------
    InputError
        No law could be compared.
    """
    laws = result.ranked
    if not laws:
        raise InputError("there is nothing to plot: no law could be compared")
    with house_style():
        mine = axes is None
        if mine:
            axes = new_axes(1, 2, height=1.5 + 0.45 * len(laws), sharey=True)
        weights, differences = np.asarray(axes, dtype=object).ravel()
        for score, label, colour, shift in DRAWN:
            _draw(weights, differences, result, laws, score, label, colour, shift)
        names = [one.law for one in laws]
        weights.set(yticks=np.arange(len(laws)), yticklabels=names, xlim=(0, 1), xlabel="weight")
        weights.set_ylim(len(laws) - 0.5, -0.5)
        differences.set_xlabel("log density per run, less the best law's")
        differences.axvline(0, color=GREY, lw=0.8, zorder=0)
        handles, labels = weights.get_legend_handles_labels()
        if mine:
            weights.figure.legend(handles, labels, loc="outside lower center", ncols=2)
        else:
            weights.legend(handles, labels)
    return np.array([weights, differences], dtype=object)


def _draw(
    weights: Axes,
    differences: Axes,
    result: Comparison,
    laws: tuple[ComparedLaw, ...],
    score: Score,
    label: str,
    colour: str,
    shift: float,
) -> None:
    there = [(i, one) for i, one in enumerate(laws) if not np.isnan(one.weight(score))]
    if not there:
        return
    y = np.array([i for i, _ in there]) + shift
    # The elpd is a sum over runs, the score of forecasts a mean.
    runs = len(result.runs) if score == "loo" else 1
    apart = np.array([one.difference(score).value for _, one in there]) / runs
    se = np.array([one.difference(score).se for _, one in there]) / runs
    weights.barh(y, [one.weight(score) for _, one in there], height=0.26, color=colour, label=label)
    differences.errorbar(
        apart, y, xerr=CLEAR * se, fmt="o", ms=4, color=colour, lw=1.1, capsize=2, label=label
    )
