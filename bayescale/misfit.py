"""What a law leaves in the order of x, or along each run: residuals of neighbours that go together."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc

FALSE_ALARMS = 1e-3  # at most, where the law is right
LEAST_RUNS = 10


@dataclass(frozen=True)
class Misfit:
    """Residuals that go together along x.

    Parameters
    ----------
    ratio
        Von Neumann's ratio of the ranks: 2 without any order, near 0 for a smooth curve.
    p_value
        Probability of so small a ratio by chance.
    low_x, high_x, count
        The longest stretch of residuals of one sign: where it lies, and its runs.
    mean
        Mean residual of log loss there.
    """

    ratio: float
    p_value: float
    low_x: float
    high_x: float
    count: int
    mean: float


def misfit(x: ArrayLike, residuals: ArrayLike) -> Misfit | None:
    r"""Return what is systematic in the residuals of a law of one variable; None if nothing is.

    .. math:: R = \frac{\sum_i (r_{i+1} - r_i)^2}{\sum_i (r_i - \bar r)^2}

    r are the ranks of the residuals in the order of x. Without any order R is near 2; where neighbours
    err together it is small. The limit is the quantile 0.001 of Bartels' Beta approximation. Residuals
    about a fitted curve alternate a little more than chance has it, so false alarms are rarer still.
    Runs of the same x come in an order drawn at random, once and for all.

    Parameters
    ----------
    x
        Values of the input, shape (runs,).
    residuals
        Log losses less those of the law, in units of their own scatter if it differs, shape (runs,).

    References
    ----------
    Bartels 1982, The rank version of von Neumann's ratio test for randomness, Journal of the American
    Statistical Association 77, 40-46.

    Examples
    --------
    >>> x = np.arange(1.0, 21.0)
    >>> found = misfit(x, np.sin(x / 3))
    >>> round(found.ratio, 2), found.count
    (0.13, 9)
    >>> misfit(x, np.cos(40 * x)) is None
    True
    """
    places, values = np.asarray(x, float), np.asarray(residuals, float)
    n = len(values)
    if n < LEAST_RUNS or np.ptp(values) == 0:
        return None
    shuffled = np.random.default_rng(0).permutation(n)
    order = shuffled[np.argsort(places[shuffled], kind="stable")]
    places, values = places[order], values[order]
    ranks = np.argsort(np.argsort(values, kind="stable"))
    ratio = float(np.sum(np.diff(ranks) ** 2) / np.sum((ranks - ranks.mean()) ** 2))
    variance = 4 * (n - 2) * (5 * n * n - 2 * n - 9) / (5 * n * (n + 1) * (n - 1) ** 2)
    shape = 0.5 * (4 / variance - 1)  # of a symmetric Beta on (0, 4) with that variance
    p_value = float(betainc(shape, shape, ratio / 4))
    if p_value >= FALSE_ALARMS:
        return None
    stretches = [list(rows) for _, rows in groupby(range(n), key=lambda i: values[i] > 0)]
    longest = max(stretches, key=len)
    ends = float(places[longest[0]]), float(places[longest[-1]])
    return Misfit(ratio, p_value, *ends, len(longest), float(values[longest].mean()))


def misfit_along(group: ArrayLike, place: ArrayLike, residuals: ArrayLike) -> Misfit | None:
    """Return what goes together along the rows of each group, their mean apart; None if nothing does.

    The test of `misfit` on the rows of one group after the other. Residuals about the mean of a group
    alternate a little, so false alarms are rarer than they are there. Places are counted from 0.

    Parameters
    ----------
    group
        Index of the group of each row, shape (rows,).
    place
        Where it lies along its group, shape (rows,).
    residuals
        As in `misfit`.

    Examples
    --------
    >>> run, step = np.repeat([0, 1], 20), np.tile(np.arange(20.0), 2)
    >>> misfit_along(run, step, run + np.cos(40 * step)) is None
    True
    >>> round(misfit_along(run, step, run + np.sin(step / 3)).ratio, 2)
    0.13
    """
    codes = np.asarray(group, np.intp)
    order = np.lexsort((np.asarray(place, float), codes))
    values, codes = np.asarray(residuals, float)[order], codes[order]
    means = np.bincount(codes, values) / np.maximum(np.bincount(codes), 1)
    return misfit(np.arange(len(values)), values - means[codes])
