"""What should be known of a gain beside its interval."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayescale.diagnostics import Verdict
from bayescale.posterior import Posterior
from bayescale.publications import Fit
from bayescale.speedups.pairing import Together
from bayescale.speedups.pairs import LEAST_PAIRS, common_designs
from bayescale.tables import number

Floats = NDArray[np.float64]
FAR = 2.0  # decades beyond the runs from which an answer carries a warning


def far(beyond: Floats) -> list[Verdict]:
    """Return that the gain is far beyond the runs: the laws' own error is missing from the interval."""
    farthest = np.nanmax(np.where(np.isinf(beyond), np.nan, beyond), initial=0.0)
    if farthest <= FAR:
        return []
    return [
        Verdict(
            "extrapolation", "warn",
            f"the gain is asked up to {farthest:.1f} decades beyond the runs. The interval holds if both "
            "laws do; it does not contain their own error.",
        )
    ]  # fmt: skip


def unreached(scale: Floats, reached: Floats, symbol: str) -> list[Verdict]:
    """Return at which scales A does not reach the loss of B in some draws."""
    missed = np.flatnonzero(reached < 1)
    if not len(missed):
        return []
    shares = ", ".join(
        f"{_share(1 - reached[i])} at {symbol} = {number(float(scale[i]))}" for i in missed
    )
    return [
        Verdict(
            "not-reached", "warn",
            f"A does not reach the loss of B, whatever is spent, in {shares} (share of the draws); its "
            "gain there counts as 0.",
            "Ask for smaller budgets, or see where the two cross.",
        )
    ]  # fmt: skip


def _share(value: float) -> str:
    return f"{value:.0%}" if value >= 0.005 else "less than 1%"


def could_be_paired(A: Fit, B: Fit, pairs: Together | None) -> list[Verdict]:
    """Return that runs of two fits taken as independent stand at the same designs."""
    able = isinstance(A, Posterior) and isinstance(B, Posterior) and A.inputs == B.inputs
    if pairs is not None or A is B or not able:
        return []
    count = common_designs(A.runs, B.runs, A.inputs)
    if count < LEAST_PAIRS:
        return []
    return [
        Verdict(
            "could-be-paired", "note",
            f"{count} designs stand in the runs of both. If such runs share a seed, an order of the data, "
            "or what both laws miss, the interval is too wide.",
            "Fit the two together with --paired (paired=True).",
        )
    ]  # fmt: skip


def of_sampling(posterior: Posterior) -> list[Verdict]:
    """Return verdicts on the sampling of a fit together; those on the designs are the fits' own."""
    return [v for v in posterior.verdicts if v.severity == "failed"]
