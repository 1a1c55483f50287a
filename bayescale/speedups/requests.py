"""What is asked of a comparison: whether two fits can be compared, at which scales, and where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayescale.errors import InputError, Problem
from bayescale.prediction import positive
from bayescale.publications import Fit
from bayescale.speedups.recipes import Recipe
from bayescale.tables import number

Floats = NDArray[np.float64]
TIMES = (1.0, 10.0, 100.0, 1000.0)  # the largest run of B, where no budgets are given


def check_same_kind(A: Fit, B: Fit) -> None:
    """Raise if what the laws explain is not the same."""
    kinds = [{part.spec.law.response for part, _ in fit.parts} for fit in (A, B)]
    if kinds[0] != kinds[1] or not kinds[0] <= {"loss", "error"}:
        of = [" and ".join(sorted(kind)) for kind in kinds]
        raise InputError(
            Problem("A, B", f"A explains {of[0]} and B {of[1]}",
                    "a gain is in what reaches the same loss, or the same error",
                    "give fits of laws of the loss, or both of an error")
        )  # fmt: skip
    units = [fit.runs.loss_unit for fit in (A, B)]
    if units[0] != units[1]:
        raise InputError(
            Problem("A, B", f"losses of A are in {units[0]}, and of B in {units[1]}",
                    "they cannot be compared",
                    "convert the runs of one (Runs.in_unit, --loss-unit) and fit them again")
        )  # fmt: skip


def own_inputs(
    fit: Fit, at: Mapping[str, float] | None, more: Mapping[str, float] | None
) -> dict[str, float]:
    """Return the other inputs that a fit has, and those that are given for it alone."""
    inputs = {symbol for part, _ in fit.parts for symbol in part.inputs}
    return {s: v for s, v in (at or {}).items() if s in inputs} | dict(more or {})


def check_used(at: Mapping[str, float] | None, fits: tuple[Fit, Fit]) -> None:
    """Raise if an input is given that neither law has."""
    known = {symbol for fit in fits for part, _ in fit.parts for symbol in part.inputs}
    unused = [symbol for symbol in at or {} if symbol not in known]
    if unused:
        raise InputError(
            Problem("at", f"neither law has an input {unused[0]}",
                    remedy=f"their inputs are {', '.join(sorted(known))}")
        )  # fmt: skip


def scales(C: ArrayLike | None, B: Recipe) -> Floats:
    """Return the budgets of B that are asked for: those given, or multiples of its largest run."""
    if C is not None:
        return positive("C", C).ravel()
    if B.span is None:
        raise InputError(
            Problem("C", "no budgets are given, and B has no runs to take them from",
                    remedy="write --flops 1e21,1e23 (C=[1e21, 1e23])")
        )  # fmt: skip
    return B.span[1] * np.array(TIMES)


def range_of(
    within: Sequence[float] | None, scale: Floats, A: Recipe, B: Recipe
) -> tuple[float, float]:
    """Return where crossings are looked for: as given, or from the smallest run to the largest budget."""
    if within is not None:
        ends = positive("within", list(within)).tolist()
        if len(ends) != 2 or not ends[0] < ends[1]:
            raise InputError(
                Problem("within", f"it is {', '.join(map(number, ends))}",
                        remedy="give two scales, the smaller first: 1e18,1e25")
            )  # fmt: skip
        return ends[0], ends[1]
    spans = [span for span in (A.span, B.span) if span is not None]
    low = min([float(scale.min()), *(span[0] for span in spans)])
    high = max([float(scale.max()), *(span[1] for span in spans)])
    return (low, high) if low < high else (low / TIMES[-1], high * TIMES[-1])
