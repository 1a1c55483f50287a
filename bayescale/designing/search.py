"""Which of the candidates to run: greedy choices by what they cost, improved by exchanges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayescale.errors import InputError, Problem

Floats = NDArray[np.float64]

POWERS = (1.0, 0.5, 0.0)  # of the cost that a gain is divided by, in the greedy starts
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

    A greedy choice per FLOP, per root of a FLOP and regardless of cost, each improved by adding,
    exchanging and dropping runs until no single exchange helps; the best of the three. Each candidate
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
        chosen = _greedy(joint, cost, budget, most, power)
        found.append(_exchanged(joint, cost, budget, most, chosen))
    best = min(found, key=joint.after)
    if not best:
        raise InputError(
            Problem("target", "no allowed run would tell anything of it",
                    remedy="allow other sizes and D/N (--params, --ratios), or ask for something else")
        )  # fmt: skip
    return in_order(joint, cost, _pruned(joint, best))


def _greedy(joint: Criterion, cost: Floats, budget: float, most: int, power: float) -> list[int]:
    chosen: list[int] = []
    while len(chosen) < most:
        allowed = _allowed(cost, budget - cost[chosen].sum(), budget, chosen)
        after = joint.after_each(chosen)
        # The logarithm: halving what is left is worth the same, however much is left.
        gain = _log(joint.after(chosen)) - _log(after)
        if not allowed.any() or not (gain[allowed] > BETTER).any():
            break
        chosen.append(int(np.argmax(np.where(allowed, gain / cost**power, -np.inf))))
    return chosen


def _exchanged(
    joint: Criterion, cost: Floats, budget: float, most: int, chosen: list[int]
) -> list[int]:
    """Exchange one run for another, or add one, as long as it helps."""
    for _ in range(EXCHANGES):
        now = joint.after(chosen)
        kept = [[j for j in chosen if j != i] for i in chosen]
        kept += [chosen] if len(chosen) < most else []
        tried = []
        for rest in kept:
            allowed = _allowed(cost, budget - cost[rest].sum(), budget, rest)
            after = np.where(allowed, joint.after_each(rest), np.inf)
            tried.append((float(after.min()), [*rest, int(after.argmin())]))
        if not tried or not (best := min(tried, key=lambda pair: pair[0]))[0] < now * (1 - BETTER):
            break
        chosen = best[1]
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
