"""What repeated data are worth; shared by the laws of unique tokens."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from bayescale.laws.base import Rule

# A hair's breadth is allowed: 5 epochs of a fifth of the tokens may round to below one.
D_FROM_U = Rule(
    holds=lambda x: x["D"] >= x["U"] * (1 - 1e-9),
    words="a run cannot see fewer tokens (D) than it sees unique ones (U)",
    remedy="give as unique_tokens those that the run has seen: D for a run that repeats none, even "
    "where its corpus is larger; if all rows are wrong, the columns tokens and unique_tokens may be "
    "swapped",
)


def worth(unique: Any, repeats: Any, half_life: Any) -> Any:
    r"""Return what `unique` items and their repeats are worth, in unique items.

    .. math:: U' = U \left[1 + R^*\left(1 - e^{-R/R^*}\right)\right]

    Parameters
    ----------
    unique
        U, above 0.
    repeats
        R, how often they come back: total / unique - 1, 0 or more.
    half_life
        R*, above 0. The first repeats are worth as much as unique items; all of them together, however
        many, R* times U.
    """
    return unique * (1 - half_life * jnp.expm1(-repeats / half_life))
