"""What the laws of loss curves have in common: sums over the learning rates of a run so far.

The rows of a run stand together, in the order of their steps; a new run begins where the step does not
rise. Between two rows the learning rate is taken to change evenly, and before the first row of a run to
have been that row's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from bayescale.laws.base import Inputs, power
from bayescale.parameters import Coordinate
from bayescale.priors import Beta, LogNormal, Reference

INPUTS = ("step", "lr")
LEAST = 0.05  # of the part that training removes: a loss is above 0, whatever the draw
AT_CENTRE = (
    Coordinate(
        "L_ref",
        LogNormal(1.0, 0.2, relative_to="low_loss"),
        r"L_*",
        "loss at the centre of step and learning rate, without annealing",
        "loss",
    ),
    Coordinate("share_E", Beta(4.0, 1.7), r"L_0/L_*", "share of that loss that is irreducible"),
    Coordinate("alpha", LogNormal(0.5, 0.4, low=0.05, high=2.0), r"\alpha", "exponent of S1"),
)


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


def less(reducible: Any, annealed: Any) -> Any:
    """Return what annealing leaves of the reducible loss, which is never all of it."""
    return jnp.maximum(reducible - annealed, LEAST * reducible)


def curve_from(c: Mapping[str, Any], reference: Reference) -> tuple[dict[str, Any], Any]:
    """Return L0, A and alpha from the coordinates, and the reducible loss at the centre."""
    reducible = c["L_ref"] * (1 - c["share_E"])
    scale = reducible * power(reference["step"] * reference["lr"], c["alpha"])
    return {"L0": c["L_ref"] * c["share_E"], "A": scale, "alpha": c["alpha"]}, reducible


def at_centre(law: Any, reference: Reference) -> tuple[dict[str, Any], Any]:
    """Return the coordinates of `AT_CENTRE`, and the reducible loss there."""
    reducible = law.A * power(reference["step"] * reference["lr"], -law.alpha)
    loss = law.L0 + reducible
    return {"L_ref": loss, "share_E": law.L0 / loss, "alpha": law.alpha}, reducible
