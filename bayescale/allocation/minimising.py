"""Minima and roots along one line, for one draw of a law; the library maps over draws and budgets.

Everything is written in the logarithm of a size. A coarse grid brackets, and Newton's method on the
derivative, kept inside the bracket by bisection, ends at the rounding of the derivative: the place of a
minimum is found to all digits, where comparing losses would find half of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

GRID = 33
STEPS = 18
BISECTIONS = 60
Function = Callable[[Any], Any]


def minimum(function: Function, low: Any, high: Any) -> tuple[Any, Any]:
    """Return where a function is lowest between two ends, and whether that is inside them.

    Parameters
    ----------
    function
        Of one number, with one minimum between the ends, or none.
    low, high
        The ends, low <= high.
    """
    grid = low + (high - low) * jnp.linspace(0.0, 1.0, GRID)
    best = jnp.argmin(jax.vmap(function)(grid))
    left, right = grid[jnp.maximum(best - 1, 0)], grid[jnp.minimum(best + 1, GRID - 1)]
    slope = jax.grad(function)
    at_left, at_right = slope(left), slope(right)
    inside = (at_left < 0) & (at_right > 0)

    def step(_: int, state: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        x, left, right = state
        value, change = jax.jvp(slope, (x,), (jnp.ones_like(x),))
        left, right = jnp.where(value < 0, x, left), jnp.where(value < 0, right, x)
        newton = x - value / jnp.where(change > 0, change, 1.0)
        ok = (change > 0) & (newton >= left) & (newton <= right)
        return jnp.where(ok, newton, 0.5 * (left + right)), left, right

    start = 0.5 * (left + right)
    x, _, _ = jax.lax.fori_loop(0, STEPS, step, (start, left, right))
    edge = jnp.where(at_left >= 0, left, right)
    return jnp.where(inside, x, edge), inside


def root(function: Function, low: Any, high: Any) -> tuple[Any, Any]:
    """Return where a function that rises goes through 0 between two ends, and whether it does."""
    there = (function(low) <= 0) & (function(high) >= 0)

    def step(_: int, state: tuple[Any, Any]) -> tuple[Any, Any]:
        low, high = state
        middle = 0.5 * (low + high)
        below = function(middle) < 0
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    low, high = jax.lax.fori_loop(0, BISECTIONS, step, (low * 1.0, high * 1.0))
    return 0.5 * (low + high), there
