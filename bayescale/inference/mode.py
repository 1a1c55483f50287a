"""The mode of the posterior in unbounded coordinates: the program of one start of the search."""

from __future__ import annotations

from typing import Any

import jax

from bayescale.inference.geometry import Whitening, centre, potential, whitening
from bayescale.model import Data, ModelSpec

STARTS = 8
SPREAD = 1.0  # sd of the starts about the centre of the prior, in unbounded coordinates
MAX_STEPS = 500
TOLERANCE = 1e-8


def find_minimum(spec: ModelSpec, key_data: Any, spread: Any, data: Data) -> tuple[Whitening, Any]:
    """Descend from a random start to a minimum of the negative log density.

    Parameters
    ----------
    spec
        The model.
    key_data
        Data of a Threefry key, for the start.
    spread
        Sd of the start about the centre of the prior; 0 starts there.
    data
        The runs.

    Returns
    -------
    map
        Whitening map at the minimum; see `Whitening`.
    potential
        Negative log density there.
    """
    import optimistix as optx

    key = jax.random.wrap_key_data(key_data, impl="threefry2x32")
    middle = centre(spec, data)
    start = middle + spread * jax.random.normal(key, middle.shape)
    solver: Any = optx.BFGS(rtol=TOLERANCE, atol=TOLERANCE)
    function = potential(spec)
    solution = optx.minimise(function, solver, start, data, max_steps=MAX_STEPS, throw=False)
    return whitening(spec, solution.value, data), function(solution.value, data)
