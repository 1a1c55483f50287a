"""The compute-equivalent gain of one recipe over another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayescale.errors import InputError, Problem
from bayescale.intervals import DEFAULT_LEVEL, Interval, check_level
from bayescale.mixture import independent
from bayescale.posterior import Posterior
from bayescale.publications import Fit
from bayescale.speedups.crossing import crossing
from bayescale.speedups.frontier import Frontier, Member
from bayescale.speedups.pairing import Together, fit_together
from bayescale.speedups.recipes import Recipe
from bayescale.speedups.remarks import could_be_paired, far, of_sampling, unreached
from bayescale.speedups.requests import check_same_kind, check_used, own_inputs, range_of, scales
from bayescale.speedups.result import Curve, Speedup
from bayescale.tables import number

Floats = NDArray[np.float64]
POINTS = 33  # of the curve of the gain
CURVE_DRAWS = 500
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
        independent. One and the same fit may be given twice, with different `at`, or two groups of a
        pooled fit: draws then go together.
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
    check_same_kind(A, B)
    first, second = (
        Recipe.of(name, fit, own_inputs(fit, at, more), tokens_per_parameter,
                  flops_per_parameter_token, allow_failed)
        for name, fit, more in (("A", A, None), ("B", B, at_b))
    )  # fmt: skip
    check_used(at, (A, B))
    if first.symbol != second.symbol:
        raise InputError(
            Problem("A, B", f"A is a law of {first.symbol} and B of {second.symbol}",
                    "a gain is in one scale", "fit laws of the same, such as N and D, or C")
        )  # fmt: skip
    scale = scales(C, second)
    within = range_of(within, scale, first, second)
    for recipe in (first, second):
        recipe.check_optimum(np.array([*within, *scale]))
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
            *far(beyond),
            *unreached(scale, reached, first.symbol),
            *could_be_paired(A, B, pairs),
            *(() if pairs is None else of_sampling(pairs.posterior)),
        ),
        shift=None if pairs is None else pairs.posterior.summary(level)["omega"],
    )


def _intervals(draws: Floats, level: float) -> tuple[Interval, ...]:
    return tuple(Interval.of(column, level) for column in draws.T)


def _side_by_side(
    A: Recipe, B: Recipe, pairs: Together | None, seed: int
) -> tuple[Frontier, Frontier, str]:
    """The draws of both, one beside the other, and in words how they go together."""
    if pairs is not None:
        ours, theirs = (
            Frontier.of([Member(law, 1.0, *_as(recipe.members[0]))])
            for law, recipe in zip(pairs.laws(), (A, B), strict=True)
        )
        return ours, theirs, f"fitted together, {pairs.pairs} pairs of runs sharing a shift each"
    ours, theirs = Frontier.of(A.members), Frontier.of(B.members)
    if _same_draws(A.fit, B.fit):
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


def _same_draws(A: Fit, B: Fit) -> bool:
    """Whether draws go together: of one and the same fit, or of groups of one pooled fit."""
    if A is B:
        return True
    if len(A.parts) != len(B.parts):
        return False
    for (ours, share), (theirs, other) in zip(A.parts, B.parts, strict=True):
        if not (isinstance(ours, Posterior) and isinstance(theirs, Posterior) and share == other):
            return False
        if not np.array_equal(ours.stats["energy"], theirs.stats["energy"]):  # sampled at once
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
