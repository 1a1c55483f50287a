"""Where answers are asked for: values of inputs, checked, and how far they lie beyond the runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayescale.errors import InputError, Problem, shown
from bayescale.mixture import law_points
from bayescale.publications import Fit
from bayescale.rules import check_rules
from bayescale.runs import Runs
from bayescale.runs.catalogue import (
    ABOVE_ZERO,
    FROM_ZERO,
    SYMBOL_TO_ROLE,
    Domain,
    domain_of,
    meaning_of,
)

OPTIONS = {"N": "--params", "D": "--tokens", "x": "--x"}  # of the commands; others go with --at


def checked_points(
    posterior: Fit, given: Mapping[str, ArrayLike | None]
) -> dict[str, NDArray[np.float64]]:
    """Return the law's inputs as arrays of one shape, checked; what `predict` is given."""
    inputs = posterior.inputs
    unused = [s for s, v in given.items() if v is not None and s not in inputs]
    if unused:
        raise InputError(
            Problem(unused[0], f"the law {posterior.name!r} has no input {unused[0]}",
                    remedy=f"give {' and '.join(_named(s) for s in inputs)}")
        )  # fmt: skip
    missing = [s for s in inputs if given.get(s) is None]
    if missing:
        raise InputError(
            Problem(missing[0], f"it is missing; the law needs {' and '.join(inputs)}",
                    remedy=f"give {' and '.join(_named(s) for s in missing)}")
        )  # fmt: skip
    values = {s: in_domain(s, given[s]) for s in inputs}
    try:
        shape = np.broadcast_shapes(*(v.shape for v in values.values()))
    except ValueError:
        lengths = ", ".join(f"{s} {len(v)}" for s, v in values.items())
        raise InputError(
            Problem("points", f"the inputs have different lengths: {lengths}",
                    remedy="give one value of each for every point, or a single value")
        ) from None  # fmt: skip
    found = {s: np.broadcast_to(v, shape).ravel() for s, v in values.items()}
    for part, _ in posterior.parts:
        check_rules(part.spec.law, law_points(part, found), "points")
    return found


def positive(name: str, values: Any) -> NDArray[np.float64]:
    """Return a number or numbers as an array with one axis or more, each finite and above 0.

    Raises
    ------
    InputError
        Something else, named by its place.
    """
    return _numbers(name, values, ABOVE_ZERO)


def in_domain(symbol: str, values: Any) -> NDArray[np.float64]:
    """Return values of an input as an array with one axis or more, each finite and in its domain.

    Raises
    ------
    InputError
        Something else, named by its place.
    """
    return _numbers(symbol, values, domain_of(symbol))


def _numbers(name: str, values: Any, domain: Domain) -> NDArray[np.float64]:
    try:
        array = np.atleast_1d(np.asarray(values, dtype=np.float64))
    except (TypeError, ValueError, OverflowError):
        raise InputError(
            Problem(name, f"it is {shown(values)}", "it must be a number or an array of numbers",
                    "write plain numbers such as 1.4e12")
        ) from None  # fmt: skip
    bad = np.flatnonzero(~(np.isfinite(array) & domain.holds(array)))
    if len(bad):
        place = f" at index {bad[0]}" if array.size > 1 else ""
        raise InputError(
            Problem(
                name,
                f"it is {array.flat[bad[0]]:g}{place}",
                f"it must be finite and {domain.words}",
            )
        )
    return array


def _named(symbol: str) -> str:
    option = OPTIONS.get(symbol, f"--at {SYMBOL_TO_ROLE.get(symbol, symbol)}=")
    return f"{symbol} ({option}, {meaning_of(symbol)})"


def decades_beyond(runs: Runs, points: Mapping[str, ArrayLike]) -> NDArray[np.float64]:
    """How many decades each point lies outside the runs: the largest over its inputs and compute.

    0 inside the range of the runs in N, in D and in their product; 3 for a run of 1,000 times the
    largest compute (or 1,000 times below the smallest). NaN where there are no runs.
    """
    if not len(runs):
        return np.full(np.size(next(iter(points.values()))), np.nan)
    pairs = [
        (runs[symbol], np.asarray(values))
        for symbol, values in points.items()
        if domain_of(symbol).high == np.inf and domain_of(symbol) != FROM_ZERO
    ]
    if {"N", "D"} <= set(points):
        product = np.asarray(points["N"], dtype=np.float64) * np.asarray(points["D"])
        pairs.append((runs.N * runs.D, product))
    outside = [
        np.maximum(np.log10(values / seen.max()), np.log10(seen.min()) - np.log10(values))
        for seen, values in pairs
    ]
    return np.maximum(0.0, np.max(outside, axis=0, initial=0.0))
