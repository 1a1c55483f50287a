"""The mode of the posterior in unbounded coordinates, from many starts at once."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from bayescale.inference.geometry import Whitening, centre, potential, whitening
from bayescale.model import Data, ModelSpec

STARTS = 16
SPREAD = 1.0  # sd of the starts about the centre of the prior, in unbounded coordinates
MAX_STEPS = 500
TOLERANCE = 1e-8


def find_mode(spec: ModelSpec, key_data: Any, data: Data) -> tuple[Whitening, Any]:
    """Return the whitening map at the best of the minima, and the potential at all of them.

    Parameters
    ----------
    spec
        The model.
    key_data
        Data of a Threefry key, for the starts.
    data
        The runs.

    Returns
    -------
    map
        Mode and Laplace scale; see `Whitening`.
    potentials
        Negative log density at the minimum that each start reached, shape (STARTS,); NaN where a
        start failed.
    """
    import optimistix as optx

    key = jax.random.wrap_key_data(key_data, impl="threefry2x32")
    start = centre(spec, data)
    offsets = SPREAD * jax.random.normal(key, (STARTS, start.shape[0]))
    solver: Any = optx.BFGS(rtol=TOLERANCE, atol=TOLERANCE)
    function = potential(spec)

    def descend(u: Any) -> tuple[Any, Any]:
        solution = optx.minimise(function, solver, u, data, max_steps=MAX_STEPS, throw=False)
        return solution.value, function(solution.value, data)

    minima, potentials = jax.vmap(descend)(start + offsets.at[0].set(0.0))
    best = jnp.argmin(jnp.where(jnp.isfinite(potentials), potentials, jnp.inf))
    return whitening(spec, minima[best], data), potentials
