"""Pareto-smoothed importance sampling for many sets of weights at once.

References
----------
Vehtari, Simpson, Gelman, Yao, Gabry 2024, Pareto Smoothed Importance Sampling, arXiv:1507.02646.
Zhang and Stephens 2009, A new and efficient estimation method for the generalized Pareto
distribution, Technometrics 51, 316.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PRIOR_SCALE = 3.0  # of the grid of Zhang and Stephens, in units of the first quartile
PRIOR_WEIGHT, PRIOR_SHAPE = 10.0, 0.5  # the weak prior that draws k towards 1/2 in short tails


def k_limit(draws: int) -> float:
    """The largest Pareto k at which this many draws give a reliable answer."""
    return min(1 - 1 / np.log10(draws), 0.7)


def smooth(log_weights: Floats) -> tuple[Floats, Floats]:
    """Replace the largest weights by the quantiles of a generalised Pareto distribution.

    Parameters
    ----------
    log_weights
        Logarithms of raw importance weights, shape (sets, draws).

    Returns
    -------
    log_weights
        Smoothed and normalised, so that the weights of each set add up to 1; shape (sets, draws).
    k
        Shape of the fitted tail, shape (sets,): below 1/2 the variance is finite, above 1 nothing
        is. Infinite where a weight is not a number or too few are above 0; the weights of such a
        set are all equal.
    """
    draws = log_weights.shape[1]
    highest = log_weights.max(axis=1, keepdims=True, initial=-np.inf)
    usable = np.isfinite(highest[:, 0]) & ~np.isnan(log_weights).any(axis=1)
    shifted = np.where(usable[:, None], log_weights - np.where(usable[:, None], highest, 0), 0.0)
    tail = int(np.floor(3 * np.sqrt(draws))) if draws > 225 else draws // 5
    order = np.argsort(shifted, axis=1)
    tail_index = order[:, draws - tail :]
    cutoff = np.exp(np.take_along_axis(shifted, order[:, draws - tail - 1, None], axis=1))
    excess = np.exp(np.take_along_axis(shifted, tail_index, axis=1)) - cutoff
    k, scale = fit_generalised_pareto(excess)
    usable &= np.isfinite(k) & (scale > 0)
    with np.errstate(all="ignore"):
        quantiles = np.log1p(-(np.arange(tail) + 0.5) / tail)
        expected = cutoff + scale[:, None] * np.expm1(-k[:, None] * quantiles) / k[:, None]
        smoothed = np.minimum(np.log(expected), 0.0)
    kept = np.take_along_axis(shifted, tail_index, axis=1)
    result = shifted.copy()
    np.put_along_axis(result, tail_index, np.where(usable[:, None], smoothed, kept), axis=1)
    result -= np.log(np.exp(result).sum(axis=1, keepdims=True))
    return result, np.where(usable, k, np.inf)


def fit_generalised_pareto(excess: Floats) -> tuple[Floats, Floats]:
    """Return shape and scale of the generalised Pareto distribution of each row.

    Parameters
    ----------
    excess
        Excesses over the threshold in ascending order, shape (sets, tail).

    Returns
    -------
    shape, scale
        Shape (sets,); infinite and NaN where the excesses do not vary.
    """
    n = excess.shape[1]
    points = 30 + int(np.sqrt(n))
    quartile = excess[:, int(n / 4 + 0.5) - 1]
    fits = (quartile > excess[:, 0]) & (excess[:, -1] > 0)
    safe = np.where(fits[:, None], excess, np.arange(1.0, n + 1))
    quartile = safe[:, int(n / 4 + 0.5) - 1]
    grid = 1 - np.sqrt(points / (np.arange(1, points + 1) - 0.5))
    theta = grid / (PRIOR_SCALE * quartile[:, None]) + 1 / safe[:, -1:]
    with np.errstate(all="ignore"):
        shape = np.log1p(-theta[..., None] * safe[:, None, :]).mean(axis=-1)
        likelihood = n * (np.log(-theta / shape) - shape - 1)
        likelihood = np.where(np.isfinite(likelihood), likelihood, -np.inf)
        weight = np.exp(likelihood - likelihood.max(axis=1, keepdims=True))
        weight /= weight.sum(axis=1, keepdims=True)
        weight = np.where(weight >= 10 * np.finfo(float).eps, weight, 0.0)
        weight /= weight.sum(axis=1, keepdims=True)
        best = (theta * weight).sum(axis=1)
        shape = np.log1p(-best[:, None] * safe).mean(axis=1)
        scale = -shape / best
    shape = (n * shape + PRIOR_WEIGHT * PRIOR_SHAPE) / (n + PRIOR_WEIGHT)
    return np.where(fits & np.isfinite(shape), shape, np.inf), np.where(fits, scale, np.nan)


def effective_sizes(log_weights: Floats) -> Floats:
    """Return the effective sample size of normalised weights, shape (sets,)."""
    return 1 / np.exp(2 * log_weights).sum(axis=1)
