"""The compute-equivalent gain of one recipe over another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayescale.diagnostics import Verdict
from bayescale.errors import InputError, Problem
from bayescale.intervals import DEFAULT_LEVEL, Interval, check_level
from bayescale.mixture import independent
from bayescale.posterior import Posterior
from bayescale.prediction import positive
from bayescale.publications import Fit
from bayescale.speedups.crossing import crossing
from bayescale.speedups.frontier import Frontier, Member
from bayescale.speedups.pairing import LEAST_PAIRS, Together, common_designs, fit_together
from bayescale.speedups.recipes import Recipe
from bayescale.speedups.result import Curve, Speedup, budget
from bayescale.tables import number

Floats = NDArray[np.float64]
TIMES = (1.0, 10.0, 100.0, 1000.0)  # the largest run of B, where no budgets are given
POINTS = 33  # of the curve of the gain
CURVE_DRAWS = 500
FAR = 2.0  # decades beyond the runs from which an answer carries a warning
ORDER = 6  # stream of random numbers beside those of forecasts
EQUAL = 1e-9  # of a gain: rounding


def speedup(
    A: Fit,
    B: Fit,
    C: ArrayLike | None = None,
    *,
    tokens_per_parameter: float | None = None,
    at: Mapping[str, float] | None = None,
    at_b: Mapping[str, float] | None = None,
    within: Sequence[float] | None = None,
    paired: bool = False,
    level: float = DEFAULT_LEVEL,
    flops_per_parameter_token: float | None = None,
    seed: int = 0,
    allow_failed: bool = False,
) -> Speedup:
    r"""Say how much less compute recipe A needs than recipe B for the same loss, at any scale.

    .. math:: g(C) = \frac{C}{C_A}, \qquad
              \min_{k N D = C_A} L_A(N, D) = \min_{k N D = C} L_B(N, D), \qquad
              A, B \sim p(A \mid \mathrm{runs}_A)\, p(B \mid \mathrm{runs}_B)

    Draw by draw: the loss of B at its own best split of C, and the least compute with which A reaches it.
    Above 1, A is ahead. Losses must be of the same evaluation set and tokenizer: nothing here can see
    whether they are. The answer is that of the laws themselves, without the drift that forecasts have:
    far beyond the runs it holds if the laws do.

    Parameters
    ----------
    A, B
        A fit, a mixture or a `PublishedFit` each; the laws may differ. Of N and D, of compute, or both of
        one and the same input (then the gain is in that). The draws of two fits are taken as
        independent. One and the same fit may be given twice, with different `at`: its draws then go
        together.
    C
        Budgets of B in FLOPs (or values of the one input), above 0; a number or shape (budgets,). By
        default the largest of its runs, and 10, 100 and 1,000 times that.
    tokens_per_parameter
        Compare at this D/N in place of the best split of each.
    at
        Other inputs of the laws, symbol to value: ``{"experts": 16}``; of whichever law has them.
    at_b
        Those of B where they differ.
    within
        Smallest and largest scale at which crossings are looked for; by default from the smallest run to
        the largest budget.
    paired
        Whether runs of A and B with the same inputs (and seed, where both tables have seeds) are pairs
        that share a shift, from their seed, order of data, or what both laws miss there. Then the two
        laws are fitted together, which takes a minute (`bayescale.speedups.pairing.fit_together`). Taken
        as independent, such pairs make the interval of the gain too wide.
    level
        Mass of the intervals, between 0 and 1.
    flops_per_parameter_token
        k of C = k N D for both. By default 6, or what the FLOP column of their runs says, for each.
    seed
        Seed of the order in which draws of two fits are set beside each other, and of a fit together.
    allow_failed
        Answer even if the sampling of a fit failed.

    Returns
    -------
    Speedup
        Gain, probability that A is ahead, and what A needs, at each budget; and where the two cross.

    Raises
    ------
    InputError
        Losses in different units, laws of different scales, two fits to the same runs, or runs that do
        not say what is asked.
    FailedFitError
        The sampling of a fit failed.

    References
    ----------
    Compute-equivalent gain: Davidson et al. 2023, AI capabilities can be significantly improved without
    expensive retraining, arXiv:2312.07413.

    Examples
    --------
    >>> import bayescale
    >>> hoffmann, besiroglu = map(bayescale.published, ("hoffmann-2022", "besiroglu-2024"))
    >>> found = bayescale.speedup(hoffmann, besiroglu, C=[1e21, 1e25])
    >>> [round(interval.median, 2) for interval in found.gain]
    [1.1, 14.11]
    """
    check_level(level)
    _check_same_kind(A, B)
    first, second = (
        Recipe.of(name, fit, _own(fit, at, more), tokens_per_parameter,
                  flops_per_parameter_token, allow_failed)
        for name, fit, more in (("A", A, None), ("B", B, at_b))
    )  # fmt: skip
    _check_used(at, (A, B))
    if first.symbol != second.symbol:
        raise InputError(
            Problem("A, B", f"A is a law of {first.symbol} and B of {second.symbol}",
                    "a gain is in one scale", "fit laws of the same, such as N and D, or C")
        )  # fmt: skip
    scale = _scales(C, first, second)
    within = _range(within, scale, first, second)
    first.check_optimum(np.array(within))
    second.check_optimum(np.array([*within, *scale]))
    pairs = _fitted_together(A, B, seed, allow_failed) if paired else None
    ours, theirs, together = _side_by_side(first, second, pairs, seed)
    loss = theirs.losses(scale)
    needed = ours.needed(loss)
    gain = scale / needed
    median_need = np.quantile(needed, 0.5, axis=0, method="inverted_cdf")
    beyond = np.fmax(first.decades_beyond(median_need), second.decades_beyond(scale))
    reached = np.isfinite(needed).mean(axis=0)
    return Speedup(
        symbol=first.symbol,
        scale=scale,
        level=level,
        gain=_intervals(gain, level),
        needed=_intervals(needed, level),
        loss=_intervals(loss, level),
        ahead=(gain > 1 + EQUAL).mean(axis=0),
        reached=reached,
        times=scale / (np.nan if second.span is None else second.span[1]),
        decades_beyond=beyond,
        crossing=crossing(ours, theirs, within, level),
        curve=_curve(ours, theirs, within, level),
        draws=gain,
        loss_unit=B.runs.loss_unit,
        models=(A.name, B.name),
        bases=(A.basis, B.basis),
        together=together,
        path=_path(first, second, tokens_per_parameter),
        verdicts=(
            *_far(beyond),
            *_unreached(scale, reached, first.symbol),
            *_could_be_paired(A, B, pairs),
            *(() if pairs is None else _of_sampling(pairs.posterior)),
        ),
        shift=None if pairs is None else pairs.posterior.summary(level)["omega"],
    )


def _intervals(draws: Floats, level: float) -> tuple[Interval, ...]:
    return tuple(Interval.of(column, level) for column in draws.T)


def _check_same_kind(A: Fit, B: Fit) -> None:
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


def _own(
    fit: Fit, at: Mapping[str, float] | None, more: Mapping[str, float] | None
) -> dict[str, float]:
    """The other inputs that a fit has, and those that are given for it alone."""
    inputs = {symbol for part, _ in fit.parts for symbol in part.inputs}
    return {s: v for s, v in (at or {}).items() if s in inputs} | dict(more or {})


def _check_used(at: Mapping[str, float] | None, fits: tuple[Fit, Fit]) -> None:
    known = {symbol for fit in fits for part, _ in fit.parts for symbol in part.inputs}
    unused = [symbol for symbol in at or {} if symbol not in known]
    if unused:
        raise InputError(
            Problem("at", f"neither law has an input {unused[0]}",
                    remedy=f"their inputs are {', '.join(sorted(known))}")
        )  # fmt: skip


def _scales(C: ArrayLike | None, A: Recipe, B: Recipe) -> Floats:
    if C is not None:
        return positive("C", C).ravel()
    if B.span is None:
        raise InputError(
            Problem("C", "no budgets are given, and B has no runs to take them from",
                    remedy="write --flops 1e21,1e23 (C=[1e21, 1e23])")
        )  # fmt: skip
    return B.span[1] * np.array(TIMES)


def _range(
    within: Sequence[float] | None, scale: Floats, A: Recipe, B: Recipe
) -> tuple[float, float]:
    """Where crossings are looked for."""
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


def _side_by_side(
    A: Recipe, B: Recipe, pairs: Together | None, seed: int
) -> tuple[Frontier, Frontier, str]:
    """The draws of both, one beside the other, and in words how they go together."""
    if pairs is not None:
        members = [
            Frontier.of([Member(law, 1.0, *_as(recipe.members[0]))])
            for law, recipe in zip(pairs.laws(), (A, B), strict=True)
        ]
        return *members, f"fitted together, {pairs.pairs} pairs of runs sharing a shift each"  # type: ignore[return-value]
    ours, theirs = Frontier.of(A.members), Frontier.of(B.members)
    if _same_draws(A, B):
        return ours, theirs, "draws of one fit"
    if len(A.fit.runs) and A.fit.runs.data_hash == B.fit.runs.data_hash:
        raise InputError(
            Problem("A, B", "both were fitted to the same runs", "they are two laws of one recipe, and not "
                    "two recipes", "fit the runs of each recipe apart, with --where, or compare laws by "
                    "bayescale compare")
        )  # fmt: skip
    count = max(len(ours), len(theirs))
    orders = [
        independent(np.arange(len(one)), count, np.random.default_rng([seed, ORDER, i]))
        for i, one in enumerate((ours, theirs))
    ]
    words = "draws taken as independent"
    if 1 in (len(ours), len(theirs)):
        words = "without uncertainty of " + ("either" if count == 1 else "AB"[len(theirs) == 1])
    return ours.ordered(orders[0]), theirs.ordered(orders[1]), words


def _as(member: Member) -> tuple[Any, ...]:
    return member.way, member.terms, member.ratio


def _same_draws(A: Recipe, B: Recipe) -> bool:
    """Whether two fits are one and the same."""
    if A.fit is B.fit:
        return True
    if len(A.members) != len(B.members):
        return False
    for ours, theirs in zip(A.members, B.members, strict=True):
        if type(ours.law) is not type(theirs.law) or ours.share != theirs.share:
            return False
        pairs = zip(jax.tree.leaves(ours.law), jax.tree.leaves(theirs.law), strict=True)
        if not all(np.array_equal(a, b) for a, b in pairs):
            return False
    return True


def _fitted_together(A: Any, B: Any, seed: int, allow_failed: bool) -> Together:
    found = fit_together(A, B, seed)
    found.posterior.require_sound(allow_failed)
    return found


def _curve(A: Frontier, B: Frontier, within: tuple[float, float], level: float) -> Curve:
    rows = np.arange(0, len(A), -(-len(A) // CURVE_DRAWS))
    scale = np.geomspace(within[0], within[1], POINTS)
    ours, theirs = A.ordered(rows), B.ordered(rows)
    gain = scale / ours.needed(theirs.losses(scale))
    tail = (1 - level) / 2
    lower, median, upper = np.quantile(gain, [tail, 0.5, 1 - tail], axis=0)
    return Curve(scale, lower, median, upper)


def _path(A: Recipe, B: Recipe, ratio: float | None) -> str:
    if ratio is not None:
        return f"both at D/N = {number(ratio)}"
    words = []
    for recipe in (A, B):
        kinds = {member.way.kind for member in recipe.members}
        split = "at its best split" if kinds & {"closed", "search"} else "by its law"
        given = recipe.terms.words().replace(" (", " with ").rstrip(")")
        words.append(f"{split}{given}")
    return f"each {words[0]}" if words[0] == words[1] else f"A {words[0]}, B {words[1]}"


def _far(beyond: Floats) -> list[Verdict]:
    """Far beyond the runs, the laws' own error is missing from the interval."""
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


def _unreached(scale: Floats, reached: Floats, symbol: str) -> list[Verdict]:
    """What A never reaches is said, and where it still does."""
    missed = np.flatnonzero(reached < 1)
    if not len(missed):
        return []
    shares = ", ".join(f"{_share(1 - reached[i])} at {budget(scale[i], symbol)}" for i in missed)
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


def _could_be_paired(A: Fit, B: Fit, pairs: Together | None) -> list[Verdict]:
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


def _of_sampling(posterior: Posterior) -> list[Verdict]:
    """Verdicts on the sampling of a fit together; those on the designs are the fits' own."""
    return [v for v in posterior.verdicts if v.severity == "failed"]
