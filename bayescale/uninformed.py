"""Combinations of a law's coordinates that the runs leave as the prior has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayescale.contraction import PRIOR_RATIO, moved, quantiles, scale_of
from bayescale.laws import Law
from bayescale.model import ModelSpec

Floats = NDArray[np.float64]

GRID = (np.arange(2000) + 0.5) / 2000  # masses, for the mean and sd of a prior
MOST, SMALL = 3, 0.3  # parts that are named; of the largest, below which a part is left out
STILL = 0.1  # parameters that move less than this share of what the farthest does stay out
ROTATIONS = 100
# Scales of power terms, their exponents and inputs: a scale means something only at a size.
TERMS = (("A", "alpha", "N"), ("B", "beta", "D"), ("c", "alpha", "x"))
# The paper's parameters that coordinates of another name stand for.
STANDS_FOR = {
    "L_opt": ("E", "A", "B"),
    "L_ref": ("E", "c"),
    "share_E": ("E",),
    "M_opt": ("A", "B"),
    "k_alpha": ("alpha",),
    "k_beta": ("beta",),
}


@dataclass(frozen=True, eq=False)
class Uninformed:
    """A direction among the law's coordinates whose posterior is hardly narrower than its prior.

    Parameters
    ----------
    ratio
        The posterior's sd along it, as a share of the prior's.
    loadings
        Each coordinate's part in it, in units of its prior sd; the squares sum to 1.
    parameters
        The paper's parameters that it leaves undecided.
    along
        Draws along it, in prior sds, shape (draws,).
    """

    ratio: float
    loadings: Mapping[str, float]
    parameters: tuple[str, ...]
    along: Floats

    @property
    def parts(self) -> list[str]:
        """The one to three coordinates that make it up, the largest first."""
        return _largest(self.loadings)


def uninformed_directions(
    spec: ModelSpec,
    coordinates: Mapping[str, ArrayLike],
    reference: Mapping[str, float],
    law: Law,
    prior_law: Law,
) -> tuple[Uninformed, ...]:
    r"""Return the directions among the law's coordinates that are the prior, the least informed first.

    .. math:: \Sigma_\mathrm{posterior} v = r^2\,\Sigma_\mathrm{prior} v, \qquad r > 0.9

    Coordinates are taken on the scale on which their prior is more symmetric, in units of its sd, in
    which the prior's covariance is the identity. If several directions are left, their combinations are
    as good, so they are turned to be made of few coordinates each (varimax).

    Parameters
    ----------
    spec
        The model.
    coordinates
        Draws of the coordinates, of any shape.
    reference
        The numbers that the priors refer to.
    law, prior_law
        The law at the posterior's draws, and at draws of the prior; fields of any shape.

    Returns
    -------
    tuple of Uninformed
        None where the draws are not finite.

    References
    ----------
    Kaiser 1958, The varimax criterion for analytic rotation in factor analysis, Psychometrika 23,
    187-200.
    """
    own = {c.name for c in spec.law.coordinates}
    rows = {
        c.name: in_prior_units(coordinates[c.name], c.prior.quantile(GRID, reference))
        for c in spec.beliefs
        if c.name in own
    }
    z = np.array(list(rows.values()))
    if not np.isfinite(z).all() or z.shape[1] < 2:
        return ()
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(z)))
    left = vectors[:, np.sqrt(np.maximum(values, 0)) > PRIOR_RATIO]
    if left.shape[1] > 1:
        left = varimax(left)
    found = []
    for vector in left.T:
        signed = vector * np.sign(vector[np.argmax(np.abs(vector))])
        loadings = dict(zip(rows, signed.tolist(), strict=True))
        along = signed @ z
        parameters = _undecided(_largest(loadings), along, law, prior_law, reference)
        found.append(Uninformed(float(along.std(ddof=1)), loadings, parameters, along))
    return tuple(sorted(found, key=lambda direction: -direction.ratio))


def in_prior_units(draws: ArrayLike, prior_grid: ArrayLike) -> Floats:
    """Return draws as one axis, on the prior's scale, less its mean and in units of its sd.

    Parameters
    ----------
    draws
        Draws of any shape.
    prior_grid
        The prior's quantiles at `GRID`.
    """
    move = moved(scale_of(quantiles(prior_grid)))
    prior = move(np.asarray(prior_grid, dtype=np.float64))
    return np.asarray((move(np.ravel(draws)) - prior.mean()) / prior.std())


def varimax(vectors: Floats) -> Floats:
    """Turn orthonormal columns within their span, so that each has few large entries."""
    turn = np.eye(vectors.shape[1])
    for _ in range(ROTATIONS):
        turned = vectors @ turn
        left, _, right = np.linalg.svd(vectors.T @ (turned**3 - turned * (turned**2).mean(axis=0)))
        turn = left @ right
    return vectors @ turn


def _largest(parts: Mapping[str, float]) -> list[str]:
    """Names of the largest parts, three at most, the largest first."""
    names = sorted(parts, key=lambda name: -abs(parts[name]))[:MOST]
    return [name for name in names if abs(parts[name]) >= SMALL * abs(parts[names[0]])]


def _undecided(
    parts: list[str], along: Floats, law: Law, prior_law: Law, reference: Mapping[str, float]
) -> tuple[str, ...]:
    """The paper's parameters that the parts stand for and that move along the direction.

    How far they move is in units of their prior sd. If it is not known what the parts stand for, those
    that move most.
    """
    prior, draws = _at_centre(prior_law, reference), _at_centre(law, reference)
    moves = {}
    for name, values in prior.items():
        scale = scale_of(quantiles(values))
        move = moved(scale if draws[name].min() > 0 else "linear")
        sd = np.ptp(move(quantiles(values)[[0, 2]]))
        moves[name] = abs(float(np.cov(move(draws[name]), along)[0, 1])) / sd
    wanted = {name for part in parts for name in STANDS_FOR.get(part, (part,))}
    farthest = max(moves.values())
    found = [name for name in moves if name in wanted and moves[name] >= STILL * farthest]
    chosen = found or _largest(moves)
    return tuple(name for name in moves if name in chosen)


def _at_centre(law: Law, reference: Mapping[str, float]) -> dict[str, Floats]:
    """The parameters, each on one axis, with the scales of power terms at the centre of the runs."""
    given = {p.name: np.ravel(getattr(law, p.name)) for p in law.parameters()}
    values = dict(given)
    for scale, exponent, symbol in TERMS:
        if {scale, exponent} <= set(given) and symbol in reference:
            values[scale] = given[scale] * np.exp(-given[exponent] * np.log(reference[symbol]))
    return values
