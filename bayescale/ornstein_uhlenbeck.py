"""What wanders along a run beneath independent scatter: an Ornstein-Uhlenbeck process, filtered."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class Steps(NamedTuple):
    """Rows in the order in which they lie along their runs, one run after the other.

    Parameters
    ----------
    order
        Index of each row, shape (rows,).
    first
        Whether a run begins with it.
    gap
        How far it lies behind the row before.
    """

    order: Any
    first: Any
    gap: Any

    @classmethod
    def of(cls, columns: Any) -> Steps:
        """Return them for rows with the columns of `columns_of`."""
        order = columns[:, 1].astype(jnp.int32)
        group, place = columns[order, 0], columns[order, 2]
        first = jnp.concatenate([jnp.ones(1, bool), group[1:] != group[:-1]])
        gap = jnp.concatenate([jnp.ones(1, place.dtype), place[1:] - place[:-1]])
        return cls(order, first, jnp.where(first, 1.0, gap))


def columns_of(group: ArrayLike, place: ArrayLike) -> Floats:
    """Return what a program sees of rows that lie along runs, shape (rows, 3).

    Parameters
    ----------
    group
        Index of the run of each row, shape (rows,).
    place
        Where it lies along its run, shape (rows,).

    Returns
    -------
    array
        The run; the rows in order, run by run and along each; and the place, from that of the run's
        first row on, which 32 bits hold.
    """
    runs, places = np.asarray(group, dtype=np.intp), np.asarray(place, dtype=np.float64)
    starts = np.full(int(runs.max(initial=0)) + 1, np.inf)
    np.minimum.at(starts, runs, places)
    order = np.lexsort((places, runs))
    return np.column_stack([runs, order, places - starts[runs]]).astype(np.float64)


def innovations(
    steps: Steps, kappa: Any, length: Any, variance: Any, there: Any, residual: Any
) -> tuple[Any, Any, Any]:
    r"""Return what is new in each residual of a process with independent scatter: a Kalman filter.

    .. math:: u_k = \phi_k u_{k-1} + \sqrt{1 - \phi_k^2}\,\xi_k, \quad r_k = \kappa u_k + \sigma_k
              \varepsilon_k, \qquad \phi_k = e^{-\Delta_k / \ell}

    The process is Markov, so a scan over the rows takes the place of a matrix. Its state is known
    relative to kappa^2, which may be 0. A row that is not there is passed over.

    Parameters
    ----------
    steps
        The rows.
    kappa, length
        Scale and correlation length of the process.
    variance
        That of the independent scatter of each row, above 0, shape (rows,).
    there
        1 for a row that is there, else 0, shape (rows,).
    residual
        Shape (rows,).

    Returns
    -------
    tuple
        The variance of each row given those before it in its run; what is left of the residuals, and of
        the vector of ones, when they are foreseen from those rows. Each of shape (rows,), in the order
        of `steps`.
    """
    back = -steps.gap / length
    kept = jnp.where(steps.first, 0.0, jnp.exp(back))
    fresh = jnp.where(steps.first, 1.0, -jnp.expm1(2 * back))
    variance = variance[steps.order]
    ratio = there[steps.order] * kappa * kappa / variance
    zero = jnp.zeros((), variance.dtype)

    def step(state: Any, row: Any) -> tuple[Any, Any]:
        share, mean, one = state
        kept, fresh, ratio, value = row
        share, mean, one = kept * kept * share + fresh, kept * mean, kept * one
        more = 1 + ratio * share
        error, error_of_one = value - mean, 1 - one
        gain = ratio * share / more
        after = share / more, mean + gain * error, one + gain * error_of_one
        return after, (more, error, error_of_one)

    rows = (kept, fresh, ratio, residual[steps.order])
    _, (more, error, error_of_one) = jax.lax.scan(step, (zero, zero, zero), rows)
    return variance * more, error, error_of_one


def drawn(generator: np.random.Generator, columns: Floats, length: ArrayLike) -> Floats:
    """Draw the process with variance 1 at each row, in NumPy; shape (..., rows).

    Parameters
    ----------
    generator
        NumPy's random generator.
    columns
        Of `columns_of`, shape (rows, 3).
    length
        Shape (..., 1).
    """
    scale = np.asarray(length, dtype=np.float64)
    found = generator.standard_normal((*scale.shape[:-1], len(columns)))
    group, order, place = columns.T
    rows = order.astype(np.intp)
    first = np.diff(group[rows], prepend=-1) != 0
    index = np.arange(len(rows))
    turn = index - np.maximum.accumulate(np.where(first, index, 0))
    # All second rows at once, all third ones, ...: as many turns as the longest run has rows.
    for k in range(1, int(turn.max(initial=0)) + 1):
        now, before = rows[turn == k], rows[index[turn == k] - 1]
        back = -(place[now] - place[before]) / scale
        fresh = np.sqrt(-np.expm1(2 * back)) * found[..., now]
        found[..., now] = np.exp(back) * found[..., before] + fresh
    return found
