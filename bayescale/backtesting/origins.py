"""From which runs the others are forecast: the cheapest shares, budgets kept together."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from bayescale.drift import log_compute
from bayescale.errors import InputError, Problem
from bayescale.runs import Runs

FRACTIONS = (0.5, 0.65, 0.8)  # of the runs that are fitted
SAME = 1e-6  # runs whose log10 of compute differs by less have one budget

Floats = NDArray[np.float64]


def log_size(runs: Runs, inputs: Collection[str]) -> Floats:
    """Return log10 of what runs are ordered by: C for inputs N and D, else the inputs' product."""
    if {"N", "D"} <= set(inputs):
        return np.log10(runs.C)
    return log_compute({symbol: runs[symbol] for symbol in inputs})


def rolling_origins(
    log_sizes: Floats, fractions: Sequence[float] = FRACTIONS
) -> tuple[NDArray[np.intp], list[int]]:
    """Return the runs' order by size, and how many of the first are fitted at each origin.

    The gaps between budgets that are nearest to each share.

    Raises
    ------
    InputError
        A fraction outside 0 and 1, or all runs have one compute budget.
    """
    order = np.argsort(log_sizes, kind="stable")
    logs = log_sizes[order]
    shares = np.atleast_1d(np.asarray(fractions, dtype=np.float64))
    if not len(shares) or not np.all((shares > 0) & (shares < 1)):
        raise InputError(
            Problem("fractions", f"they are {', '.join(f'{s:g}' for s in shares) or 'none'}",
                    "each is the share of the runs that are fitted, above 0 and below 1",
                    "write 0.5, 0.65, 0.8")
        )  # fmt: skip
    gaps = np.flatnonzero(np.diff(logs) > SAME) + 1
    if not len(gaps):
        raise InputError(
            Problem("runs", "all of them have one compute budget",
                    "a backtest forecasts larger runs from cheaper ones",
                    "add runs of another budget")
        )  # fmt: skip
    wanted = np.round(shares * len(logs))
    return order, sorted({int(gaps[np.argmin(np.abs(gaps - k))]) for k in wanted})
