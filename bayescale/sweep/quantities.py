"""What a sweep reports of each posterior: parameters, exponents, losses at points, optima; weighted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from bayescale.errors import InputError, Problem
from bayescale.inference.batch_fit import BatchFit
from bayescale.inference.programs import programs
from bayescale.inference.side_by_side import over_devices, stack
from bayescale.intervals import Interval
from bayescale.laws import ClosedFormOptimum
from bayescale.model import Data, ModelSpec
from bayescale.tables import number

Floats = NDArray[np.float64]
BLOCK = 800  # draws to one call of the program
STATISTICS = ("median", "lower", "upper", "mean", "sd")


@dataclass(frozen=True)
class Targets:
    """Answers that a sweep gives besides the parameters.

    Parameters
    ----------
    points
        Symbol to values, each of shape (points,): the law's loss there, named ``loss_1``, ...
    flops
        Budgets in FLOPs: ``N_opt_1``, ``D_opt_1``, ``tokens_per_parameter_1`` and ``loss_opt_1``, ...
    flops_per_parameter_token
        k of C = k N D.
    """

    points: tuple[tuple[str, tuple[float, ...]], ...] = ()
    flops: tuple[float, ...] = ()
    flops_per_parameter_token: float = 6.0

    def check(self, spec: ModelSpec) -> Targets:
        """Return the targets if the law can answer them.

        Raises
        ------
        InputError
            A missing input, or budgets for a law without a closed-form optimum.
        """
        if self.points and {symbol for symbol, _ in self.points} != set(spec.law.inputs):
            need, have = " and ".join(spec.law.inputs), " and ".join(s for s, _ in self.points)
            raise InputError(
                Problem("points", f"they give {have}, and the law {spec.law.name!r} needs {need}",
                        remedy=f"give {need}")
            )  # fmt: skip
        if self.flops and not issubclass(spec.law, ClosedFormOptimum):
            raise InputError(
                Problem("flops", f"the law {spec.law.name!r} has no closed-form optimum",
                        remedy="fit one of N and D, such as chinchilla or coupled")
            )  # fmt: skip
        return self

    def names(self, spec: ModelSpec) -> tuple[str, ...]:
        """Return the names of all quantities, in the order of `quantities`."""
        counts = len(self.points[0][1]) if self.points else 0
        optima = [
            f"{name}_{i + 1}"
            for i in range(len(self.flops))
            for name in ("N_opt", "D_opt", "tokens_per_parameter", "loss_opt")
        ]
        derived = ("a", "b") if issubclass(spec.law, ClosedFormOptimum) else ()
        return (
            *(p.name for p in spec.law.parameters()),
            *(p.name for p in spec.noise.parameters()),
            *(() if spec.effects is None else spec.effects.names),
            *derived,
            *(f"loss_{i + 1}" for i in range(counts)),
            *optima,
        )

    def labels(self, spec: ModelSpec) -> dict[str, str]:
        """Return the name of each quantity and what it is called in a table."""
        labels = {name: name for name in self.names(spec)}
        for i in range(len(self.points[0][1]) if self.points else 0):
            where = ", ".join(f"{s} {number(values[i])}" for s, values in self.points)
            labels[f"loss_{i + 1}"] = f"loss at {where}"
        words = {"N_opt": "N", "D_opt": "D", "tokens_per_parameter": "D/N", "loss_opt": "loss"}
        for i, flops in enumerate(self.flops):
            labels |= {f"{k}_{i + 1}": f"optimal {w} at {number(flops)}" for k, w in words.items()}
        return labels

    def answers(self, spec: ModelSpec) -> tuple[str, ...]:
        """Return what decides: the answers that were asked for, else the parameters of the law."""
        names = self.names(spec)
        asked = [n for n in names if n.startswith(("loss_", "N_opt_", "tokens_per_parameter_"))]
        return tuple(asked) or tuple(p.name for p in spec.law.parameters())


def at_draw(spec: ModelSpec, targets: Targets, u: Any, reference: Mapping[str, Any]) -> list[Any]:
    """Return every quantity at one unbounded vector, in the order of `Targets.names`."""
    coordinates = spec.constrain(u, reference)
    law, noise = spec.build(coordinates, reference)
    values = [getattr(law, p.name) for p in spec.law.parameters()]
    values += [getattr(noise, p.name) for p in spec.noise.parameters()]
    if spec.effects is not None:
        values += [coordinates[name] for name in spec.effects.names]
    if isinstance(law, ClosedFormOptimum):
        values += list(law.allocation_exponents().values())
    if targets.points:
        count = len(targets.points[0][1])
        values += [law.loss({s: points[i] for s, points in targets.points}) for i in range(count)]
    for flops in targets.flops:
        assert isinstance(law, ClosedFormOptimum)
        n, d = law.optimum(flops, targets.flops_per_parameter_token)
        values += [n, d, d / n, law.loss({"N": n, "D": d})]
    return values


def all_draws(spec: ModelSpec, targets: Targets, u: Any, reference: Mapping[str, Any]) -> list[Any]:
    """Return every quantity at vectors of shape (sets, draws, p), each of shape (sets, draws)."""
    over_draws = jax.vmap(lambda u, r: at_draw(spec, targets, u, r), in_axes=(0, None))
    return jax.vmap(over_draws)(u, reference)


def quantities(
    spec: ModelSpec, targets: Targets, sets: int, data: list[Data], fits: list[BatchFit]
) -> list[Floats]:
    """Return the quantities of each fit, shape (quantities, draws); in 64 bits.

    Parameters
    ----------
    spec, targets
        The model, and what is asked for.
    sets
        Sets in a chunk: the shape of the program.
    data, fits
        The data sets and their posteriors.
    """
    stacked = stack(data, sets)
    longest = max((len(fit.u) for fit in fits), default=0)
    blocks: list[Floats] = []
    for start in range(0, longest, BLOCK):
        u = np.zeros((sets, BLOCK, len(spec.coordinates)))
        for i, fit in enumerate(fits):
            part = fit.u[start : start + BLOCK]
            u[i, : len(part)] = part
        arguments = (u, stacked.reference)
        with jax.enable_x64(True):
            (program,) = programs((over_devices, (spec, all_draws, (targets,)), arguments))
            blocks.append(np.stack([np.asarray(q) for q in program(*arguments)], axis=1))
    if not blocks:
        return [np.empty((len(targets.names(spec)), 0)) for _ in fits]
    joined = np.concatenate(blocks, axis=2)
    return [joined[i, :, : len(fit.u)] for i, fit in enumerate(fits)]


def summarise(values: Floats, weights: Floats, level: float) -> dict[str, Floats]:
    """Return the weighted median, interval, mean and sd of each row.

    Parameters
    ----------
    values
        Shape (quantities, draws).
    weights
        Shape (draws,), adding up to 1.
    level
        Mass of the interval.

    Returns
    -------
    dict
        Names of `STATISTICS` to arrays of shape (quantities,); NaN where there are no draws.
    """
    if not values.size:
        return {name: np.full(len(values), np.nan) for name in STATISTICS}
    order = np.argsort(values, axis=1)
    ranked_weights = weights[order]
    middle = np.cumsum(ranked_weights, axis=1) - ranked_weights / 2
    tail = (1 - level) / 2
    ends = (tail, 0.5, 1 - tail)
    found = [
        np.interp(ends, mass, row[places])
        for mass, row, places in zip(middle, values, order, strict=True)
    ]
    lower, median, upper = np.transpose(found)
    mean = values @ weights
    sd = np.sqrt((values - mean[:, None]) ** 2 @ weights)
    return {"median": median, "lower": lower, "upper": upper, "mean": mean, "sd": sd}


def interval_of(row: Mapping[str, Any], name: str) -> Interval:
    """Return the interval of a quantity from a row of a sweep."""
    return Interval(*(row[f"{name}_{s}"] for s in STATISTICS))


def resample(weights: Floats, values: Floats, count: int, generator: np.random.Generator) -> Floats:
    """Return `count` draws of equal weight, shape (quantities, count), in random order.

    By systematic resampling, which gives a draw as many copies as its weight says, rounded up or
    down.
    """
    ends = np.cumsum(weights)
    marks = (generator.uniform() + np.arange(count)) / count * ends[-1]
    return values[:, generator.permutation(np.searchsorted(ends, marks))]
