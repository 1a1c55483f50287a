"""The runs' range of x, for laws whose coordinates lie at its ends."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from bayescale.priors import Reference

LEAST_SPAN = 0.1  # of ln x, where the runs' own is less


def log_span(reference: Reference) -> Any:
    """Return ln of the highest x over the lowest."""
    return jnp.maximum(jnp.log(reference["highest_x"] / reference["lowest_x"]), LEAST_SPAN)
