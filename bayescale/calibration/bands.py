"""Are these numbers uniform? Simultaneous bands for their empirical distribution, and exact p-values."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import bisect
from scipy.stats import binom, poisson

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

POINTS = 200  # at most, at which a distribution is looked at
ROUNDING = 1e-10  # of tail probabilities that are equal
SMALLEST = 1e-15  # tail probability that is told from 0


def places(count: int) -> Floats:
    """Return the points of (0, 1) at which the distribution of `count` numbers is looked at."""
    size = min(count, POINTS)
    return np.arange(1, size) / size


def counts_below(values: ArrayLike, at: Floats) -> Ints:
    """Return how many of the values are at most each point."""
    return np.searchsorted(np.sort(np.asarray(values, dtype=np.float64)), at, side="right")


@lru_cache(maxsize=1024)
def outside(count: int, tail: float) -> float:
    r"""Return how often uniform numbers somewhere have a tail probability as small as this.

    .. math:: P\left(\min_i \min\{F_i(K_i),\ 1 - F_i(K_i - 1)\} \le \mathrm{tail}\right), \qquad
              K_i = \#\{u_j \le z_i\}, \quad F_i = \mathrm{Binomial}(n, z_i)

    Exact: the counts are a Poisson process, of which the paths inside are summed up step by step, given
    its total.

    Parameters
    ----------
    count
        n, how many numbers there are.
    tail
        Tail probability at one point, above 0.

    References
    ----------
    Säilynoja, Bürkner and Vehtari 2022, Graphical test for discrete uniformity and its applications in
    goodness-of-fit evaluation and multiple sample comparison, Statistics and Computing 32, 32.
    """
    lower, upper = _limits(count, tail)
    at = places(count)
    step = count / (len(at) + 1)
    kernel = poisson.pmf(np.arange(count + 1), step)
    kernel = kernel[: max(int(np.flatnonzero(kernel > 0)[-1]) + 1, 1)]
    state, first = np.ones(1), 0
    for low, high in zip(lower.tolist(), upper.tolist(), strict=True):
        moved = np.convolve(state, kernel)
        here = np.arange(first, first + len(moved))
        kept = (low <= here) & (here <= high)
        if not kept.any():
            return 1.0
        state, first = moved[kept], int(here[kept][0])
    last = poisson.pmf(count - np.arange(first, first + len(state)), step)
    return float(np.clip(1 - state @ last / poisson.pmf(count, count), 0.0, 1.0))


@lru_cache(maxsize=64)
def pointwise(count: int, false_alarm: float) -> float:
    """Return the tail probability at one point that uniform numbers fall to this rarely."""
    if outside(count, false_alarm) <= false_alarm:  # so few numbers that a point is all there is
        return false_alarm
    ends = np.log([SMALLEST, false_alarm])
    tail = float(np.exp(bisect(lambda t: outside(count, float(np.exp(t))) - false_alarm, *ends)))
    while (
        outside(count, tail) > false_alarm
    ):  # a step function: take the side that keeps the promise
        tail *= 1 - 1e-6
    return tail


def band(count: int, false_alarm: float) -> tuple[Floats, Floats, Floats]:
    """Return points, and the lower and upper limits of the empirical distribution there.

    The distribution of `count` uniform numbers leaves the limits, anywhere, with a probability of
    at most `false_alarm`.
    """
    lower, upper = _limits(count, pointwise(count, false_alarm))
    return places(count), lower / count, upper / count


def p_value(values: ArrayLike) -> float:
    """Return the p-value of uniformity on (0, 1): how often uniform numbers stray as far.

    Consistent with `band`: the distribution leaves the band of a rate of false alarms exactly where
    the p-value is at most that rate.

    Examples
    --------
    >>> p_value((np.arange(100) + 0.5) / 100) > 0.99
    True
    >>> p_value(np.linspace(0.1, 0.9, 100)) < 0.01
    True
    """
    values = np.asarray(values, dtype=np.float64)
    count, at = len(values), places(len(values))
    k = counts_below(values, at)
    tail = min(binom.cdf(k, count, at).min(), binom.sf(k - 1, count, at).min())
    return outside(count, max(float(tail), SMALLEST))


def _limits(count: int, tail: float) -> tuple[Ints, Ints]:
    """The least and largest counts at each point whose tail probabilities are above `tail`."""
    at, limit = places(count), tail * (1 + ROUNDING)
    lower = binom.ppf(tail, count, at).astype(np.intp)
    upper = binom.isf(tail, count, at).astype(np.intp)
    lower += binom.cdf(lower, count, at) <= limit
    upper -= binom.sf(upper - 1, count, at) <= limit
    return lower, upper
