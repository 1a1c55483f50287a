"""R-hat and effective sample sizes of chains.

The same figures as ArviZ's, to rounding, which a test holds. They are worked out here because every
fit needs them, and the import of ArviZ would take a third of the time of a small fit's process.

References
----------
Vehtari et al. 2021, Rank-normalization, folding, and localization, arXiv:1903.08008. Geyer 1992,
Practical Markov chain Monte Carlo, Statistical Science 7, section 3.3, for where the sum of
autocorrelations is cut.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Chains = NDArray[np.float64]
TAIL = (0.05, 0.95)  # quantiles whose effective sample size is the "tail" one
MIN_DRAWS = 4


def rhat(draws: Chains) -> float:
    """Return the rank-normalised split R-hat, the larger of bulk and folded.

    Parameters
    ----------
    draws
        Shape (chains, draws).

    Returns
    -------
    float
        Near 1 where the chains agree; NaN with one chain, fewer than 4 draws, draws that are not
        finite, or draws that do not vary.
    """
    if not _usable(draws) or len(draws) < 2:
        return float("nan")
    halves = _split(draws)
    folded = np.abs(halves - np.median(halves))
    return max(_plain_rhat(_normal_scores(halves)), _plain_rhat(_normal_scores(folded)))


def ess_bulk(draws: Chains) -> float:
    """Return the effective sample size for the centre of the distribution; see `rhat` for NaN."""
    if not _usable(draws):
        return float("nan")
    return _plain_ess(_normal_scores(_split(draws)))


def ess_tail(draws: Chains) -> float:
    """Return the smaller effective sample size of the 5% and the 95% quantile; see `rhat` for NaN."""
    if not _usable(draws):
        return float("nan")
    ends = np.quantile(draws, TAIL)
    return min(_plain_ess(_split((draws <= end).astype(np.float64))) for end in ends)


def _usable(draws: Chains) -> bool:
    return draws.shape[1] >= MIN_DRAWS and bool(np.isfinite(draws).all())


def _split(draws: Chains) -> Chains:
    """Each chain as two; of an odd number of draws the middle one is left out."""
    half = draws.shape[1] // 2
    return np.concatenate([draws[:, :half], draws[:, -half:]])


def _normal_scores(draws: Chains) -> Chains:
    """Ranks among all draws (ties share their mean), as quantiles of a standard normal."""
    _, inverse, counts = np.unique(draws, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    return ndtri((ranks[inverse].reshape(draws.shape) - 0.375) / (draws.size + 0.25))


def _plain_rhat(draws: Chains) -> float:
    n = draws.shape[1]
    between = n * draws.mean(axis=1).var(ddof=1)
    within = draws.var(axis=1, ddof=1).mean()
    return float(np.sqrt((between / within + n - 1) / n)) if within > 0 else float("nan")


def _autocovariance(draws: Chains) -> Chains:
    n = draws.shape[1]
    centred = draws - draws.mean(axis=1, keepdims=True)
    spectrum = np.fft.rfft(centred, 2 * n, axis=1)
    return np.fft.irfft(np.abs(spectrum) ** 2, 2 * n, axis=1)[:, :n] / n


def _plain_ess(draws: Chains) -> float:
    chains, n = draws.shape
    if np.ptp(draws) < np.finfo(np.float64).resolution:
        return float(draws.size)
    covariance = _autocovariance(draws).mean(axis=0)
    within = covariance[0] * n / (n - 1)
    total = covariance[0] + (draws.mean(axis=1).var(ddof=1) if chains > 1 else 0.0)
    rho = 1 - (within - covariance) / total
    rho[0] = 1.0
    return draws.size / max(_correlation_time(rho), 1 / np.log10(draws.size))


def _correlation_time(rho: NDArray[np.float64]) -> float:
    """Sum the autocorrelations in pairs, while the pairs are positive, made to fall monotonically."""
    n = len(rho)
    last = 1
    while last < n - 3 and rho[last - 1] + rho[last] > 0:
        if rho[last + 1] + rho[last + 2] < 0:
            last += 2
            break
        last += 2
    cut = last - 2
    kept = np.zeros(n)
    kept[: cut + 1] = rho[: cut + 1]
    if rho[cut + 1] > 0:
        kept[cut + 1] = rho[cut + 1]
    for t in range(1, cut - 1, 2):
        if kept[t + 1] + kept[t + 2] > kept[t - 1] + kept[t]:
            kept[t + 1] = kept[t + 2] = (kept[t - 1] + kept[t]) / 2
    return float(-1 + 2 * kept[: cut + 1].sum() + kept[cut + 1])
