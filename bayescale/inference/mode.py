"""The mode of the posterior in unbounded coordinates, and its curvature: Newton's method.

The searches run side by side, over data sets and over starts, and only value, gradient and Hessian are
a compiled program; eigenvalues and steps are NumPy's. A compiled optimiser took two seconds longer to
compile. The Hessian is the gradient's derivative along every coordinate, with the transcendental
functions worked out once: half the time of differences between gradients. Where there are many
coordinates its program takes three times as long to compile as that of the gradient, and differences
take its place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bayescale.inference.geometry import (
    EIGENVALUE_FLOOR,
    Whitening,
    laplace_whitening,
    negative_log_density,
)
from bayescale.model import Sampled
from bayescale.population import PooledSpec

MAX_STEPS = 150
TOLERANCE = 1e-9  # of the decrease that the next step promises
FIRST_DAMPING = 0.1  # as a share of the largest curvature at the start
LAST_DAMPING = 1e12
SAME_HEIGHT = 1e-3  # minima nearer than this in value are taken for one
LONGEST_STEP = 3.0  # in unbounded coordinates
MANY = 14  # coordinates: above that, Hessians are differences of gradients, if in 64 bits
DIFFERENCE = 2e-5  # in unbounded coordinates: to either side

# A point of each search and whether it still goes on, to values, gradients and Hessians there.
Evaluate = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Minima:
    """Where the searches ended; axes (sets, starts).

    Parameters
    ----------
    u
        Unbounded vectors, shape (sets, starts, p).
    value
        Negative log densities; infinite where none was finite.
    gradient
        Shape (sets, starts, p).
    eigenvalues, vectors
        Of the Hessian, shapes (sets, starts, p) and (sets, starts, p, p).
    converged
        Whether the next step promised less than the tolerance.
    steps
        Evaluations of all points that the slowest search needed.
    """

    u: np.ndarray
    value: np.ndarray
    gradient: np.ndarray
    eigenvalues: np.ndarray
    vectors: np.ndarray
    converged: np.ndarray
    steps: int

    @property
    def best(self) -> np.ndarray:
        """Index of the lowest start of each set, shape (sets,)."""
        return np.argmin(np.where(np.isfinite(self.value), self.value, np.inf), axis=1)

    def whitening(self) -> Whitening:
        """The Laplace whitening map at the best minimum of each set; shapes (sets, ...)."""
        rows = np.arange(len(self.u)), self.best
        return laplace_whitening(self.u[rows], self.eigenvalues[rows], self.vectors[rows])


def joined(parts: Sequence[Minima], keep: int | None = None) -> Minima:
    """Return the minima of several rounds of searches, of each set the lowest first.

    Parameters
    ----------
    parts
        The rounds.
    keep
        How many to keep of each set: the lowest, and then those of other heights before copies of it;
        all if None.
    """
    if len(parts) == 1:
        return parts[0]
    names = ("u", "value", "gradient", "eigenvalues", "vectors", "converged")
    arrays = {name: np.concatenate([getattr(m, name) for m in parts], axis=1) for name in names}
    value = np.where(np.isfinite(arrays["value"]), arrays["value"], np.inf)
    order = np.argsort(value, axis=1, kind="stable")
    if keep is not None:
        ranked = np.take_along_axis(value, order, axis=1)
        with np.errstate(invalid="ignore"):
            copy = np.diff(ranked, axis=1, prepend=-np.inf) < SAME_HEIGHT
        order = np.take_along_axis(order, np.argsort(copy, axis=1, kind="stable"), axis=1)[:, :keep]
    rows = np.arange(len(order))[:, None]
    chosen: dict[str, Any] = {name: array[rows, order] for name, array in arrays.items()}
    return Minima(**chosen, steps=max(m.steps for m in parts))


def curvature(spec: Sampled) -> Callable[[Any, Any], tuple[Any, Any, Any]]:
    """Return the function (u, data) to negative log density, its gradient and its Hessian."""
    function = jax.value_and_grad(negative_log_density(spec))

    def exact(u: Any, data: Any) -> tuple[Any, Any, Any]:
        (value, gradient), along = jax.linearize(lambda u: function(u, data), u)
        return value, gradient, jax.vmap(along)(jnp.eye(u.size, dtype=u.dtype))[1]

    def by_differences(u: Any, data: Any) -> tuple[Any, Any, Any]:
        steps = DIFFERENCE * jnp.eye(u.size, dtype=u.dtype)
        points = jnp.concatenate([u[None], u + steps, u - steps])
        values, gradients = jax.lax.map(lambda u: function(u, data), points)
        above, below = jnp.split(gradients[1:], 2)
        return values[0], gradients[0], (above - below) / (2 * DIFFERENCE)

    def at(u: Any, data: Any) -> tuple[Any, Any, Any]:
        # 32 bits have too few digits for it, and 64 where groups are pooled: tau may be all but known.
        differ = u.size > MANY and u.dtype == jnp.float64 and not isinstance(spec, PooledSpec)
        return by_differences(u, data) if differ else exact(u, data)

    return at


def evaluate_curvature(
    spec: Sampled, side_by_side: int, points: Any, going: Any, data: Any
) -> tuple[Any, Any, Any]:
    """Return negative log densities, gradients and Hessians at points of each data set.

    Parameters
    ----------
    spec
        The model.
    side_by_side
        How many points are worked on at once; the others follow in turn. One at a time keeps a
        processor's cache; an accelerator wants many.
    points
        Unbounded vectors, shape (sets, starts, p).
    going
        Searches that are worked on, shape (sets, starts); the others get infinity.
    data
        The data sets, every array with a first axis (sets).

    Returns
    -------
    values, gradients, hessians
        Shapes (sets, starts), (sets, starts, p) and (sets, starts, p, p).
    """
    function = curvature(spec)
    sets, starts, size = points.shape

    def one(search: tuple[Any, Any, Any]) -> Any:
        index, goes_on, point = search
        mine = jax.tree.map(lambda array: array[index], data)
        nothing = jnp.inf, jnp.zeros_like(point), jnp.zeros((size, size), point.dtype)
        nothing = jax.tree.map(lambda array: jnp.asarray(array, point.dtype), nothing)
        return jax.lax.cond(goes_on, lambda: function(point, mine), lambda: nothing)

    index = jnp.repeat(jnp.arange(sets), starts)
    searches = index, going.reshape(-1), points.reshape(-1, size)
    batch = None if side_by_side == 1 else side_by_side
    found = jax.lax.map(one, searches, batch_size=batch)
    return tuple(array.reshape(sets, starts, *array.shape[1:]) for array in found)


def screen(evaluate: Evaluate, points: np.ndarray) -> np.ndarray:
    """Return the lowest of the candidates of each data set, one for each start.

    Parameters
    ----------
    evaluate
        See `find_minima`.
    points
        Candidates, shape (sets, starts, points, p).

    Returns
    -------
    array
        Shape (sets, starts, p).
    """
    sets, starts, count, size = points.shape
    every = np.ones((sets, starts), bool)
    columns = [evaluate(points[:, :, i], every)[0] for i in range(count)]
    values = np.stack(columns, axis=-1).reshape(sets, -1)
    order = np.argsort(np.where(np.isfinite(values), values, np.inf), axis=1)[:, :starts]
    return np.take_along_axis(points.reshape(sets, -1, size), order[..., None], axis=1)


def find_minima(
    evaluate: Evaluate,
    starts: np.ndarray,
    going: np.ndarray | None = None,
    tolerance: float = TOLERANCE,
) -> Minima:
    """Descend from each start to a minimum of the negative log density.

    Newton's method with damping: steps along the eigenvectors of the Hessian, each divided by the
    size of its eigenvalue, so that a saddle repels. A step that does not descend is taken back and
    the damping raised; one that descends as promised lowers it.

    Parameters
    ----------
    evaluate
        Points of shape (sets, starts, p), and which searches still go on, to values, gradients and
        Hessians there.
    starts
        Shape (sets, starts, p).
    going
        Searches to be done, shape (sets, starts); all of them if None. The others have not converged.
    tolerance
        Of the decrease that the next step promises.

    Returns
    -------
    Minima
        Where the searches ended.
    """
    sets, count, size = starts.shape
    u, candidate = starts.copy(), starts.copy()
    value = np.full((sets, count), np.inf)
    gradient = np.zeros_like(u)
    eigenvalues, vectors = np.ones_like(u), np.broadcast_to(np.eye(size), (*u.shape, size)).copy()
    damping = np.full((sets, count), np.nan)
    promised = np.full((sets, count), np.inf)
    going = np.ones((sets, count), bool) if going is None else going.copy()
    found = np.zeros((sets, count), bool)
    steps = 0
    while going.any() and steps < MAX_STEPS:
        steps += 1
        values, gradients, hessians = evaluate(candidate, going)
        with np.errstate(invalid="ignore"):
            hessian = (hessians + np.swapaxes(hessians, -1, -2)) / 2
            usable = np.isfinite(values) & np.isfinite(hessian).all((-1, -2))
            better = going & usable & (values < value)
            ratio = np.where(np.isfinite(value), (value - values) / promised, 1.0)
        fresh = np.linalg.eigh(hessian[better])
        eigenvalues[better], vectors[better] = fresh
        u[better], value[better] = candidate[better], values[better]
        gradient[better] = gradients[better]
        if steps == 1:
            damping = FIRST_DAMPING * np.abs(eigenvalues).max(-1)
        else:
            damping = damping * np.where(better, np.where(ratio > 0.5, 0.1, 1.0), 6.0)
        slopes = np.einsum("...i,...ij->...j", gradient, vectors)
        curvature = np.maximum(np.abs(eigenvalues), EIGENVALUE_FLOOR)
        moves = slopes / (curvature + damping[..., None])
        length = np.linalg.norm(moves, axis=-1, keepdims=True)
        moves *= np.minimum(1.0, LONGEST_STEP / np.maximum(length, LONGEST_STEP))
        promised = (slopes * moves - 0.5 * eigenvalues * moves**2).sum(-1)
        candidate = u - np.einsum("...ij,...j->...i", vectors, moves)
        # Near the mode the decrease that is left is half of g H^-1 g, whatever the damping.
        left = 0.5 * (slopes**2 / curvature).sum(-1)
        found |= going & (left < tolerance) & np.isfinite(value)
        going &= ~found & (damping < LAST_DAMPING)
    return Minima(u, value, gradient, eigenvalues, vectors, found, steps)


def bound(program: Callable[..., Any], data: Any) -> Evaluate:
    """Return the compiled `evaluate_curvature` for some data sets, NumPy in and out."""
    there = jax.device_put(data)  # once, and not at each call

    def evaluate(
        points: np.ndarray, going: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        values, gradients, hessians = program(points, going, there)
        return np.asarray(values), np.asarray(gradients), np.asarray(hessians)

    return evaluate
