"""The ends of the runs' range of x, for laws whose coordinates lie there.

Limit, exponent and scale trade off along curved ridges, whereas the loss at the ends is what runs tell
best: with it as a coordinate, scale and exponent follow from the rest.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from bayescale.laws.base import Law
from bayescale.parameters import Coordinate
from bayescale.priors import Beta, LogNormal, Reference

LEAST_SPAN = 0.1  # of ln x, where the runs' own is less

LOSS_AT_LOWEST = Coordinate(
    "L_low",
    LogNormal(1.0, 0.3, relative_to="highest_loss"),
    "L_1",
    "loss at the lowest x of the runs",
    "loss",
)
LEFT_AT_HIGHEST = Coordinate(
    "left", Beta(1, 1), "L_2/L_1", "share of that loss that is left at the highest x"
)


def log_span(reference: Reference) -> Any:
    """Return ln of the highest x over the lowest."""
    return jnp.maximum(jnp.log(reference["highest_x"] / reference["lowest_x"]), LEAST_SPAN)


def highest(reference: Reference) -> Any:
    """Return the highest x, or a little more than the lowest if they are the same."""
    return reference["lowest_x"] * jnp.exp(log_span(reference))


def loss_at_ends(law: Law, reference: Reference) -> dict[str, Any]:
    """Return the coordinates of the loss at both ends."""
    low = law.loss({"x": reference["lowest_x"]})
    return {"L_low": low, "left": law.loss({"x": highest(reference)}) / low}
