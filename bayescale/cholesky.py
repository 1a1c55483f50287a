"""Roots of small matrices and what they solve, compiled as loops.

LAPACK's routines for such small matrices, and the derivatives of them, wait for threads longer than
they work, and the loops written out take minutes to compile.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp


def cholesky_columns(matrix: Any) -> tuple[Any, Any]:
    """Return the columns of the Cholesky root, on the first axis, and its diagonal."""

    def step(rest: Any, one: Any) -> tuple[Any, tuple[Any, Any]]:
        column = rest @ one
        root = jnp.sqrt(column @ one)
        column = column / root  # 0 above the diagonal, since what was there is taken away
        return rest - column[:, None] * column, (column, root)

    return jax.lax.scan(step, matrix, jnp.eye(len(matrix)))[1]


def solve_lower(columns: Any, diagonal: Any, right: Any) -> Any:
    """Return what the root times gives `right`."""

    def step(rest: Any, there: Any) -> tuple[Any, Any]:
        one, column, root = there
        value = (rest @ one) / root
        return rest - value * column, value

    return jax.lax.scan(step, right, (jnp.eye(len(right)), columns, diagonal))[1]


def solve_upper(columns: Any, diagonal: Any, right: Any) -> Any:
    """Return what the transposed root times gives `right`."""

    def step(found: Any, there: Any) -> tuple[Any, None]:
        one, column, root, value = there
        return found + one * (value - column @ found) / root, None

    each = jnp.eye(len(right)), columns, diagonal, right
    return jax.lax.scan(step, jnp.zeros_like(right), each, reverse=True)[0]
