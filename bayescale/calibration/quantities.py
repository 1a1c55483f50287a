"""What is ranked: parameters, log likelihood, losses and the optimum beyond the runs; and the ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from bayescale.allocation.splitting import Terms, best_split, has_closed_form
from bayescale.drift import Span, log_compute
from bayescale.inference.batch import over_devices, stack
from bayescale.inference.batch_fit import BatchFit
from bayescale.inference.programs import programs
from bayescale.model import Data, ModelSpec, typical_value
from bayescale.runs.catalogue import scales

Floats = NDArray[np.float64]

BEYOND = (10.0, 100.0)  # times the largest compute, where the loss is ranked
BUDGET = 10.0  # times the largest N D, where the optimum is
BLOCK = 804  # draws to one call of the program: a fit's 800, and the truth


@dataclass(frozen=True)
class Answers:
    """Where losses and the optimum are asked for.

    Parameters
    ----------
    points
        Symbol to values, one for each of `BEYOND`: as many times the largest compute of the runs, all
        sizes in the proportions of their geometric means, and all other inputs as they are typically.
    product
        The N D of the optimum.
    span
        Of the runs, as a drift sees it.
    """

    points: Mapping[str, Floats]
    product: float
    span: Span

    @classmethod
    def beyond(cls, inputs: Mapping[str, Any]) -> Answers:
        """Return those for runs with these inputs."""
        columns = {s: np.asarray(v, dtype=np.float64) for s, v in inputs.items()}
        centre = {s: typical_value(v, s) for s, v in columns.items()}
        span, sizes = Span.of(log_compute(columns)), scales(columns)
        decades = span.high + np.log10(BEYOND) - float(log_compute(centre))
        points = {
            s: value * (10 ** (decades / len(sizes)) if s in sizes else np.ones(len(BEYOND)))
            for s, value in centre.items()
        }
        return cls(points, BUDGET * 10**span.high, span)


def names(spec: ModelSpec) -> tuple[str, ...]:
    """Return the names of what is ranked, in order."""
    return (
        *(p.name for p in spec.law.parameters()),
        *(p.name for p in spec.noise.parameters()),
        *(() if spec.effects is None else spec.effects.names),
        *(() if spec.drift is None else spec.drift.names),
        "log_likelihood",
        *(f"loss_{factor:g}x" for factor in BEYOND),
        *(("N_opt",) if set(spec.law.inputs) == {"N", "D"} else ()),
    )


LABELS = {
    "log_likelihood": "log likelihood of the runs",
    **{f"loss_{f:g}x": f"loss at {f:g} times the largest compute" for f in BEYOND},
    "N_opt": f"optimal N at {BUDGET:g} times the largest compute",
}


def at_draw(spec: ModelSpec, u: Any, data: Data, points: Mapping[str, Any], product: Any) -> Any:
    """Return what is ranked at one unbounded vector, shape (quantities,), without any drift of losses."""
    coordinates = spec.constrain(u, data.reference)
    law, noise = spec.build(coordinates, data.reference)
    values = [getattr(law, p.name) for p in spec.law.parameters()]
    values += [getattr(noise, p.name) for p in spec.noise.parameters()]
    values += [coordinates[name] for name in (spec.effects.names if spec.effects else ())]
    values += [] if spec.drift is None else [coordinates[name] for name in spec.drift.names]
    values.append(spec.log_likelihood(coordinates, data))
    losses: Any = law.loss(points)
    values += [losses[i] for i in range(len(BEYOND))]
    if set(spec.law.inputs) == {"N", "D"}:
        terms = Terms(flops_per_parameter_token=1.0)
        values.append(best_split(law, product, terms.numbers, has_closed_form(law, terms))[0])
    return jnp.stack(values)


def all_draws(spec: ModelSpec, u: Any, data: Data, points: Any, product: Any) -> Any:
    """Return what is ranked at vectors of shape (sets, draws, p), shape (sets, draws, quantities)."""

    def one_set(args: tuple[Any, ...]) -> Any:
        mine, rows, where, budget = args
        return jax.vmap(lambda v: at_draw(spec, v, rows, where, budget))(mine)

    return jax.lax.map(one_set, (u, data, points, product))


def drawn(
    spec: ModelSpec,
    sets: int,
    data: Sequence[Data],
    vectors: Sequence[Floats],
    answers: Answers,
    generators: Sequence[np.random.Generator],
) -> list[Floats]:
    """Return what is ranked at the draws of each data set, shape (quantities, draws); in 64 bits.

    Parameters
    ----------
    spec
        The model.
    sets
        Sets in a chunk: the shape of the program.
    data
        The data sets of a chunk.
    vectors
        Unbounded vectors of each, shape (draws, p).
    answers
        Where losses and the optimum are asked for.
    generators
        One for each set: where the drift beyond the runs comes from.
    """
    stacked = stack(data, sets)
    points = {s: np.broadcast_to(v, (sets, len(v))) for s, v in answers.points.items()}
    product = np.full(sets, answers.product)
    blocks = []
    for start in range(0, max(len(u) for u in vectors), BLOCK):
        u = np.zeros((sets, BLOCK, len(spec.coordinates)))
        for i, mine in enumerate(vectors):
            part = mine[start : start + BLOCK]
            u[i, : len(part)] = part
        arguments = (u, stacked, points, product)
        with jax.enable_x64(True):
            (program,) = programs((over_devices, (spec, all_draws, ()), arguments))
            blocks.append(np.asarray(program(*arguments)))
    joined = np.concatenate(blocks, axis=1)
    found = [joined[i, : len(u)].T.copy() for i, u in enumerate(vectors)]
    if spec.drift is not None:
        for values, generator in zip(found, generators, strict=True):
            _let_drift(spec, values, answers, generator)
    return found


def _let_drift(
    spec: ModelSpec, values: Floats, answers: Answers, generator: np.random.Generator
) -> None:
    """Multiply the losses of each draw by a drift beyond the runs that belongs to the draw."""
    assert spec.drift is not None
    order = {name: i for i, name in enumerate(names(spec))}
    increments = {name: values[order[name]] for name in spec.drift.names}
    path = spec.drift.path(increments, log_compute(answers.points), answers.span, generator)
    for k, factor in enumerate(BEYOND):
        values[order[f"loss_{factor:g}x"]] *= np.exp(path[:, k])


def rank(truth: Floats, values: Floats, fit: BatchFit, generator: np.random.Generator) -> Floats:
    r"""Return the randomised rank of true values among weighted draws, as numbers in (0, 1).

    .. math:: r = \frac{\sum_m w_m [\theta_m < \theta^*] + v\,/\,\mathrm{ESS}}{1 + 1/\mathrm{ESS}},
              \qquad v \sim \mathrm{Uniform}(0, 1)

    The truth counts as one draw more, so that for independent draws of equal weight, of which it is one,
    the rank is uniform whatever their number.

    Parameters
    ----------
    truth
        Shape (quantities,).
    values
        Shape (quantities, draws).
    fit
        The posterior that the draws are of, with weights and effective draws.
    generator
        Where v comes from.
    """
    below = (values < truth[:, None]) @ fit.weights
    equal = (values == truth[:, None]) @ fit.weights
    own = 1 / min(fit.ess, len(fit.weights))
    return (below + generator.uniform(size=len(truth)) * (equal + own)) / (1 + own)
