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
    return float(statistics(draws[None])[0][0])


def ess_bulk(draws: Chains) -> float:
    """Return the effective sample size for the centre of the distribution; see `rhat` for NaN."""
    return float(statistics(draws[None])[1][0])


def ess_tail(draws: Chains) -> float:
    """Return the smaller effective sample size of the 5% and the 95% quantile; see `rhat` for NaN."""
    return float(statistics(draws[None])[2][0])


def statistics(draws: Chains) -> tuple[Chains, Chains, Chains]:
    """Return R-hat, bulk and tail effective sample sizes of many quantities at once.

    Parameters
    ----------
    draws
        Shape (quantities, chains, draws).

    Returns
    -------
    rhat, ess_bulk, ess_tail
        Shape (quantities,); NaN as `rhat` says.
    """
    quantities, chains, count = draws.shape
    if count < MIN_DRAWS:
        nothing = np.full(quantities, np.nan)
        return nothing, nothing.copy(), nothing.copy()
    usable = np.isfinite(draws).all(axis=(1, 2))
    safe = np.where(usable[:, None, None], draws, np.arange(count))
    halves = _split(safe)
    scores = _normal_scores(halves)
    folded = np.abs(halves - np.median(halves, axis=(1, 2), keepdims=True))
    mixing = np.maximum(_plain_rhat(scores), _plain_rhat(_normal_scores(folded)))
    if chains < 2:
        mixing = np.full(quantities, np.nan)
    ends = np.quantile(safe, TAIL, axis=(1, 2))
    tails = [_plain_ess(_split((safe <= end[:, None, None]).astype(np.float64))) for end in ends]
    found = mixing, _plain_ess(scores), np.minimum(*tails)
    return tuple(np.where(usable, values, np.nan) for values in found)  # type: ignore[return-value]


def _split(draws: Chains) -> Chains:
    """Each chain as two; of an odd number of draws the middle one is left out."""
    half = draws.shape[2] // 2
    return np.concatenate([draws[:, :, :half], draws[:, :, -half:]], axis=1)


def _normal_scores(draws: Chains) -> Chains:
    """Ranks among all draws of a quantity (ties share their mean), as normal quantiles."""
    flat = draws.reshape(len(draws), -1)
    total = flat.shape[1]
    order = np.argsort(flat, axis=1)
    ordered = np.take_along_axis(flat, order, axis=1)
    place = np.broadcast_to(np.arange(total), flat.shape)
    new = np.ones(flat.shape, bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    last = np.ones(flat.shape, bool)
    last[:, :-1] = new[:, 1:]
    first_of = np.maximum.accumulate(np.where(new, place, 0), axis=1)
    ends = np.where(last, place, total)[:, ::-1]
    last_of = np.minimum.accumulate(ends, axis=1)[:, ::-1]
    ranks = np.empty(flat.shape)
    np.put_along_axis(ranks, order, (first_of + last_of) / 2 + 1, axis=1)
    return ndtri((ranks - 0.375) / (total + 0.25)).reshape(draws.shape)


def _plain_rhat(draws: Chains) -> Chains:
    n = draws.shape[2]
    between = n * draws.mean(axis=2).var(axis=1, ddof=1)
    within = draws.var(axis=2, ddof=1).mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(within > 0, np.sqrt((between / within + n - 1) / n), np.nan)


def _autocovariance(draws: Chains) -> Chains:
    n = draws.shape[2]
    centred = draws - draws.mean(axis=2, keepdims=True)
    spectrum = np.fft.rfft(centred, 2 * n, axis=2)
    return np.fft.irfft(np.abs(spectrum) ** 2, 2 * n, axis=2)[:, :, :n] / n


def _plain_ess(draws: Chains) -> Chains:
    _, chains, n = draws.shape
    covariance = _autocovariance(draws).mean(axis=1)
    within = covariance[:, 0] * n / (n - 1)
    between = draws.mean(axis=2).var(axis=1, ddof=1) if chains > 1 else 0.0
    total = covariance[:, 0] + between
    constant = np.ptp(draws, axis=(1, 2)) < np.finfo(np.float64).resolution
    with np.errstate(divide="ignore", invalid="ignore"):
        rho = 1 - (within[:, None] - covariance) / total[:, None]
    rho[:, 0] = 1.0
    size = chains * n
    shortest = 1 / np.log10(size)
    times = [
        1.0 if still else max(_correlation_time(row), shortest)
        for row, still in zip(rho, constant, strict=True)
    ]
    return size / np.array(times)


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
