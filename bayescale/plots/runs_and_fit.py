"""The runs with the fitted law, and the residuals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from bayescale.allocation.allocating import allocate
from bayescale.intervals import DEFAULT_LEVEL
from bayescale.new_runs import new_run_losses
from bayescale.plots.style import (
    BLUE,
    GREY,
    ORANGE,
    house_style,
    log_range,
    new_axes,
    plain_loss_ticks,
    size_axis,
    x_label,
)
from bayescale.posterior import Posterior
from bayescale.prediction import law_loss, mean_loss, predict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GRID = 60


def plot_runs(
    posterior: Posterior, axes: Any = None, level: float = DEFAULT_LEVEL
) -> tuple[Axes, Axes]:
    """Plot the runs with the fitted law, and the residuals of log loss against compute.

    For a law of N and D the left panel is their plane: runs coloured by loss, contours of the law's
    median in the same colours, and the compute-optimal line. For a law of one variable it is loss
    against that variable with the interval.

    Parameters
    ----------
    posterior
        The fit.
    axes
        Two axes to draw on; new ones if None.
    level
        Mass of the intervals.

    Returns
    -------
    tuple of Axes
        Surface (or curve), residuals.
    """
    with house_style():
        left, right = new_axes(1, 2, height=3.0, width=7.4) if axes is None else axes
        if set(posterior.spec.law.inputs) == {"N", "D"}:
            _surface(posterior, left)
        elif len(posterior.inputs) == 1:
            _curve(posterior, left, level)
        else:
            _observed(posterior, left, level)
        _residuals(posterior, right, level)
        return left, right


def _surface(posterior: Posterior, ax: Axes) -> None:
    runs = posterior.runs
    N = log_range(runs.N.min() / 1.3, runs.N.max() * 1.3, GRID)
    D = log_range(runs.D.min() / 1.3, runs.D.max() * 1.3, GRID)
    grid_n, grid_d = np.meshgrid(N, D)
    surface = np.median(
        law_loss(_thinned(posterior), {"N": grid_n.ravel(), "D": grid_d.ravel()}), axis=0
    )
    low, high = runs.loss.min(), runs.loss.max()
    levels = log_range(low, high, 10)
    options: dict[str, Any] = {"cmap": "viridis_r", "vmin": low, "vmax": high}
    lines = ax.contour(
        N, D, surface.reshape(grid_n.shape), levels=levels, linewidths=0.9, **options
    )
    ax.clabel(lines, fmt="%.2f", fontsize=6.5)
    points = ax.scatter(
        runs.N, runs.D, c=runs.loss, s=16, edgecolor="white", lw=0.4, zorder=3, **options
    )
    budgets = log_range(runs.C.min(), runs.C.max(), 50)
    best = allocate(_thinned(posterior), budgets, allow_failed=True).draws
    ax.plot(
        np.median(best["N"], axis=0), np.median(best["D"], axis=0), color=ORANGE, label="optimum"
    )
    ax.set(xscale="log", yscale="log", xlabel="parameters N", ylabel="training tokens D",
           title=f"Runs and {posterior.spec.law.title}", xlim=(N[0], N[-1]), ylim=(D[0], D[-1]))  # fmt: skip
    ax.legend(loc="upper left", handlelength=1.2, frameon=True, framealpha=0.85, edgecolor="none")
    bar = ax.figure.colorbar(points, ax=ax, pad=0.02, aspect=28)
    bar.set_label(runs.what)
    bar.outline.set_visible(False)


def _thinned(posterior: Posterior, draws: int = 100) -> Posterior:
    """The posterior with fewer draws, enough for a median that a picture can show."""
    from dataclasses import replace

    step = max(1, posterior.shape[1] // (draws // posterior.shape[0]))
    parts = (posterior.law, posterior.noise, dict(posterior.coordinates))
    law, noise, coordinates = jax.tree.map(lambda a: a[:, ::step], parts)
    return replace(posterior, law=law, noise=noise, coordinates=coordinates)


def _curve(posterior: Posterior, ax: Axes, level: float) -> None:
    runs, (symbol,) = posterior.runs, posterior.inputs
    x = log_range(runs[symbol].min(), runs[symbol].max())
    prediction = predict(posterior, points={symbol: x}, kind="law", level=level, allow_failed=True)
    lower, median, upper = (
        [getattr(i, end) for i in prediction.intervals] for end in ("lower", "median", "upper")
    )
    ax.fill_between(x, lower, upper, color=BLUE, alpha=0.25, lw=0)
    ax.plot(x, median, color=BLUE, label=f"law, {level:.0%}")
    ax.scatter(runs[symbol], runs.loss, s=14, color=GREY, zorder=3, label="runs")
    ax.set(xscale="log", yscale="log", xlabel=x_label(runs, symbol), ylabel=runs.what,
           title=f"Runs and {posterior.spec.law.title}")  # fmt: skip
    plain_loss_ticks(ax)
    ax.legend()


def _observed(posterior: Posterior, ax: Axes, level: float) -> None:
    """Observed losses against fitted ones, for a law of several inputs that no plane shows."""
    runs = posterior.runs
    fitted = mean_loss(posterior, {symbol: runs[symbol] for symbol in posterior.inputs})
    tail = (1 - level) / 2
    low, median, high = np.quantile(fitted, [tail, 0.5, 1 - tail], axis=0)
    ends = [min(median.min(), runs.loss.min()), max(median.max(), runs.loss.max())]
    ax.plot(ends, ends, color=BLUE, lw=0.8, label="as fitted")
    ax.hlines(runs.loss, low, high, color=BLUE, lw=1.0, alpha=0.4)
    ax.scatter(median, runs.loss, s=14, color=GREY, zorder=3, label=f"runs; law, {level:.0%}")
    ax.set(xscale="log", yscale="log", xlabel=f"fitted {runs.what}",
           ylabel=f"observed {runs.what}",
           title=f"Runs and {posterior.spec.law.title}")  # fmt: skip
    plain_loss_ticks(ax, both=True)
    ax.legend(loc="upper left")


def _residuals(posterior: Posterior, ax: Axes, level: float) -> None:
    runs = posterior.runs
    inputs = {symbol: runs[symbol] for symbol in posterior.spec.law.inputs}
    fitted = np.median(mean_loss(posterior, inputs), axis=0)
    residuals = 100 * (runs.log_loss - np.log(fitted))
    two = {"N", "D"} <= set(posterior.inputs)
    horizontal, label, logarithmic = size_axis(posterior, runs)
    new = new_run_losses(posterior, inputs, fitted[None, :], np.random.default_rng(0))
    scatter = 100 * (np.log(new) - np.log(fitted))
    tail = (1 - level) / 2
    low, high = np.quantile(scatter, [tail, 1 - tail])
    inside = np.mean((residuals >= low) & (residuals <= high))
    ax.axhspan(
        low,
        high,
        color=BLUE,
        alpha=0.15,
        lw=0,
        label=f"{level:.0%} of the noise ({inside:.0%} of runs)",
    )
    ax.axhline(0, color=BLUE, lw=0.8)
    if two:
        from matplotlib.colors import LogNorm

        colours: dict[str, Any] = {"c": runs.D / runs.N, "cmap": "cividis", "norm": LogNorm()}
    else:
        colours = {"color": GREY}
    points = ax.scatter(horizontal, residuals, s=14, zorder=3, edgecolor="white", lw=0.3, **colours)
    if two:
        bar = ax.figure.colorbar(points, ax=ax, pad=0.02, aspect=28)
        bar.set_label("tokens per parameter D/N")
        bar.outline.set_visible(False)
    ax.set(
        xscale="log" if logarithmic else "linear",
        xlabel=label,
        ylabel=f"residual of log {runs.outcome} (%)",
        title="Residuals",
    )
    bottom, top = min(residuals.min(), low), max(residuals.max(), high)
    ax.set_ylim(bottom - 0.1 * (top - bottom), top + 0.3 * (top - bottom))
    ax.legend(loc="upper left")
