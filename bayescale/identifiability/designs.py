"""What a design is like, in the user's terms: constant N, D = 20 N, one budget, a short span."""

from __future__ import annotations

import numpy as np

from bayescale.runs import Runs
from bayescale.runs.checks import log_correlation
from bayescale.tables import number

COLLINEAR = 0.97  # correlation of log N and log D from which D counts as following N
FEW_SCALES, SHORT = 4, 1.0  # distinct values, and decades, below which an input hardly varies


def described(runs: Runs, inputs: tuple[str, ...], n_parameters: int) -> str:
    """Return what keeps the runs from informing a law, as the start of a sentence.

    Parameters
    ----------
    runs
        The runs.
    inputs
        Symbols of the law's inputs.
    n_parameters
        Number of the law's parameters.

    Returns
    -------
    str
        The most telling of: few distinct points, constant inputs, the same loss everywhere, D that
        follows N, short spans; or ``"With these runs"``.
    """
    points = len(set(zip(*(runs[s].tolist() for s in inputs), strict=True)))
    constant = [s for s in inputs if np.ptp(runs[s]) == 0]
    if points < n_parameters:
        have = (
            "There is only 1 distinct point"
            if points == 1
            else f"There are only {points} distinct points"
        )
        return f"{have} in {', '.join(inputs)}"
    if constant:
        return "All runs have " + " and ".join(f"{s} = {rounded(runs[s][0])}" for s in constant)
    if np.ptp(runs.loss) == 0:
        return f"All runs have the loss {runs.loss[0]:g}"
    together = _together(runs) if {"N", "D"} <= set(inputs) else ""
    if together:
        return together
    short = [
        s for s in inputs if len(set(runs[s].tolist())) < FEW_SCALES or _decades(runs[s]) < SHORT
    ]
    if short:
        spans = (
            f"{s} has {len(set(runs[s].tolist()))} values over {_decades(runs[s]):.1f} decades"
            for s in short
        )
        return " and ".join(spans)
    return "With these runs"


def rounded(value: float) -> str:
    """A number to three digits, such as ``3e8``."""
    return number(float(f"{value:.3g}"))


def _decades(values: np.ndarray) -> float:
    return float(np.log10(values.max() / values.min()))


def _together(runs: Runs) -> str:
    """How D follows N, if it does."""
    correlation = log_correlation(runs)
    if correlation is None or abs(correlation) <= COLLINEAR:
        return ""
    log_n, log_d = np.log(runs.N), np.log(runs.D)
    slope = float(np.polyfit(log_n, log_d, 1)[0])
    nearly = "" if abs(correlation) > 1 - 1e-6 else "nearly "
    if abs(slope - 1) < 0.05:
        return f"All runs have {nearly}D = {rounded(np.exp(np.mean(log_d - log_n)))} N"
    if abs(slope + 1) < 0.05:
        budget = runs.flops_per_parameter_token * np.exp(np.mean(log_n + log_d))
        return f"All runs have {nearly}one budget, C = {rounded(budget)}"
    return f"In all runs D goes {nearly}as N^{slope:.1f}"
