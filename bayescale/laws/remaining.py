r"""What laws that fall from a start to a floor along a logistic curve have in common.

A share e of the start remains, with floor f: e = f + (1 - f) s(z), where s is the logistic function.
Their coordinates are the share that remains at the centre of the runs, and that of the floor in it:
what the runs see, rather than the place of a knee that they may not have reached.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from bayescale.parameters import Coordinate
from bayescale.priors import Beta

REMAINS = Coordinate(
    "remains",
    Beta(1.5, 1.5),
    r"e_0",
    "error at the centre of the runs, as a share of that of guessing",
)
SHARE_OF_FLOOR = Coordinate(
    "share_floor", Beta(1, 2), r"f/e_0", "share of that error which nothing removes"
)


def remaining(floor: Any, z: Any) -> Any:
    """Return f + (1 - f) s(z): 1 for large z, the floor for low z."""
    return floor + (1 - floor) * jax.nn.sigmoid(z)


def logit_at_centre(remains: Any, share_floor: Any) -> Any:
    """Return the z at which so much remains, if the floor is this share of it."""
    return jnp.log(remains) + jnp.log1p(-share_floor) - jnp.log1p(-remains)
