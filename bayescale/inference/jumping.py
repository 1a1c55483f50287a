"""Chains that jump between modes: independence Metropolis from a mixture fitted to what others found.

Chains that stay in different modes cannot say how much mass each has, however long they run. Their draws say
where the modes are: a mixture of Student-t components is fitted to them, draws of it are weighted by the
posterior, and it is fitted again to these, some rounds (population Monte Carlo: Cappé et al. 2008,
Adaptive importance sampling in general mixture classes, Statistics and Computing 18, 447-459). Metropolis
chains that take it as their proposal go from mode to mode, and R-hat judges them as any others.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2
from scipy.special import gammaln, logsumexp

Floats = NDArray[np.float64]

MOST_COORDINATES = 20  # with more of them no such mixture comes near a posterior
COMPONENTS = 12
DEGREES = 5.0  # of freedom of the components
ROUNDS = 6  # of draws and weights; the chains take those of the last
PROPOSALS = 10_000  # of each chain in a round, or more
THINNING = 10  # states that one is kept of, or more
SEEN = 16_000  # resampled draws that a mixture is fitted to
LEAST_EFFECTIVE = 1500  # draws that a mixture is fitted to: weights are tempered until there are so many


class Mixture(NamedTuple):
    """Student-t components: their shares (k,), centres (k, p) and lower roots of their scale (k, p, p)."""

    shares: Floats
    centres: Floats
    roots: Floats

    def draw(self, count: int, generator: np.random.Generator) -> Floats:
        """Return draws, shape (count, p)."""
        which = generator.choice(len(self.shares), count, p=self.shares)
        z = generator.standard_normal((count, self.centres.shape[1]))
        z /= np.sqrt(generator.chisquare(DEGREES, count) / DEGREES)[:, None]
        return self.centres[which] + np.einsum("nij,nj->ni", self.roots[which], z)

    def log_density(self, u: Floats) -> Floats:
        """Return log densities of vectors, shape (count,)."""
        size = u.shape[1]
        constant = gammaln((DEGREES + size) / 2) - gammaln(DEGREES / 2)
        constant -= size / 2 * np.log(DEGREES * np.pi)
        parts = []
        for share, centre, root in zip(*self, strict=True):
            z = (u - centre) @ np.linalg.inv(root).T
            log_kernel = -(DEGREES + size) / 2 * np.log1p((z * z).sum(axis=1) / DEGREES)
            parts.append(np.log(share) + constant - np.log(np.diag(root)).sum() + log_kernel)
        return np.asarray(logsumexp(parts, axis=0))


def fitted(u: Floats, log_weights: Floats, generator: np.random.Generator) -> Mixture:
    """Return a mixture fitted to weighted vectors: clusters of resampled ones, each with its covariance.

    Few different vectors in a cluster leave its covariance near a share of that of all.
    """
    weights = np.exp(log_weights - logsumexp(log_weights))
    drawn = u[generator.choice(len(u), SEEN, p=weights)]
    size = u.shape[1]
    covariance = np.cov(drawn, rowvar=False) + 1e-12 * np.eye(size)
    centre, root = drawn.mean(axis=0), np.linalg.cholesky(covariance)
    z = np.linalg.solve(root, (drawn - centre).T).T
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # an empty cluster is left out below
        _, labels = kmeans2(z, COMPONENTS, minit="++", rng=generator)
    shares, centres, roots = [], [], []
    for label in np.unique(labels):
        mine = z[labels == label]
        different = len(np.unique(mine, axis=0))
        trust = different / (different + 2 * size)
        own = np.cov(mine, rowvar=False) if different > 1 else np.zeros((size, size))
        scale = trust * own + (1 - trust) * np.eye(size) / COMPONENTS
        shares.append(len(mine))
        centres.append(centre + root @ mine.mean(axis=0))
        roots.append(root @ np.linalg.cholesky(scale + 1e-9 * np.eye(size)))
    return Mixture(np.array(shares) / SEEN, np.array(centres), np.array(roots))


class Jumps(NamedTuple):
    """Draws, shape (sets, chains, draws, p); their log densities and the acceptance before each of them."""

    u: Floats
    log_density: Floats
    acceptance: Floats


def jumping_chains(
    density: Callable[[Floats], Floats],
    found: Sequence[Floats],
    generators: Sequence[np.random.Generator],
    chains: int,
    draws: int,
) -> Jumps:
    """Return draws of chains that jump between the modes of each of several posteriors.

    Parameters
    ----------
    density
        Vectors of shape (sets, points, p) to log densities, up to a constant of each set.
    found
        What other chains found of each set, shape (points, p): every mode, in whatever proportion.
    generators
        One for each set.
    chains, draws
        How many chains, and draws of each.

    Returns
    -------
    Jumps
        Axes (sets, chains, draws).
    """
    count = draws * max(THINNING, -(-PROPOSALS // draws))
    mixtures = [fitted(u, np.zeros(len(u)), g) for u, g in zip(found, generators, strict=True)]
    for round_ in range(ROUNDS):
        pairs = zip(mixtures, generators, strict=True)
        u = np.stack([m.draw(chains * count, generator) for m, generator in pairs])
        there = np.nan_to_num(density(u), nan=-np.inf)
        proposed = [m.log_density(mine) for m, mine in zip(mixtures, u, strict=True)]
        log_weights = there - proposed
        if round_ < ROUNDS - 1:
            everything = zip(u, log_weights, generators, strict=True)
            mixtures = [fitted(mine, _tempered(w), g) for mine, w, g in everything]
    shape = len(u), chains, count
    log_weights, there = log_weights.reshape(shape), there.reshape(shape)
    sets = [
        [_metropolis(weights, draws, generator) for weights in mine]
        for mine, generator in zip(log_weights, generators, strict=True)
    ]
    states = np.array([[chain[0] for chain in mine] for mine in sets])
    points = u.reshape(*shape, -1)
    return Jumps(
        np.take_along_axis(points, states[..., None], axis=2),
        np.take_along_axis(there, states, axis=2),
        np.array([[chain[1] for chain in mine] for mine in sets]),
    )


def _tempered(log_weights: Floats) -> Floats:
    """The weights to the largest power, of 1 and less, that leaves enough draws effective."""
    power = 1.0
    while _effective(power * log_weights) < LEAST_EFFECTIVE and power > 1e-3:
        power *= 0.8
    return power * log_weights


def _effective(log_weights: Floats) -> float:
    return float(np.exp(2 * logsumexp(log_weights) - logsumexp(2 * log_weights)))


def _metropolis(
    log_weights: Floats, draws: int, generator: np.random.Generator
) -> tuple[NDArray[np.intp], Floats]:
    """Which proposals a chain is at when draws are taken, and its mean acceptance before each of them."""
    # It begins at a proposal drawn by weight, so that no part of it need be dropped.
    weights = np.exp(log_weights - logsumexp(log_weights))
    state = int(generator.choice(len(weights), p=weights))
    thresholds = np.log(generator.uniform(size=len(weights)))
    states, ratios = np.empty(len(weights), int), np.empty(len(weights))
    for i, (threshold, log_weight) in enumerate(zip(thresholds, log_weights, strict=True)):
        ratios[i] = log_weight - log_weights[state]
        if threshold < ratios[i]:
            state = i
        states[i] = state
    acceptance = np.exp(np.minimum(ratios, 0.0)).reshape(draws, -1).mean(axis=1)
    return states.reshape(draws, -1)[:, -1], acceptance
