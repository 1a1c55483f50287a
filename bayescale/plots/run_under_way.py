"""A run under way beside its forecast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.errors import InputError
from bayescale.monitoring.under_way import Monitoring
from bayescale.plots.style import BLUE, GREY, ORANGE, RED, house_style, new_axes, plain_loss_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_monitoring(result: Monitoring, axes: Any = None) -> tuple[Axes, Axes]:
    """Plot the curve beside what is expected of it, and the final loss as each checkpoint has it.

    Parameters
    ----------
    result
        The run.
    axes
        Two axes to draw on; new ones if None.

    Returns
    -------
    tuple of Axes
        Loss by share of the training; final loss by share.

    Raises
    ------
    InputError
        No checkpoint says anything of the final loss.
    """
    if not result.updates:
        raise InputError("there is nothing to plot: no checkpoint says anything of the final loss")
    with house_style():
        left, right = new_axes(1, 2, height=3.0, width=7.6) if axes is None else axes
        _curve(left, result)
        _final(right, result)
        for ax in (left, right):
            ax.set(xlabel="share of the training", xlim=(0, 1.02))
            ax.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
        return left, right


def _curve(ax: Axes, result: Monitoring) -> None:
    level = f"{result.level:.0%}"
    if len(result.expected):
        lower, upper = np.array([[i.lower, i.upper] for i in result.expected]).T
        ax.fill_between(
            result.shares, lower, upper, color=BLUE, alpha=0.25, lw=0, label=f"expected, {level}"
        )
        ax.plot(result.shares, [i.median for i in result.expected], color=BLUE, lw=1)
    forecast = result.forecast
    reach = np.abs(np.array([[forecast.lower], [forecast.upper]]) - forecast.median)
    ax.errorbar(
        1,
        forecast.median,
        yerr=reach,
        fmt="o",
        ms=4,
        capsize=2.5,
        color=BLUE,
        label=f"forecast, {level}",
    )
    start = result.shares[0] if len(result.shares) else 0.0
    shown = result.curve.shares >= start
    ax.plot(result.curve.shares[shown], result.curve.loss[shown], color=ORANGE, marker=".", ms=3, lw=1,
            label="the run")  # fmt: skip
    ax.set(yscale="log", ylabel=f"loss ({result.loss_unit})", title="The curve")
    plain_loss_ticks(ax)
    ax.legend(loc="upper right")


def _final(ax: Axes, result: Monitoring) -> None:
    updates, forecast = result.updates, result.forecast
    label = f"forecast, {result.level:.0%}"
    ax.axhspan(forecast.lower, forecast.upper, color=BLUE, alpha=0.15, lw=0, label=label)
    ax.axhline(forecast.median, color=BLUE, lw=0.8)
    for called, colour, label in ((False, ORANGE, "given the curve"), (True, RED, "called")):
        mine = [u for u in updates if u.called == called]
        if mine:
            middle = np.array([u.final.median for u in mine])
            ends = np.array([[u.final.lower, u.final.upper] for u in mine]).T
            ax.errorbar([u.share for u in mine], middle, yerr=np.abs(ends - middle), fmt="o", ms=3.5,
                        lw=1.1, color=colour, label=label)  # fmt: skip
    found = result.detection
    if found is not None:
        bad = forecast.upper * (1 + found.excess)
        when = found.earliest()
        words = "seldom called" if np.isnan(when) else f"half are called by {when:.0%}"
        label = f"a bad run, +{found.excess:.0%}: {words}"
        ax.axhline(bad, color=GREY, lw=0.9, ls=(0, (4, 2)), label=label)
    ax.set(ylabel=f"final loss ({result.loss_unit})")
    ax.set_title(f"The final loss: in the interval with probability {result.inside:.2f}")
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.45 * (high - low))  # room for the legend
    ax.legend(loc="upper right", fontsize=7)
