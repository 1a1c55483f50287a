"""A fit as a recipe: the draws of its laws, what they are laws of, and which scales its runs have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayescale.allocation.splitting import Terms, best_splits, has_closed_form, size_symbol
from bayescale.allocation.terms import (
    check_inside,
    check_paid,
    require_identified,
    require_law_of_two,
    require_others,
    terms_of,
)
from bayescale.errors import InputError, Problem
from bayescale.posterior import Posterior
from bayescale.prediction import positive
from bayescale.publications import Fit, PublishedFit
from bayescale.runs.catalogue import is_size
from bayescale.speedups.frontier import Member, Way
from bayescale.tables import number

Floats = NDArray[np.float64]
NEAR = 1.2  # how far D/N of runs of one ratio may be from the ratio that is asked for
THINNED = 200  # draws that are looked at for an optimum


@dataclass(frozen=True)
class Recipe:
    """One side of a comparison.

    Parameters
    ----------
    name
        ``"A"`` or ``"B"``.
    fit
        The fit.
    terms
        What a split may be, the other inputs of the law in it.
    members
        Draws of its laws.
    symbol
        The scale: ``"C"``, or the one input of its law.
    """

    name: str
    fit: Fit
    terms: Terms
    members: tuple[Member, ...]
    symbol: str

    @classmethod
    def of(
        cls,
        name: str,
        fit: Fit,
        at: Mapping[str, float],
        ratio: float | None,
        flops_per_parameter_token: float | None,
        allow_failed: bool,
    ) -> Recipe:
        """Return a fit as a recipe, checked: it is sound, and its laws say what is asked.

        Raises
        ------
        InputError
            Its law is not one of compute, or its runs do not say where the optimum is.
        FailedFitError
            Its sampling failed.
        """
        fit.require_sound(allow_failed)
        terms = terms_of(fit, flops_per_parameter_token, at=at)
        if ratio is not None:
            ratio = positive("tokens_per_parameter", ratio).item()
        parts: tuple[tuple[Posterior | PublishedFit, float], ...] = fit.parts
        ways = [_way(part, terms, ratio, allow_failed) for part, _ in parts]
        symbols = {_scale(part, way) for (part, _), way in zip(parts, ways, strict=True)}
        if len(symbols) > 1:
            raise InputError(
                Problem(name, f"its laws are laws of {' and of '.join(sorted(symbols))}",
                        "all must be laws of the same scale", "give a fit of one of them")
            )  # fmt: skip
        members = tuple(
            Member(part.flat_law(), share, way, terms, ratio or 1.0)
            for (part, share), way in zip(parts, ways, strict=True)
        )
        return cls(name, fit, terms, members, symbols.pop())

    @property
    def span(self) -> tuple[float, float] | None:
        """Smallest and largest scale of the runs; None if there are none."""
        runs = self.fit.runs
        if not len(runs):
            return None
        inputs, scale = runs.inputs, self.symbol
        size = size_symbol(tuple(inputs))
        if scale == "C" and "C" not in inputs and {size, "D"} <= set(inputs):
            values = self.terms.flops_per_parameter_token * runs[size] * runs.D
        else:
            values = runs[scale] if scale in inputs else runs["x"]
        return float(values.min()), float(values.max())

    def decades_beyond(self, scale: Floats) -> Floats:
        """Return how many decades some scales lie outside the runs; NaN where there are no runs."""
        if self.span is None:
            return np.full(np.shape(scale), np.nan)
        low, high = np.log10(self.span)
        logs = np.log10(scale)
        return np.maximum(0.0, np.maximum(logs - high, low - logs))

    def check_optimum(self, budgets: Floats) -> None:
        """Raise if a budget pays for no model, or a law has no best split of it."""
        for member in self.members:
            if member.way.kind in ("closed", "search"):
                few = member.taken(np.arange(0, member.count, member.count // THINNED + 1))
                found = best_splits(few.law, budgets, self.terms)
                check_paid(budgets, found.N, self.terms)
                check_inside(budgets, 1.0 - found.inside.mean(axis=0), found.N, self.terms)


def _way(
    part: Posterior | PublishedFit, terms: Terms, ratio: float | None, allow_failed: bool
) -> Way:
    """How compute becomes a point of a law."""
    law = part.spec.law
    if {size_symbol(law.inputs), "D"} <= set(law.inputs):
        require_law_of_two(part, terms)
        if ratio is None:
            require_identified(part, allow_failed)
            return Way("closed" if has_closed_form(part.flat_law(), terms) else "search")
        # Runs of one D/N say what happens at that ratio, and nothing of others.
        seen = part.runs.D / part.runs[size_symbol(law.inputs)] if len(part.runs) else np.ones(0)
        near = np.abs(np.log(seen / ratio)).max(initial=0.0) < np.log(NEAR)
        besides = ("collinear",) if near else ()
        require_identified(part, allow_failed, f"what happens at D/N = {number(ratio)}", besides)
        return Way("ratio")
    if ratio is not None:
        raise InputError(
            Problem("tokens_per_parameter", f"the law {law.name!r} is one of {', '.join(law.inputs)}",
                    "it has no tokens per parameter", "leave it out")
        )  # fmt: skip
    others = dict(terms.at)
    own = [s for s in law.inputs if s not in others and is_size(s)]
    if len(own) != 1:
        raise InputError(
            Problem("law", f"the law {law.name!r} is one of {', '.join(law.inputs)}",
                    "a gain needs one scale: compute, or the one input of a law",
                    "fit a law of N and D, such as --law chinchilla, or of compute")
        )  # fmt: skip
    require_others(law, tuple(own), terms)
    if law.falls_in is not None and own[0] not in law.falls_in:
        raise InputError(
            Problem("law", f"the law {law.name!r} need not fall in {own[0]}",
                    "a loss may then be reached at several scales", "fit a law that falls, such as power")
        )  # fmt: skip
    require_identified(part, allow_failed, "how the loss falls")
    return Way("one", own[0])


def _scale(part: Posterior | PublishedFit, way: Way) -> str:
    """The scale that a law of this way is one of: the column of x, where it is known."""
    symbol: Any = way.symbol
    return str(part.runs.columns.get("x", "x")) if symbol == "x" else symbol
