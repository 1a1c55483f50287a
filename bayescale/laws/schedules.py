"""What the laws of loss curves have in common: sums over the learning rates of a run so far.

The rows of a run stand together, in the order of their steps; a new run begins where the step does not
rise. Between two rows the learning rate is taken to change evenly, and before the first row of a run to
have been that row's.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from bayescale.laws.base import Inputs

INPUTS = ("step", "lr")


class Rows(NamedTuple):
    """Rows of loss curves beside the rows before them, each of shape (rows,).

    Parameters
    ----------
    gap
        Steps since the row before, or since the start of the run.
    rate, before
        Learning rate of the row, and of the one before.
    first
        Whether a run begins with the row.
    """

    gap: Any
    rate: Any
    before: Any
    first: Any


def rows_of(x: Inputs) -> Rows:
    """Return the rows beside the rows before them."""
    step, rate = jnp.asarray(x["step"]), jnp.asarray(x["lr"])
    step, rate = jnp.broadcast_arrays(jnp.atleast_1d(step), jnp.atleast_1d(rate))
    last = jnp.concatenate([jnp.zeros(1, step.dtype), step[:-1]])
    first = (step <= last).at[0].set(True)
    before = jnp.where(first, rate, jnp.concatenate([rate[:1], rate[:-1]]))
    return Rows(step - jnp.where(first, 0.0, last), rate, before, first)


def rate_sums(rows: Rows) -> Any:
    """Return S1, the sum of the learning rates of a run up to each row, shape (rows,)."""
    rise = 0.5 * (rows.rate - rows.before)  # each step has the rate that it ends with
    return along_run(0.5 * (rows.rate + rows.before) * rows.gap + rise, rows.first)


def along_run(values: Any, first: Any) -> Any:
    """Return sums up to each row, anew for each run."""
    total = jnp.cumsum(values)
    run = jnp.cumsum(first) - 1
    starts = jnp.where(first, total - values, 0.0)
    base = jax.ops.segment_sum(starts, run, num_segments=len(values))
    return total - base[run]


def annealed(rows: Rows, memory: Any) -> Any:
    r"""Return S2, the momentum-weighted sum of the falls of the learning rate, shape (rows,).

    .. math:: S_2(s) = \sum_{i \le s} \sum_{k \le i} (\eta_{k-1} - \eta_k)\,\lambda^{i-k},
              \qquad \lambda = e^{-1 / h}

    Parameters
    ----------
    rows
        The rows.
    memory
        h, the steps after which a fall is remembered as 1/e.
    """
    rest = -jnp.expm1(-1 / memory)  # 1 - lambda
    kept = jnp.exp(-rows.gap / memory)
    fall = (rows.before - rows.rate) / jnp.maximum(rows.gap, 1.0)
    passed = (1 - rest) * (1 - kept) / rest

    def step(momentum: Any, row: Any) -> tuple[Any, Any]:
        first, kept, fall, passed, gap = row
        momentum = jnp.where(first, 0.0, momentum)
        added = momentum * passed + fall * (gap - passed) / rest
        return kept * momentum + fall * (1 - kept) / rest, added

    start = jnp.zeros((), rows.rate.dtype)
    _, added = jax.lax.scan(step, start, (rows.first, kept, fall, passed, rows.gap))
    return along_run(added, rows.first)
