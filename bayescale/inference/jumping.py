"""Jumps between modes: proposals from a mixture that is fitted to what chains found.

Chains that stay in different modes cannot say how much mass each has, however long they run. Their draws say
where the modes are: a mixture of Student-t components is fitted to them (Peel and McLachlan 2000, Robust
mixture modelling using the t distribution, Statistics and Computing 10, 339-348), draws of it are weighted
by the posterior, and it is fitted again to these, some rounds (population Monte Carlo: Cappé et al. 2008,
Adaptive importance sampling in general mixture classes, Statistics and Computing 18, 447-459). Chains that
try such draws as independent proposals between their own steps go from mode to mode, and R-hat judges them
as any others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp as jax_logsumexp
from numpy.typing import NDArray
from scipy.special import logsumexp

from bayescale.inference.geometry import Whitening

Floats = NDArray[np.float64]

MOST_COORDINATES = 20  # with more of them no such mixture comes near a posterior
COMPONENTS = 12  # of a mixture that is fitted
KEPT = 0.2  # share of the mixture fitted to what chains found
LEAST_SHARE = 1e-4  # of a component
STEPS = 15  # of expectation maximisation
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

    def beside(self, other: Mixture) -> Mixture:
        """Return both as one, with a share of `KEPT` for this one."""
        shares = np.concatenate([KEPT * self.shares, (1 - KEPT) * other.shares])
        pairs = zip(self[1:], other[1:], strict=True)
        return Mixture(shares, *(np.concatenate(pair) for pair in pairs))

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


def can_jump(found: Floats) -> bool:
    """Whether a mixture can be fitted to what chains found, coordinates on the last axis."""
    return found.shape[-1] <= MOST_COORDINATES and bool(np.isfinite(found).all())


def fitted(u: Floats, log_weights: Floats, generator: np.random.Generator) -> Mixture:
    """Return a mixture fitted to weighted vectors by expectation maximisation on resampled ones.

    Components begin at some of these, so that narrow modes of much mass have many of them. Few different
    vectors in a component leave its covariance near a ball.
    """
    weights = np.exp(log_weights - logsumexp(log_weights))
    drawn = u[generator.choice(len(u), SEEN, p=weights)]
    size = u.shape[1]
    root = np.linalg.cholesky(np.cov(drawn, rowvar=False) + 1e-12 * np.eye(size))
    centre = drawn.mean(axis=0)
    z = np.linalg.solve(root, (drawn - centre).T).T
    mixture = _nearest(z, generator)
    for _ in range(STEPS):
        mixture = _after_step(mixture, z)
    roots = root @ mixture.roots
    return Mixture(mixture.shares, centre + mixture.centres @ root.T, roots, np.linalg.inv(roots))


def _nearest(z: Floats, generator: np.random.Generator) -> Mixture:
    """A component about each of some vectors, with the covariance of those that are nearest to it."""
    centres = generator.choice(z, COMPONENTS, replace=False)
    labels = np.argmin([((z - centre) ** 2).sum(axis=1) for centre in centres], axis=0)
    counts = np.bincount(labels, minlength=COMPONENTS)
    covariances = [
        np.atleast_2d(np.cov(z[labels == k], rowvar=False))
        if counts[k] > 1
        else np.zeros((z.shape[1],) * 2)
        for k in range(COMPONENTS)
    ]
    return _components(counts, centres, np.stack(covariances), counts)


def _after_step(mixture: Mixture, z: Floats) -> Mixture:
    """One step of expectation maximisation for Student-t components."""
    size = z.shape[1]
    zs = [(z - c) @ i.T for c, i in zip(mixture.centres, mixture.inverses, strict=True)]
    squares = np.stack([(each * each).sum(axis=1) for each in zs])
    parts = zip(mixture.shares, squares, mixture.inverses, strict=True)
    log_parts = np.stack([_log_kernel(np, *part) for part in parts])
    theirs = np.exp(log_parts - logsumexp(log_parts, axis=0))
    pulls = theirs * (DEGREES + size) / (DEGREES + squares)  # far vectors count less
    counts = theirs.sum(axis=1)
    centres = pulls @ z / np.maximum(pulls.sum(axis=1, keepdims=True), 1e-300)
    offsets = [z - centre for centre in centres]
    covariances = np.stack([(x.T * pull) @ x for x, pull in zip(offsets, pulls, strict=True)])
    covariances /= np.maximum(counts, 1e-300)[:, None, None]
    different = counts**2 / np.maximum((theirs**2).sum(axis=1), 1e-300)
    return _components(counts, centres, covariances, different)


def _components(counts: Any, centres: Floats, covariances: Floats, different: Any) -> Mixture:
    """A mixture; covariances that few different vectors speak for are drawn to a ball of their size."""
    size = centres.shape[1]
    ball = np.trace(covariances, axis1=1, axis2=2) / size
    ball = np.where(ball > 0, ball, 1 / COMPONENTS)[:, None, None] * np.eye(size)
    trust = (different / (different + 2 * size))[:, None, None]
    roots = np.linalg.cholesky(trust * covariances + (1 - trust) * ball + 1e-9 * np.eye(size))
    shares = np.maximum(counts / np.sum(counts), LEAST_SHARE)
    return Mixture(shares / shares.sum(), centres, roots, np.linalg.inv(roots))


def fit_mixtures(
    density: Callable[[Floats], Floats],
    found: Sequence[Floats],
    generators: Sequence[np.random.Generator],
) -> list[Mixture]:
    """Return a mixture near each of several posteriors.

    A part of it stays as it was fitted to what chains found: where the rest forgets a mode of little mass,
    a chain in that mode would find no proposal better than its place, and stay there.

    Parameters
    ----------
    density
        Vectors of shape (sets, points, p) to log densities, up to a constant of each set.
    found
        What chains found of each set, shape (draws, p): every mode, in whatever proportion.
    generators
        One for each set.
    """
    starts = [fitted(u, np.zeros(len(u)), g) for u, g in zip(found, generators, strict=True)]
    mixtures = [start.beside(start) for start in starts]
    for _ in range(ROUNDS):
        u, log_weights = weighted(density, mixtures, generators, POINTS)
        everything = zip(starts, mixtures, u, log_weights, generators, strict=True)
        mixtures = [
            start.beside(fitted(mine, _tempered(w), g)) if np.isfinite(w).any() else mixture
            for start, mixture, mine, w, g in everything
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
