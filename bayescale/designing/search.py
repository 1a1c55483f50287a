"""Which of the candidates to run: greedy choices by what they cost, improved by exchanges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayescale.errors import InputError, Problem

Floats = NDArray[np.float64]

POWERS = (2.0, 1.0, 0.5, 0.0)
SLACK = 1 + 1e-9
BETTER = 1e-6  # share of the variance that an exchange must win
LITTLE = 0.01  # share of the sd: a run that lowers it by less is left out
EXCHANGES = 200


class Criterion(Protocol):
    """What the variance of a quantity would be; `bayescale.conditioning.LinearGaussian` is one."""

    def after(self, chosen: Sequence[int]) -> float:
        """Return the variance that observations of the chosen candidates leave."""

    def after_each(self, chosen: Sequence[int] = ()) -> Floats:
        """Return the variance after the chosen candidates and one more, for each candidate."""


def best_runs(joint: Criterion, cost: Floats, budget: float, most: int) -> list[int]:
    """Return the candidates to run, the one that cuts the variance most per FLOP first.

    A greedy choice per FLOP, per root of a FLOP and regardless of cost, each improved by taking out one
    run and filling up with others until that no longer helps; the best of the three. Each candidate
    is run once at most.

    Parameters
    ----------
    joint
        The target and the candidates.
    cost
        FLOPs of each candidate, shape (candidates,); each within the budget.
    budget
        FLOPs for all runs together.
    most
        Number of runs at most.

    Raises
    ------
    InputError
        None of them tells anything.
    """
    found = []
    for power in POWERS:
        chosen = _filled(joint, cost, budget, most, power, [])
        found.append(_exchanged(joint, cost, budget, most, chosen))
    best = min(found, key=joint.after)
    if not best:
        raise InputError(
            Problem("target", "no allowed run would tell anything of it",
                    remedy="allow other sizes and D/N (--params, --ratios), or ask for something else")
        )  # fmt: skip
    return in_order(joint, cost, _pruned(joint, best))


def _filled(
    joint: Criterion, cost: Floats, budget: float, most: int, power: float, chosen: list[int]
) -> list[int]:
    """Add the run of the largest gain over a power of its cost, as long as one fits and helps."""
    chosen = list(chosen)
    while len(chosen) < most:
        allowed = _allowed(cost, budget - cost[chosen].sum(), budget, chosen)
        if not allowed.any():
            break
        # The logarithm: halving what is left is worth the same, however much is left.
        gain = _log(joint.after(chosen)) - _log(joint.after_each(chosen))
        if not (gain[allowed] > BETTER).any():
            break
        chosen.append(int(np.argmax(np.where(allowed, gain / cost**power, -np.inf))))
    return chosen


def _exchanged(
    joint: Criterion, cost: Floats, budget: float, most: int, chosen: list[int]
) -> list[int]:
    """Take out one run and fill up with what helps most instead, as long as that is better."""
    for _ in range(EXCHANGES):
        now = joint.after(chosen)
        rests = [[j for j in chosen if j != i] for i in chosen] + [chosen]
        tried = [
            _filled(joint, cost, budget, most, power, rest) for rest in rests for power in POWERS
        ]
        best = min(tried, key=joint.after)
        if not joint.after(best) < now * (1 - BETTER):
            break
        chosen = best
    return chosen


def _pruned(joint: Criterion, chosen: list[int]) -> list[int]:
    """Leave out runs that lower the sd by next to nothing, the least useful first."""
    while len(chosen) > 1:
        now = joint.after(chosen)
        without = [joint.after([j for j in chosen if j != i]) for i in chosen]
        least = int(np.argmin(without))
        if np.sqrt(without[least]) > np.sqrt(now) * (1 + LITTLE):
            break
        chosen = [j for k, j in enumerate(chosen) if k != least]
    return chosen


def in_order(joint: Criterion, cost: Floats, chosen: list[int]) -> list[int]:
    """Return the chosen runs in the order in which they cut the variance most per FLOP."""
    ordered: list[int] = []
    while len(ordered) < len(chosen):
        left = [i for i in chosen if i not in ordered]
        gain = _log(joint.after(ordered)) - _log(joint.after_each(ordered)[left])
        ordered.append(left[int(np.argmax(gain / cost[left]))])
    return ordered


def _allowed(cost: Floats, left: float, budget: float, chosen: list[int]) -> NDArray[np.bool_]:
    """The candidates that are not chosen yet and fit into what is left of the budget."""
    allowed = cost <= left + budget * (SLACK - 1)
    allowed[chosen] = False
    return allowed


def _log(variance: ArrayLike) -> Floats:
    return np.asarray(np.log(np.maximum(variance, np.finfo(np.float64).tiny)))
