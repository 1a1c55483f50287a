"""What all figures share: colours, sizes, and how axes come in and go out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.drift import log_compute
from bayescale.posterior import Posterior
from bayescale.runs import ROLES, Runs
from bayescale.runs.catalogue import SYMBOL_TO_ROLE, scales
from bayescale.tables import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

BLUE, ORANGE, GREEN, RED, GREY = "#2a6f97", "#d1731f", "#4f8f4a", "#a83246", "#6b7280"
REFERENCE_LINES = ((0, (4, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)))
FEW_DECADES, NARROW = 2.2, 0.7  # of a logarithmic axis
WIDTH = 6.8  # inches, the text width of most papers

STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "lines.linewidth": 1.4,
    "pdf.fonttype": 42,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 200,
}


@contextmanager
def house_style() -> Iterator[None]:
    """Apply the style inside, and leave the user's own as it was."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        yield


def new_axes(
    rows: int = 1, columns: int = 1, height: float = 2.9, width: float = WIDTH, **options: Any
) -> Any:
    """Axes of a new figure: one, or an array of them."""
    from matplotlib import pyplot

    _, axes = pyplot.subplots(rows, columns, figsize=(width, height), **options)
    return axes


def log_range(low: float, high: float, count: int = 200) -> np.ndarray:
    """Values evenly spaced in the logarithm."""
    return np.exp(np.linspace(np.log(low), np.log(high), count))


def beyond_region(ax: Axes, edge: float, label: str = "beyond the runs") -> None:
    """Shade the part of a logarithmic x axis to the right of the largest run."""
    high = ax.get_xlim()[1]
    ax.axvspan(edge, high, color=GREY, alpha=0.08, lw=0, zorder=0)
    ax.annotate(
        label, (edge, 1.0), xycoords=("data", "axes fraction"), xytext=(4, -4),
        textcoords="offset points", va="top", fontsize=8, color=GREY,
    )  # fmt: skip
    ax.set_xlim(right=high)


def plain_loss_ticks(ax: Axes, both: bool = False) -> None:
    """Losses as plain numbers on a logarithmic axis, the vertical one or both."""
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    for axis in (ax.yaxis, ax.xaxis)[: 1 + both]:
        axis.set_major_locator(LogLocator(base=10, subs=(1, 1.5, 2, 2.5, 3, 4, 5, 6, 8)))
        axis.set_major_formatter(ScalarFormatter())
        axis.set_minor_formatter(NullFormatter())


def short_log_ticks(axis: Axis) -> None:
    """Few and short numbers on a logarithmic axis of few decades: 1, 2 and 5, or more of them."""
    from matplotlib.ticker import LogLocator, NullFormatter

    low, high = axis.get_view_interval()
    decades = np.log10(high / low)
    if decades > FEW_DECADES:
        return
    subs = (1, 2, 5) if decades > NARROW else (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
    axis.set_major_locator(LogLocator(base=10, subs=subs))
    axis.set_major_formatter(lambda value, _: number(value) if value > 9999 else f"{value:g}")
    axis.set_minor_formatter(NullFormatter())


def x_label(runs: Runs, symbol: str = "x") -> str:
    """The axis label of the input of a law of one variable."""
    column = runs.columns.get("x", "x") if symbol == "x" else symbol
    role = ROLES.get(SYMBOL_TO_ROLE.get(column, ""))
    return f"{role.meaning} {role.symbol}" if role and role.symbol != "x" else column


def size_axis(posterior: Posterior, runs: Runs) -> tuple[np.ndarray, str, bool]:
    """How large runs are, as an axis: values, label, and whether the axis is logarithmic.

    Compute for a law of N and D, the input of a law of one variable, else the product of the inputs that
    grow with compute; the runs in their order where none does.
    """
    inputs = posterior.inputs
    if {"N", "D"} <= set(inputs):
        return runs.C, "training FLOPs C", True
    if len(inputs) == 1:
        return runs[inputs[0]], x_label(runs, inputs[0]), True
    sizes = scales(inputs)
    if not sizes:
        return np.arange(len(runs), dtype=float), "run, in the order of the table", False
    label = x_label(runs, sizes[0]) if len(sizes) == 1 else " × ".join(sizes)
    return 10 ** log_compute({symbol: runs[symbol] for symbol in inputs}), label, True
