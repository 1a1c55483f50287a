"""How far `laplace-is` is from its limit: the densities and Hessians of a fit, at what they cost.

The cost is that of the same functions, in the same blocks, inside one compiled loop: no call from Python,
no copy, no NumPy.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import batch
import jax
import jax.numpy as jnp
import numpy as np
from data import bootstrap
from report import Context, figure, table

from bayescale.inference.batch import _Chunk
from bayescale.inference.importance import BLOCK
from bayescale.inference.mode import curvature
from bayescale.inference.side_by_side import coarse_rows
from bayescale.model import Data
from bayescale.sweep.sources import Prepared


class Counted(_Chunk):
    """A chunk that counts what it asks the compiled programs for."""

    densities = 0

    def _evaluates(self):
        self.hessians = [0, 0]  # given all rows, and given some of them

        def counting(i, evaluate):
            def counted(points, going):
                self.hessians[i] += int(going[self.there].sum())
                return evaluate(points, going)

            return counted

        return [counting(i, evaluate) for i, evaluate in enumerate(super()._evaluates())]

    def _density(self, bits):
        density = super()._density(bits)

        def counted(u, wanted):
            self.densities += int(wanted[self.there].sum()) * u.shape[1]
            return density(u, wanted)

        return counted


@dataclass(frozen=True)
class Operation:
    """One kind of value: how many a fit needs, seconds of one, and the operations for a row of data."""

    bits: int
    what: str
    per_fit: float
    seconds: float
    flops_per_row: float
    transcendentals_per_row: float
    rows: int

    @property
    def name(self) -> str:
        return f"{self.what} in {self.bits} bits"

    @property
    def seconds_per_fit(self) -> float:
        return self.per_fit * self.seconds


def count(sets: Sequence[Prepared]) -> tuple[float, float, float]:
    """Hessians given all rows and given some, and densities, of a fit; the mean over a chunk."""
    names, data = [f"bootstrap {i}" for i in range(len(sets))], [p.data for p in sets]
    with jax.enable_x64(True):
        work = Counted(batch.SPEC, batch.settings("laplace-is"), names, data)
        work.fits()
    every, some = work.hessians
    return every / len(sets), some / len(sets), work.densities / len(sets)


def cost(function, points: int, data: Data, dtype, loops: int) -> tuple[float, float, float]:
    """Processor seconds of one value, and XLA's count of operations and transcendentals a row."""
    data = jax.tree.map(lambda array: np.asarray(array, dtype), data)
    u = np.zeros((points, len(batch.SPEC.coordinates)), dtype)
    u[:, 0] += np.log(data.reference["low_loss"])
    values = jax.vmap(function, in_axes=(0, None))

    def loop(u, data):
        def again(_, u):  # each turn needs the last one, so that none can be left out
            parts = jax.tree.leaves(values(u, data))
            return (
                u + 1e-9 * sum(jnp.tanh(part.reshape(points, -1).sum(1)) for part in parts)[:, None]
            )

        return jax.lax.fori_loop(0, loops, again, u)

    once = jax.jit(values).lower(u, data).compile().cost_analysis()
    program = jax.jit(loop).lower(u, data).compile()
    jax.block_until_ready(program(u, data))
    started = time.process_time()
    jax.block_until_ready(program(u, data))
    seconds = (time.process_time() - started) / (loops * points)
    cells = points * len(data.log_loss)
    return seconds, once["flops"] / cells, once["transcendentals"] / cells


def operations(context: Context) -> list[Operation]:
    sets = bootstrap(context.runs, batch.SETS)
    data, loops = sets[0].data, 1000 if context.quick else 5000
    coarse = jax.tree.map(
        lambda a: a[0], coarse_rows(jax.tree.map(lambda a: np.asarray(a)[None], data))
    )
    hessian = curvature(batch.SPEC)
    with jax.enable_x64(True):
        every, some = (cost(hessian, 1, d, np.float64, loops) for d in (data, coarse))
    density = cost(batch.SPEC.log_density, BLOCK, data, np.float32, loops)
    rows, few, counts = len(data.log_loss), len(coarse.log_loss), count(sets)
    what = "value, gradient and Hessian"
    return [
        Operation(64, f"{what}, {rows} rows,", counts[0], *every, rows),
        Operation(64, f"{what}, {few} rows,", counts[1], *some, few),
        Operation(32, "densities", counts[2], *density, rows),
    ]


def rows(context: Context) -> Iterator[list[str]]:
    found = operations(context)
    context.found["operations"] = found
    for o in found:
        cells = figure(o.per_fit), figure(1e6 * o.seconds), figure(1e3 * o.seconds_per_fit)
        yield [o.name, *cells]
    limit = sum(o.seconds_per_fit for o in found)
    measured = context.found["laplace-is"]
    each = measured.processor_seconds / measured.count
    yield ["limit: nothing but these", "", "", figure(1e3 * limit)]
    yield ["measured in the batch above", "", "", figure(1e3 * each)]
    yield ["share that is densities and Hessians", "", "", f"{limit / each:.0%}"]


def lines(context: Context) -> Iterator[str]:
    size = len(bootstrap(context.runs, 1)[0].data.log_loss)
    yield f"### Where a `laplace-is` fit spends its time: {size} rows, padding included\n"
    columns = ["", "a fit needs", "microseconds of one", "ms of one core a fit"]
    yield from table(columns, rows(context))
