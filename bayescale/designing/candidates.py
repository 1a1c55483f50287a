"""The runs that a design may choose from: sizes and token counts that the budget allows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayescale.errors import InputError, Problem
from bayescale.identifiability.remedies import AROUND, RATIO_DIGITS, round_numbers
from bayescale.model import typical_value
from bayescale.prediction import checked_points, in_domain, positive
from bayescale.runs import Runs
from bayescale.runs.cells import NotANumberError, parse_number
from bayescale.tables import number

Floats = NDArray[np.float64]
SIZE_DIGITS = (1.0, 2.0, 5.0)
FURTHER = 3.0  # times beyond the D/N of the runs
SLACK = 1 + 1e-9
MOST = 2000  # candidates


def allowed_values(where: str, given: Any) -> Floats | None:
    """Read allowed values: numbers, or ranges such as ``"1e8:1e10"``, of which the round numbers are taken.

    Raises
    ------
    InputError
        Something else, or a number that is not above 0.
    """
    if given is None:
        return None
    items = [given] if isinstance(given, str) else np.atleast_1d(np.asarray(given, object)).tolist()
    found: list[float] = []
    for item in items:
        ends = [_parsed(where, part) for part in str(item).split(":")]
        if len(ends) > 2 or (len(ends) == 2 and not ends[0] < ends[1]):
            raise InputError(
                Problem(
                    where, f"{item!r} is no range", remedy="write the lower end first: 1e8:1e10"
                )
            )
        found += round_numbers(ends[0], ends[1], SIZE_DIGITS).tolist() if len(ends) == 2 else ends
    if not found:
        raise InputError(
            Problem(where, f"{given!r} holds no value", remedy="give numbers or a wider range")
        )
    return np.unique(found)


def _parsed(where: str, text: str) -> float:
    try:
        return float(positive(where, parse_number(text)).item())
    except NotANumberError as error:
        raise InputError(Problem(where, str(error), remedy=error.remedy)) from None


def grid(
    runs: Runs | None,
    params: Floats | None,
    tokens: Floats | None,
    ratios: Floats | None,
) -> dict[str, Floats]:
    """Return N and D of all allowed runs, affordable or not.

    What is not given is round numbers about the runs: sizes from their smallest to ten times their
    largest, D/N to three times beyond theirs, and a decade about their median at least: farther out the
    form of the law is less sure.

    Parameters
    ----------
    runs
        The fitted runs; None before there are any.
    params, tokens, ratios
        Allowed N, D and D/N; not both of the last two.
    """
    if tokens is not None and ratios is not None:
        raise InputError(
            Problem("tokens, ratios", "both are given", "the one follows from the other and N",
                    "give --tokens or --ratios")
        )  # fmt: skip
    if runs is None and (params is None or (tokens is None and ratios is None)):
        raise InputError(
            Problem("params", "the allowed sizes and token counts are not given",
                    "without a fit, nothing says which runs can be made",
                    "write --params 1e7:1e9 and --ratios 5:500 (params='1e7:1e9', ratios='5:500')")
        )  # fmt: skip
    own = tokens is None and ratios is None
    if params is None:
        assert runs is not None
        params = round_numbers(runs.N.min(), runs.N.max() * AROUND, SIZE_DIGITS)
    if own:
        assert runs is not None
        seen = runs.D / runs.N
        low = min(seen.min() / FURTHER, np.median(seen) / AROUND)
        high = max(seen.max() * FURTHER, np.median(seen) * AROUND)
        ratios = round_numbers(low, high, RATIO_DIGITS)
    if tokens is not None:
        N, D = (g.ravel() for g in np.meshgrid(params, tokens, indexing="ij"))
        return {"N": N, "D": D}
    assert ratios is not None
    N, M = (g.ravel() for g in np.meshgrid(params, ratios, indexing="ij"))
    found = {"N": N, "D": N * M}
    if own and runs is not None:  # D beyond all that was seen only upwards, like N
        keep = (found["D"] >= runs.D.min() / SLACK) & (found["D"] <= runs.D.max() * AROUND * SLACK)
        found = {s: v[keep] for s, v in found.items()}
    return found


def compute_grid(runs: Runs, budget: float) -> dict[str, Floats]:
    """Return allowed runs of a law of compute alone: round C from the least of the runs to the budget."""
    return {"x": round_numbers(runs["x"].min(), max(budget, runs["x"].min()), SIZE_DIGITS)}


def with_other_inputs(
    fit: Any, found: dict[str, Floats], at: Mapping[str, float]
) -> dict[str, Floats]:
    """Return candidates with every input of the fit: those given, else typical ones of the runs.

    Raises
    ------
    InputError
        An input that the law does not have, or values that break its rules.
    """
    for symbol, value in at.items():
        if symbol in found or symbol not in fit.inputs:
            raise InputError(
                Problem("at", f"{symbol} is {'chosen by the design' if symbol in found else 'no input'}",
                        remedy=f"the law {fit.name!r} needs {', '.join(fit.inputs)}")
            )  # fmt: skip
        in_domain(symbol, value)
    count = len(next(iter(found.values())))
    for symbol in fit.inputs:
        if symbol not in found:
            value = at.get(symbol, np.nan)
            typical = typical_value(fit.runs[symbol], symbol) if np.isnan(value) else value
            found[symbol] = np.full(count, typical)
            if symbol == "U" and np.isnan(value):  # no run has more unique tokens than tokens
                found[symbol] = np.minimum(found[symbol], found["D"])
    return checked_points(fit, {s: found[s] for s in fit.inputs})


def affordable(found: Mapping[str, Floats], cost: Floats, budget: float) -> dict[str, Floats]:
    """Return the candidates that the budget pays for.

    Raises
    ------
    InputError
        None, or too many to compare.
    """
    keep = cost <= budget * SLACK
    if not keep.any():
        least = "no run is allowed"
        if len(cost):
            least = f"the cheapest allowed run costs {cost.min():.3g} FLOPs"
        raise InputError(
            Problem("budget", f"it is {number(budget)} FLOPs, and {least}", "no run can be made",
                    "give a larger budget, or allow smaller runs with --params and --tokens or --ratios")
        )  # fmt: skip
    if keep.sum() > MOST:
        raise InputError(
            Problem("params", f"{keep.sum()} runs are allowed", f"{MOST} can be compared",
                    "give fewer sizes or ratios")
        )  # fmt: skip
    return {s: v[keep] for s, v in found.items()}
