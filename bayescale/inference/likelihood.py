"""The maximum of the likelihood alone, for comparison with published point fits."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import linprog

from bayescale.model import Data, ModelSpec

MAX_STEPS = 1000
TOLERANCE = 1e-10
FIRST_RADIUS = 0.5  # trust region of the first linear programme, in unbounded coordinates
LAST_RADIUS = 1e-12


def log_likelihood(spec: ModelSpec, u: Any, data: Data) -> Any:
    """Return the log likelihood at an unbounded vector, priors left out."""
    return spec.log_likelihood(spec.constrain(u, data.reference), data)


def smooth_maximum(spec: ModelSpec, start: Any, data: Data) -> Any:
    """Climb a smooth likelihood from a start near its maximum."""
    import optimistix as optx

    solution: Any = optx.minimise(
        lambda u, data: -log_likelihood(spec, u, data),
        optx.BFGS(rtol=TOLERANCE, atol=TOLERANCE),
        start,
        data,
        max_steps=MAX_STEPS,
        throw=False,
    )
    return solution.value


def least_absolute_deviations(spec: ModelSpec, start: np.ndarray, data: Data) -> np.ndarray:
    """Minimise the sum of absolute residuals of log loss over the law's coordinates.

    The objective has a kink wherever a residual is zero, and its minimum lies at such kinks, where
    gradient methods stop early. Here the residuals are linearised and the linear programme is
    solved exactly inside a trust region, which shrinks when the true objective does not fall.

    Parameters
    ----------
    spec
        The model; coordinates of its noise are left at the start.
    start
        Unbounded vector near the minimum.
    data
        The runs.

    Returns
    -------
    array
        Unbounded vector at the minimum.
    """
    size = len(spec.law.coordinates)
    keep = np.asarray(data.weight) > 0

    def predicted(free: Any) -> Any:
        u = jnp.concatenate([free, jnp.asarray(start[size:])])
        return jnp.log(
            spec.law.from_coordinates(spec.constrain(u, data.reference), data.reference).loss(
                data.inputs
            )
        )

    value, slope = jax.jit(predicted), jax.jit(jax.jacfwd(predicted))
    observed = np.asarray(data.log_loss)[keep]

    def residuals(free: np.ndarray) -> np.ndarray:
        return observed - np.asarray(value(free))[keep]

    free, radius = np.array(start[:size]), FIRST_RADIUS
    now = residuals(free)
    while radius > LAST_RADIUS:
        step = _linear_programme(np.asarray(slope(free))[keep], now, radius)
        moved = residuals(free + step)
        if np.abs(moved).sum() < np.abs(now).sum():
            free, now, radius = free + step, moved, min(2 * radius, FIRST_RADIUS)
        else:
            radius /= 4
    return np.concatenate([free, start[size:]])


def _linear_programme(slope: np.ndarray, residual: np.ndarray, radius: float) -> np.ndarray:
    """The step within the radius that minimises the sum of |residual - slope step|."""
    n, size = slope.shape
    cost = np.concatenate([np.zeros(size), np.ones(n)])
    rows = np.block([[-slope, -np.eye(n)], [slope, -np.eye(n)]])
    limits = np.concatenate([-residual, residual])
    bounds = [(-radius, radius)] * size + [(0, None)] * n
    return linprog(cost, rows, limits, bounds=bounds, method="highs").x[:size]
