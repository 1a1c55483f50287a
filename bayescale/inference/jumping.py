"""Jumps between modes: proposals from a mixture that is fitted to what chains found.

Chains that stay in different modes cannot say how much mass each has, however long they run. Their draws say
where the modes are: a mixture of Student-t components is fitted to them, draws of it are weighted by the
posterior, and it is fitted again to these, some rounds (population Monte Carlo: Cappé et al. 2008,
Adaptive importance sampling in general mixture classes, Statistics and Computing 18, 447-459). Chains that
try such draws as independent proposals between their own steps go from mode to mode, and R-hat judges them
as any others.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp as jax_logsumexp
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2
from scipy.special import logsumexp

from bayescale.inference.geometry import Whitening

Floats = NDArray[np.float64]

MOST_COORDINATES = 20  # with more of them no such mixture comes near a posterior
COMPONENTS = 12
DEGREES = 5.0  # of freedom of the components
ROUNDS = 6  # of draws and weights that the mixture is fitted to
POINTS = 40_000  # draws of a round
SEEN = 16_000  # resampled draws that a mixture is fitted to
LEAST_EFFECTIVE = 1500  # weights are tempered until so many draws are effective
LEAST_DENSITY = -1e100  # in the logarithm: below it, sums leave the range of 64 bits
TRIES = 16  # proposals between two steps of a chain


class Mixture(NamedTuple):
    """Student-t components.

    Parameters
    ----------
    shares, centres
        Shapes (k,) and (k, p).
    roots, inverses
        Lower roots of their scale, and the inverses of these, shape (k, p, p).
    """

    shares: Any
    centres: Any
    roots: Any
    inverses: Any

    def draw(self, count: int, generator: np.random.Generator) -> Floats:
        """Return draws, shape (count, p)."""
        which = generator.choice(len(self.shares), count, p=self.shares)
        z = generator.standard_normal((count, self.centres.shape[1]))
        z /= np.sqrt(generator.chisquare(DEGREES, count) / DEGREES)[:, None]
        return self.centres[which] + np.einsum("nij,nj->ni", self.roots[which], z)

    def log_density(self, u: Floats) -> Floats:
        """Return log densities of vectors, shape (count,), up to a constant."""
        parts = []
        for share, centre, inverse in zip(self.shares, self.centres, self.inverses, strict=True):
            z = (u - centre) @ inverse.T
            parts.append(_log_kernel(np, share, (z * z).sum(axis=1), inverse))
        return np.asarray(logsumexp(parts, axis=0))

    def log_density_of_one(self, u: Any) -> Any:
        """Return that of one vector, as part of a program."""
        z = jnp.einsum("kij,kj->ki", self.inverses, u - self.centres)
        return jax_logsumexp(_log_kernel(jnp, self.shares, (z * z).sum(axis=1), self.inverses))

    def whitening(self) -> Whitening:
        """The map for steps within a mode: the covariance within components, about the centre of all."""
        inside = np.einsum("k,kij,klj->il", self.shares, self.roots, self.roots)
        return Whitening(self.shares @ self.centres, np.linalg.cholesky(inside))


def _log_kernel(numpy: Any, share: Any, square: Any, inverse: Any) -> Any:
    """Log density of a component, up to a constant; of all of them if the arrays have a first axis."""
    size = inverse.shape[-1]
    log_det = numpy.log(numpy.diagonal(inverse, axis1=-2, axis2=-1)).sum(axis=-1)
    return numpy.log(share) + log_det - (DEGREES + size) / 2 * numpy.log1p(square / DEGREES)


class Jumps(NamedTuple):
    """What a chain tries between its steps.

    Parameters
    ----------
    proposals
        Vectors in the whitened space of the chain, shape (transitions, tries, p).
    log_weights
        Their log posterior densities less those of the mixture, shape (transitions, tries).
    thresholds
        Logarithms of uniform numbers, shape (transitions, tries).
    mixture
        Where they are from.
    """

    proposals: Any
    log_weights: Any
    thresholds: Any
    mixture: Mixture

    def taken(self, u: Any, log_density: Any) -> Any:
        """Return which proposal of one transition a chain at `u` ends at; -1 if it takes none of them."""
        at: Any = -1
        weight = log_density - self.mixture.log_density_of_one(u)
        for i in range(self.log_weights.shape[-1]):
            yes = self.thresholds[i] < self.log_weights[i] - weight
            at, weight = jnp.where(yes, i, at), jnp.where(yes, self.log_weights[i], weight)
        return at


def fitted(u: Floats, log_weights: Floats, generator: np.random.Generator) -> Mixture:
    """Return a mixture fitted to weighted vectors: clusters of resampled ones, each with its covariance.

    Few different vectors in a cluster leave its covariance near a share of that of all.
    """
    weights = np.exp(log_weights - logsumexp(log_weights))
    chosen = generator.choice(len(u), SEEN, p=weights)
    drawn, different = u[chosen], len(np.unique(chosen))
    size = u.shape[1]
    covariance = np.cov(drawn, rowvar=False) + 1e-12 * np.eye(size)
    centre, root = drawn.mean(axis=0), np.linalg.cholesky(covariance)
    z = np.linalg.solve(root, (drawn - centre).T).T
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # an empty cluster is left out below
        _, labels = kmeans2(z, min(COMPONENTS, different), minit="++", rng=generator)
    shares: list[float] = []
    centres, roots = [], []
    for label in np.unique(labels):
        mine = z[labels == label]
        different = len(np.unique(mine, axis=0))
        trust = different / (different + 2 * size)
        own = np.cov(mine, rowvar=False) if different > 1 else np.zeros((size, size))
        scale = trust * own + (1 - trust) * np.eye(size) / COMPONENTS
        shares.append(len(mine))
        centres.append(centre + root @ mine.mean(axis=0))
        roots.append(root @ np.linalg.cholesky(scale + 1e-9 * np.eye(size)))
    for _ in range(COMPONENTS - len(shares)):  # so that programs meet one shape
        shares.append(1.0)
        centres.append(centre)
        roots.append(root)
    found = np.array(roots)
    return Mixture(
        np.array(shares) / np.sum(shares), np.array(centres), found, np.linalg.inv(found)
    )


def fit_mixtures(
    density: Callable[[Floats], Floats],
    found: Sequence[Floats],
    generators: Sequence[np.random.Generator],
) -> list[Mixture]:
    """Return a mixture near each of several posteriors.

    Parameters
    ----------
    density
        Vectors of shape (sets, points, p) to log densities, up to a constant of each set.
    found
        What chains found of each set, shape (draws, p): every mode, in whatever proportion.
    generators
        One for each set.
    """
    mixtures = [fitted(u, np.zeros(len(u)), g) for u, g in zip(found, generators, strict=True)]
    for _ in range(ROUNDS):
        u, log_weights = weighted(density, mixtures, generators, POINTS)
        everything = zip(mixtures, u, log_weights, generators, strict=True)
        mixtures = [
            fitted(mine, _tempered(w), g) if np.isfinite(w).any() else mixture
            for mixture, mine, w, g in everything
        ]
    return mixtures


def weighted(
    density: Callable[[Floats], Floats],
    mixtures: Sequence[Mixture],
    generators: Sequence[np.random.Generator],
    count: int,
) -> tuple[Floats, Floats]:
    """Return draws of the mixtures, (sets, count, p), and their log weights, (sets, count)."""
    u = np.stack([m.draw(count, g) for m, g in zip(mixtures, generators, strict=True)])
    there = density(u)
    there = np.where(there > LEAST_DENSITY, there, -np.inf)  # nor what is not a number
    return u, there - [m.log_density(mine) for m, mine in zip(mixtures, u, strict=True)]


def make_jumps(
    density: Callable[[Floats], Floats],
    mixtures: Sequence[Mixture],
    whitenings: Sequence[Whitening],
    generators: Sequence[np.random.Generator],
    chains: int,
    transitions: int,
) -> Jumps:
    """Return what the chains of several posteriors try; every array with first axes (sets, chains)."""
    shape = len(mixtures), chains, transitions, TRIES
    u, log_weights = weighted(density, mixtures, generators, chains * transitions * TRIES)
    maps = zip(whitenings, u, strict=True)
    z = np.stack([np.linalg.solve(w.scale, (mine - w.mode).T).T for w, mine in maps])
    thresholds = np.stack([np.log(g.uniform(size=shape[1:])) for g in generators])
    each = [
        np.stack([np.stack([a] * chains) for a in arrays]) for arrays in zip(*mixtures, strict=True)
    ]
    return Jumps(z.reshape(*shape, -1), log_weights.reshape(shape), thresholds, Mixture(*each))


def _tempered(log_weights: Floats) -> Floats:
    """The weights to the largest power, of 1 and less, that leaves enough draws effective."""
    power = 1.0
    while _effective(power * log_weights) < LEAST_EFFECTIVE and power > 1e-3:
        power *= 0.8
    return power * log_weights


def _effective(log_weights: Floats) -> float:
    return float(np.exp(2 * logsumexp(log_weights) - logsumexp(2 * log_weights)))
